package httpcache

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// ParseContentRange parses a Content-Range field (RFC 9110 section 14.4) strictly: what it
// says decides where octets are put. size is -1 if it is not known. For an
// unsatisfied range ("bytes */47") the Range has no length.
func ParseContentRange(field string) (r Range, size int64, ok bool) {
	spec, ok := cutPrefixFold(field, "bytes ")
	if !ok {
		return Range{}, 0, false
	}
	span, total, ok := strings.Cut(spec, "/")
	if !ok {
		return Range{}, 0, false
	}
	size = -1
	if total != "*" {
		if size, ok = parseExact(total); !ok {
			return Range{}, 0, false
		}
	}
	if span == "*" {
		return Range{}, size, size >= 0
	}
	first, last, ok := strings.Cut(span, "-")
	if !ok {
		return Range{}, 0, false
	}
	start, okFirst := parseExact(first)
	end, okLast := parseExact(last)
	if !okFirst || !okLast || end < start || size >= 0 && end >= size {
		return Range{}, 0, false
	}
	return Range{Start: start, Length: end - start + 1}, size, true
}

// parseExact parses an offset that can be counted with: less than the largest number.
func parseExact(s string) (int64, bool) {
	n, ok := parsePosition(s)
	return n, ok && n < math.MaxInt64
}

// Part says which part of the whole body a 206 brings, and the size of the whole, -1 if it
// is not known. ok is false if it does not say so clearly: for another status, for several
// parts, or if Content-Length contradicts.
func (r *Response) Part() (part Range, size int64, ok bool) {
	lines := r.Header["Content-Range"]
	if r.Status != http.StatusPartialContent || len(lines) != 1 {
		return Range{}, 0, false
	}
	part, size, ok = ParseContentRange(lines[0])
	if !ok || part.Length == 0 {
		return Range{}, 0, false
	}
	if length := r.Header["Content-Length"]; length != nil && length[0] != strconv.FormatInt(part.Length, 10) {
		return Range{}, 0, false
	}
	return part, size, true
}

// Align extends a wanted range to whole slices, so that what is fetched can be used again,
// if that costs little: the result has at most twice the wanted length or is one slice,
// and is at most one slice longer than wanted. Otherwise, and for a slice size that is not
// positive, the result is what was wanted. Neither goes past size, unless that is negative,
// which means unknown.
func Align(want Range, size, slice int64) Range {
	if size >= 0 && want.End() > size {
		want.Length = max(0, size-want.Start)
	}
	if slice <= 0 || want.Length <= 0 || want.End() > math.MaxInt64-slice {
		return want
	}
	start := want.Start - want.Start%slice
	end := (want.End() + slice - 1) / slice * slice
	if size >= 0 {
		end = min(end, size)
	}
	length := end - start
	if length-want.Length > slice || length > slice && length-want.Length > want.Length {
		return want
	}
	return Range{Start: start, Length: length}
}
