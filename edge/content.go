package edge

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strings"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// errChanged is that upstream has another content by now than the one that is being sent.
var errChanged = errors.New("the content has changed upstream")

// selection is what of a response a visitor gets.
type selection struct {
	status int
	ranges []httpcache.Range // of a 206; nil for the whole
}

// selects evaluates the conditions and ranges of the request for a response that answers it
// (RFC 9110 section 13.2.2).
func (x *exchange) selects(o *store.Object) selection {
	r := o.Response
	if r.NotModified(x.cacheRequest()) {
		return selection{status: http.StatusNotModified}
	}
	field := x.header.Get("Range")
	if field == "" || x.method != http.MethodGet || r.Status != http.StatusOK || o.Length < 0 || !r.RangeApplies(x.header) {
		return selection{status: r.Status}
	}
	ranges, verdict := httpcache.ParseRanges(joinLines(x.header["Range"]), o.Length)
	switch verdict {
	case httpcache.RangePartial:
		return selection{status: http.StatusPartialContent, ranges: ranges}
	case httpcache.RangeUnsatisfiable:
		return selection{status: http.StatusRequestedRangeNotSatisfiable}
	default:
		return selection{status: r.Status}
	}
}

// unsatisfiable reports whether the node itself says that there is nothing of what is asked for.
func (sel selection) unsatisfiable(o *store.Object) bool {
	return sel.status == http.StatusRequestedRangeNotSatisfiable && o.Response.Status != sel.status
}

// bounds returns the offsets between which the selected octets lie; end is -1 if only the end of the body
// says where it is. Without any, both are the content's length.
func (sel selection) bounds(o *store.Object) (start, end int64) {
	switch {
	case sel.ranges != nil:
		last := sel.ranges[len(sel.ranges)-1]
		return sel.ranges[0].Start, last.Start + last.Length
	case sel.status == o.Response.Status && bodyAllowed(sel.status):
		return 0, o.Length
	}
	return o.Length, o.Length
}

// wantedSpan is what to ask upstream for when nothing is known of a content and the visitor
// sends this Range field. Of several ranges it is the first: the answer tells how long the content is, and
// then the others can be judged.
func wantedSpan(field string) fill.Span {
	const unknown = math.MaxInt64 - 1
	ranges, verdict := httpcache.ParseRanges(field, unknown)
	if verdict != httpcache.RangePartial {
		return fill.Whole()
	}
	first := ranges[0]
	switch {
	case first.Start+first.Length < unknown:
		return fill.Span{Start: first.Start, End: first.Start + first.Length}
	case strings.Contains(field, "=-") || strings.Contains(field, ",-"):
		return fill.Span{Start: -first.Length}
	}
	return fill.Span{Start: first.Start, End: math.MaxInt64}
}

// source is where the octets of an answer come from: a fill, the store, or now one and then the
// other. It belongs to the exchange.
type source struct {
	x      *exchange
	object *store.Object
	reader *fill.Reader[*head] // nil if no fill is being read
	from   int64               // where in the content the fill's body begins
	empty  int                 // fills in a row that brought nothing

	next     *fill.Reader[*head] // found beforehand for octets further on; nil if there is none
	nextFrom int64               // as from, of next

	parts *httpcache.Multipart
}

// close gives up the fill that is being read.
func (src *source) close() {
	if src.reader != nil {
		src.reader.Close()
		src.reader = nil
	}
}

// at returns octets at an offset, at least one and at most up to end (-1: all there are), as soon as
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
		src.close()
		if body, ok := src.x.s.sliceAt(src.object, pos); ok {
			for p := range body.Slice(0, body.Len()) {
				return p, nil
			}
		}
		if src.empty++; src.empty > 2 {
			return nil, io.ErrUnexpectedEOF
		}
		if err := src.complete(pos, end); err != nil {
			return nil, err
		}
	}
}

// recoverable reports whether what a fill does not bring may be found elsewhere.
func recoverable(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, fill.ErrPassed) }

// read returns octets of the fill; none and no error if it is not for that offset.
func (src *source) read(pos int64) ([]byte, error) {
	if src.reader == nil {
		return nil, nil
	}
	if src.reader.At()+src.from != pos && (pos < src.from || !src.reader.StartAt(pos-src.from)) {
		return nil, fill.ErrPassed
	}
	return src.reader.Next(src.x.r.Context())
}

// pending reports whether the next octets are there already.
func (src *source) pending() bool { return src.reader == nil || src.reader.Pending() }

// complete finds or starts a fill that brings what is not stored at an offset.
func (src *source) complete(pos, end int64) error {
	if next := src.next; next != nil && next.At()+src.nextFrom == pos {
		src.reader, src.from, src.next = next, src.nextFrom, nil
		return nil
	}
	reader, h, _ := src.x.joinMissing(src.object, pos, end)
	switch {
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

// exact reports whether upstream must be asked for no more than what is missing: another node has
// rounded already, and small ranges here and there would each bring a slice.
func (x *exchange) exact() bool {
	return x.hop.node != "" || strings.Contains(x.header.Get("Range"), ",")
}

// joinMissing finds or starts a fill of what is not stored of a content from an offset on, and
// waits for its head, which may be of another content. It returns nil if the octets are stored after all.
func (x *exchange) joinMissing(o *store.Object, pos, end int64) (*fill.Reader[*head], *head, bool) {
	has := func(h *head) (int64, bool) {
		return pos - h.from, h.object != nil && h.object.ID == o.ID && h.brings(pos, pos+1)
	}
	for patience := 0; ; patience++ {
		at, gap, missing := x.s.missing(o, pos, end, x.exact())
		if !missing || at > pos {
			return nil, nil, false
		}
		ask := fill.Ask[*head]{Variant: x.plan.Variant, Span: fill.Span{Start: gap.Start, End: gap.Start + gap.Length}, Shared: true}
		if ask.Span.End == o.Length {
			ask.Span.End = math.MaxInt64
		}
		if patience < maxJoins {
			ask.Accept = has
		}
		reader, own := x.s.fills.Join(x.key, ask, func() fill.Run[*head] {
			if _, _, missing := x.s.missing(o, pos, pos+1, true); !missing {
				return nil
			}
			return x.s.fetch(errand{query: x.query, base: o, span: ask.Span, missing: true})
		})
		if reader == nil {
			if _, _, missing := x.s.missing(o, pos, pos+1, true); missing {
				x.abort(errors.New("the node is closing"))
			}
			return nil, nil, false
		}
		if x.await(reader, own) {
			at, ok := has(reader.Head())
			if ok && reader.StartAt(at) || own {
				return reader, reader.Head(), own
			}
		}
		reader.Close()
	}
}
