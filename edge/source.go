package edge

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// maxEmpty is how often in a row octets that are said to be stored may not be had before they are asked for upstream.
const maxEmpty = 2

// errChanged is that upstream has another content by now than the one that is being sent.
var errChanged = errors.New("the content has changed upstream")

// source is where the octets of a content come from: a fill, the store, or now one and then the
// other. It is used by one goroutine.
type source struct {
	s      *Server
	q      *query
	ctx    context.Context //nolint:containedctx // of whoever reads
	exact  bool            // upstream is to be asked for no more than what is missing
	object *store.Object

	held   store.Body // what was last got out of the store
	heldAt int64      // where in the content it begins

	reader *fill.Reader[*head] // nil if no fill is being read
	from   int64               // where in the content the fill's body begins
	empty  int                 // fills in a row that brought nothing

	ahead []ahead // found beforehand
}

// ahead is a fill that brings octets further on than those that are being read.
type ahead struct {
	reader *fill.Reader[*head]
	from   int64 // where in the content its body begins
}

// fork returns a source of the same content for another goroutine.
func (src *source) fork(ctx context.Context) *source {
	other := &source{s: src.s, q: src.q, ctx: ctx, object: src.object, from: src.from}
	if src.reader != nil {
		other.reader = src.reader.Fork()
	}
	for _, next := range src.ahead {
		if reader := next.reader.Fork(); reader != nil {
			other.ahead = append(other.ahead, ahead{reader, next.from})
		}
	}
	return other
}

// close gives up the fills.
func (src *source) close() {
	src.drop()
	for _, next := range src.ahead {
		next.reader.Close()
	}
	src.ahead = nil
}

// drop gives up the fill that is being read.
func (src *source) drop() {
	if src.reader != nil {
		src.reader.Close()
		src.reader = nil
	}
}

// at returns octets at an offset, at least one, if it is before end (-1: wherever the body ends), as soon as
// there are some. After the last it returns io.EOF.
func (src *source) at(pos, end int64) ([]byte, error) {
	for {
		p, err := src.read(pos)
		switch {
		case p != nil && err == nil:
			src.empty = 0
			return p, nil
		case err != nil && (!src.object.Sliced || !recoverable(err) || end < 0 || pos >= end):
			return nil, err
		}
		src.drop()
		if p := src.stored(pos); p != nil {
			return p, nil
		}
		if o := src.object; !o.Sliced {
			if o.Length < 0 || pos < o.Length {
				return nil, io.ErrUnexpectedEOF // a fill had it, and that is gone
			}
			return nil, io.EOF
		}
		if src.empty++; src.empty > maxEmpty+1 {
			return nil, io.ErrUnexpectedEOF
		}
		if err := src.complete(pos, end); err != nil {
			return nil, err
		}
	}
}

// doubts reports whether what is said to be stored is asked for upstream all the same: a disk that is too busy to give the octets may know of them.
func (src *source) doubts() bool { return src.empty >= maxEmpty }

// recoverable reports whether what a fill does not bring may be found elsewhere.
func recoverable(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, fill.ErrPassed) }

// read returns octets of the fill; none and no error if there is no fill.
func (src *source) read(pos int64) ([]byte, error) {
	if src.reader == nil {
		return nil, nil
	}
	if src.reader.At()+src.from != pos && (pos < src.from || !src.reader.StartAt(pos-src.from)) {
		return nil, fill.ErrPassed
	}
	return src.reader.Next(src.ctx)
}

// stored returns octets that are in the store, nil if those at the offset are not.
func (src *source) stored(pos int64) []byte {
	if !src.object.Sliced {
		src.held, src.heldAt = src.object.Body, 0
	} else if pos < src.heldAt || pos >= src.heldAt+src.held.Len() {
		src.held = src.s.sliceAt(src.object, pos, false)
		src.heldAt = pos
	}
	for p := range src.held.Slice(pos-src.heldAt, src.held.Len()) {
		return p
	}
	return nil
}

// pending reports whether the next octets are there already.
func (src *source) pending() bool { return src.reader == nil || src.reader.Pending() }

