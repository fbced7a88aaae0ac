package edge

import (
	"math"
	"net/http"
	"strings"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/internal/web/grammar"
)

// selection is what of a response a visitor gets.
type selection struct {
	status int
	ranges []httpcache.Range    // of a 206; nil for the whole
	parts  *httpcache.Multipart // the form in which several ranges are sent; set with the head
}

// selects evaluates the conditions and ranges of the request for a response that answers it
// (RFC 9110 section 13.2.2).
func (x *exchange) selects(o *store.Object) *selection {
	r := o.Response
	if r.NotModified(x.cacheRequest()) {
		return &selection{status: http.StatusNotModified}
	}
	field := joinLines(x.header["Range"])
	if field == "" || x.method != http.MethodGet || r.Status != http.StatusOK || o.Length < 0 || !r.RangeApplies(x.header) {
		return &selection{status: r.Status}
	}
	ranges, verdict := httpcache.ParseRanges(field, o.Length)
	switch verdict {
	case httpcache.RangePartial:
		return &selection{status: http.StatusPartialContent, ranges: ranges}
	case httpcache.RangeUnsatisfiable:
		return &selection{status: http.StatusRequestedRangeNotSatisfiable}
	default:
		return &selection{status: r.Status}
	}
}

// unsatisfiable reports whether the node itself says that there is nothing of what is asked for.
func (sel *selection) unsatisfiable(o *store.Object) bool {
	return sel.status == http.StatusRequestedRangeNotSatisfiable && o.Response.Status != sel.status
}

// bounds returns the offsets between which the selected octets lie; end is -1 if only the end of the body
// says where it is. Without any, both are the content's length.
func (sel *selection) bounds(o *store.Object) (start, end int64) {
	switch {
	case sel.ranges != nil:
		last := sel.ranges[len(sel.ranges)-1]
		return sel.ranges[0].Start, last.Start + last.Length
	case sel.status == o.Response.Status && grammar.BodyAllowed(sel.status):
		return 0, o.Length
	}
	return o.Length, o.Length
}

// spans returns the ranges that are selected, one if it is the whole; none of a content without a known length, or if
// nothing of it is sent.
func (sel *selection) spans(o *store.Object) []httpcache.Range {
	if sel.ranges != nil {
		return sel.ranges
	}
	if start, end := sel.bounds(o); start < end {
		return []httpcache.Range{{Start: start, Length: end - start}}
	}
	return nil
}

// wantedSpan is what to ask upstream for when nothing is known of a content and the visitor
// sends this Range field. Of several ranges it is one of those that exist if any does: the one from the end, or the first. The
// answer tells how long the content is, and then the others can be judged.
func wantedSpan(field string) fill.Span {
	const unknown = math.MaxInt64 - 1
	ranges, verdict := httpcache.ParseRanges(field, unknown)
	switch verdict {
	case httpcache.RangePartial:
	case httpcache.RangeUnsatisfiable:
		return fill.Span{End: 1} // enough to learn how long the content is
	default:
		return fill.Whole()
	}
	first, last := ranges[0], ranges[len(ranges)-1]
	switch field = strings.NewReplacer(" ", "", "\t", "").Replace(field); {
	case strings.Contains(field, "=-") || strings.Contains(field, ",-"):
		return fill.Span{Start: -last.Length}
	case first.Start+first.Length < unknown:
		return fill.Span{Start: first.Start, End: first.Start + first.Length}
	}
	return fill.Span{Start: first.Start, End: math.MaxInt64}
}

// exact reports whether upstream must be asked for no more than what is missing: another node has
// rounded already, and small ranges here and there would each bring a slice.
func (x *exchange) exact() bool {
	return x.hop.node != "" || strings.Contains(joinLines(x.header["Range"]), ",")
}

// from is the source of a content for this request.
func (x *exchange) from(o *store.Object) *source {
	return &source{s: x.s, q: x.query, ctx: x.r.Context(), exact: x.exact(), object: o}
}
