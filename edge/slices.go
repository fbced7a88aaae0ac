package edge

import (
	"net/http"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// slicer stores a content in slices while it arrives. Until a slice is stored, its octets are to be had from the fill. A
// nil slicer stores nothing.
type slicer struct {
	s      *Server
	fill   *fill.Fill[*head]
	object *store.Object
	from   int64 // offset in the content of the fill's first octet
	start  int64 // offset in the content of the first octet of pieces
	pieces [][]byte
	size   int64 // of pieces together
}

// add takes octets, which must not change any more, and stores each slice that they complete.
func (c *slicer) add(p []byte) {
	if c == nil {
		return
	}
	for len(p) > 0 {
		end := c.start + c.size
		n := min(int64(len(p)), store.SliceSize-end%store.SliceSize)
		c.pieces, c.size = append(c.pieces, p[:n:n]), c.size+n
		p = p[n:]
		if (end+n)%store.SliceSize == 0 {
			c.flush()
		}
	}
}

// flush stores what has been added since the last slice.
func (c *slicer) flush() {
	if c == nil || c.size == 0 {
		return
	}
	body := store.NewBody(c.pieces...).Compact()
	c.fill.CommitPart(func() { c.s.putSlice(c.object, c.start, body) })
	c.start, c.pieces, c.size = c.start+c.size, nil, 0
	c.fill.Hold(c.start - c.from)
}

// sliceHead is the head of a slice: it has none of its own.
var sliceHead = &httpcache.Response{Status: http.StatusOK} //nolint:gochecknoglobals // immutable

// putSlice stores octets of one slice, together with those that are there already if the two meet.
func (s *Server) putSlice(o *store.Object, start int64, body store.Body) {
	key := store.SliceKey(o.ID, start/store.SliceSize)
	if old := s.store.Peek(store.Lookup{Key: key}); old != nil {
		start, body = joinParts(old.Start, old.Body, start, body)
		if start == old.Start && body.Len() == old.Body.Len() {
			return
		}
	}
	part := &store.Object{ID: o.ID, Key: key, Born: o.Born, Response: sliceHead, Body: body, Start: start, Length: o.Length}
	if !s.store.Put(part, nil) {
		s.metrics.refused.Inc()
	}
}

// joinParts returns two parts of a content as one, or the longer if there is a gap between them.
func joinParts(startA int64, a store.Body, startB int64, b store.Body) (int64, store.Body) {
	if startB < startA {
		startA, a, startB, b = startB, b, startA, a
	}
	endA := startA + a.Len()
	switch {
	case startB > endA && b.Len() > a.Len():
		return startB, b
	case startB > endA || startB+b.Len() <= endA:
		return startA, a
	}
	return startA, a.Append(b.Cut(endA-startB, b.Len()))
}

// sliceAt returns the stored octets of a content from an offset on, as far as one slice goes; file says that they may be
// in one.
func (s *Server) sliceAt(o *store.Object, pos int64, file bool) store.Body {
	part, _ := s.store.Get(store.Lookup{Key: store.SliceKey(o.ID, pos/store.SliceSize), File: file})
	if part == nil || pos < part.Start || pos >= part.Start+part.Body.Len() {
		return store.Body{}
	}
	return part.Body.Cut(pos-part.Start, part.Body.Len())
}

// maxGap bounds what one fill asks for to complete a content, in slices.
const maxGap = 256

// part returns what is stored of a content's slice n, perhaps without the octets, or nil.
func (s *Server) part(o *store.Object, n int64) *store.Object {
	return s.store.Peek(store.Lookup{Key: store.SliceKey(o.ID, n), Head: true})
}

// missing returns what to ask upstream for to get the first octets between two offsets of a content that
// are not stored; ok is false if all are. The gap may begin before them and end behind: it is
// extended to whole slices where that costs little and nothing of them is stored, unless exact.
func (s *Server) missing(o *store.Object, pos, end int64, exact bool) (at int64, gap httpcache.Range, ok bool) {
	for pos < end {
		part := s.part(o, pos/store.SliceSize)
		if part == nil || pos < part.Start || pos >= part.Start+part.Body.Len() {
			if exact {
				return pos, httpcache.Range{Start: pos, Length: s.gapEnd(o, pos, end) - pos}, true
			}
			return pos, s.gap(o, pos, end, part), true
		}
		pos = part.Start + part.Body.Len()
	}
	return end, httpcache.Range{}, false
}

// gap returns what to ask for to get the octets at pos, which are not stored. part is what is
// stored of their slice.
func (s *Server) gap(o *store.Object, pos, end int64, part *store.Object) httpcache.Range {
	want := httpcache.Range{Start: pos, Length: s.gapEnd(o, pos, end) - pos}
	gap := httpcache.Align(want, o.Length, store.SliceSize)
	if part != nil && part.Start < pos {
		gap = httpcache.Range{Start: pos, Length: gap.Start + gap.Length - pos}
	}
	last := gap.Start + gap.Length - 1
	if after := s.part(o, last/store.SliceSize); after != nil && after.Start > pos && after.Start <= last {
		gap.Length = after.Start - gap.Start
	}
	return gap
}

// gapEnd returns where the gap at pos ends: where something is stored again, or at end.
func (s *Server) gapEnd(o *store.Object, pos, end int64) int64 {
	first := pos / store.SliceSize
	for n := first; n < first+maxGap; n++ {
		if n*store.SliceSize >= end {
			return end
		}
		if part := s.part(o, n); part != nil && part.Start >= pos {
			return min(part.Start, end)
		}
	}
	return min((first+maxGap)*store.SliceSize, end)
}