// complete finds or starts a fill that brings what is not stored at an offset.
func (src *source) complete(pos, end int64) error {
	for i, next := range src.ahead {
		if next.reader.At()+next.from == pos {
			src.reader, src.from, src.ahead = next.reader, next.from, slices.Delete(src.ahead, i, i+1)
			return nil
		}
	}
	reader, h, _, err := src.join(pos, end)
	switch {
	case err != nil:
		return err
	case reader == nil:
		return nil // it has just been stored
	case h.object == nil || h.object.ID != src.object.ID:
		reader.Close()
		if h.err != nil {
			return h.err
		}
		return errChanged
	}
	src.reader, src.from = reader, h.from
	return nil
}

// join finds or starts a fill of what is not stored of the content from an offset on, and
// waits for its head, which may be of another content. It returns nil if the octets are stored after all.
func (src *source) join(pos, end int64) (reader *fill.Reader[*head], h *head, own bool, err error) {
	o := src.object
	upTo := end // of one without a strong validator the rest could not be had elsewhere
	if _, strong := o.Response.StrongValidator(); strong {
		upTo = pos + 1
	}
	has := func(h *head) (int64, bool) {
		return pos - h.from, h.object != nil && h.object.ID == o.ID && h.brings(pos, upTo)
	}
	for joins := 0; ; joins++ {
		at, gap, missing := src.s.missing(o, pos, end, src.exact)
		if src.doubts() {
			at, gap, missing = pos, httpcache.Range{Start: pos, Length: min(end, (pos/store.SliceSize+1)*store.SliceSize) - pos}, true
		}
		if !missing || at > pos {
			return nil, nil, false, nil
		}
		reader, own, err := src.joinGap(gap, pos, joins < maxJoins, has)
		if reader == nil {
			if err != nil && !errors.Is(err, fill.ErrClosed) {
				src.s.refuseFill(src.ctx, src.q.client, err)
			}
			return nil, nil, false, err
		}
		if src.await(reader, own) {
			at, ok := has(reader.Head())
			if ok && (own || reader.Head().shared) && reader.StartAt(at) || own {
				return reader, reader.Head(), own, nil
			}
		}
		reader.Close()
		if err := src.ctx.Err(); err != nil {
			return nil, nil, false, err
		}
	}
}

func (src *source) joinGap(gap httpcache.Range, pos int64, shared bool, has func(*head) (int64, bool)) (*fill.Reader[*head], bool, error) {
	o := src.object
	forgets := src.s.forgets.Load() // before the look: what is forgotten after it shows in the number
	current := src.s.store.Peek(src.q.headLookup())
	gone := current == nil || current.ID != o.ID
	ask := fill.Ask[*head]{Variant: src.q.plan.Variant, Span: fill.Span{Start: gap.Start, End: gap.Start + gap.Length}, Shared: true, Client: shareOf(src.q.client)}
	if ask.Span.End == o.Length {
		ask.Span.End = math.MaxInt64
	}
	if shared {
		ask.Accept = func(h *head) (int64, bool) {
			at, ok := has(h)
			return at, ok && h.shared
		}
	}
	return src.s.fills.Join(src.q.key, ask, func() fill.Run[*head] {
		part := src.s.store.Peek(store.Lookup{Key: store.SliceKey(o.ID, pos/store.SliceSize), Quick: true})
		if part != nil && pos >= part.Start && pos < part.Start+part.Body.Len() && !src.doubts() {
			return nil // it has just been stored
		}
		gone = gone || src.s.purges.Look(o) == nil || src.s.forgets.Load() != forgets
		return src.s.fetch(errand{query: src.q, base: o, span: ask.Span, missing: true, gone: gone})
	})
}

// await waits for a fill's head. It reports false if somebody else's takes too long, or the reader has gone.
func (src *source) await(reader *fill.Reader[*head], own bool) bool {
	var patience <-chan time.Time
	if !own {
		timer := time.NewTimer(headTimeout)
		defer timer.Stop()
		patience = timer.C
	}
	return reader.Wait(src.ctx, patience, func(*head) {})
}

// wholeReader reads a content from its start to its end.
type wholeReader struct {
	*source
	pos  int64
	rest []byte // of what the source has given
}

// Read implements [io.Reader].
func (r *wholeReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.object.Length >= 0 && r.pos >= r.object.Length {
			return 0, io.EOF
		}
		octets, err := r.at(r.pos, r.object.Length)
		if err != nil {
			if errors.Is(err, io.EOF) && r.object.Length >= 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		r.rest = octets
	}
	n := copy(p, r.rest)
	r.rest, r.pos = r.rest[n:], r.pos+int64(n)
	return n, nil
}
