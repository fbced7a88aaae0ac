package httpcache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRanges bounds the ranges of one request, after those that touch have been joined: many
// are a known way to make a server send much for little (RFC 9110 section 17.15).
const maxRanges = 8

// maxRangeMembers bounds what is parsed of one Range field.
const maxRangeMembers = 4096

// ParseRanges applies a Range field (RFC 9110 section 14.2) to a content of size octets. The ranges come
// back in ascending order; those that overlap or touch are one, as section 15.3.7.2 allows, and
// those that lie beyond the end are left out. A field that is malformed or asks for too many
// ranges is ignored.
func ParseRanges(field string, size int64) ([]Range, RangeVerdict) {
	spec, ok := cutPrefixFold(field, "bytes=")
	if !ok || strings.Count(spec, ",") >= maxRangeMembers {
		return nil, RangeIgnored
	}
	var ranges []Range
	members := 0
	for member := range strings.SplitSeq(spec, ",") {
		if member = strings.Trim(member, " \t"); member == "" {
			continue
		}
		members++
		r, verdict := parseRangeSpec(member, size)
		switch verdict {
		case RangeIgnored:
			return nil, RangeIgnored
		case RangePartial:
			ranges = append(ranges, r)
		default: // beyond the end
		}
	}
	switch ranges = coalesce(ranges); {
	case members == 0 || len(ranges) > maxRanges:
		return nil, RangeIgnored
	case len(ranges) == 0:
		return nil, RangeUnsatisfiable
	}
	return ranges, RangePartial
}

// parseRangeSpec parses an int-range or a suffix-range (section 14.1.1).
func parseRangeSpec(spec string, size int64) (Range, RangeVerdict) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return Range{}, RangeIgnored
	}
	if first == "" {
		return suffixRange(last, size)
	}
	start, ok := parsePosition(first)
	if !ok {
		return Range{}, RangeIgnored
	}
	end := size - 1
	if last != "" {
		n, ok := parsePosition(last)
		if !ok || n < start {
			return Range{}, RangeIgnored
		}
		end = min(end, n)
	}
	if start >= size {
		return Range{}, RangeUnsatisfiable
	}
	return Range{Start: start, Length: end - start + 1}, RangePartial
}

// coalesce sorts ranges and joins those that overlap or touch.
func coalesce(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 && r.Start <= out[n-1].Start+out[n-1].Length {
			out[n-1].Length = max(out[n-1].Length, r.Start+r.Length-out[n-1].Start)
			continue
		}
		out = append(out, r)
	}
	return out
}

// ParseContentRange parses the Content-Range of a 206 (RFC 9110 section 14.4). size is -1 if the
// sender does not know it. What that section calls invalid is not ok.
func ParseContentRange(field string) (part Range, size int64, ok bool) {
	spec, ok := cutPrefixFold(field, "bytes ")
	if !ok {
		return Range{}, 0, false
	}
	positions, total, ok := strings.Cut(spec, "/")
	if !ok {
		return Range{}, 0, false
	}
	first, last, ok := strings.Cut(positions, "-")
	if !ok {
		return Range{}, 0, false
	}
	start, ok1 := parsePosition(first)
	end, ok2 := parsePosition(last)
	size, ok3 := int64(-1), total == "*"
	if !ok3 {
		size, ok3 = parsePosition(total)
	}
	if !ok1 || !ok2 || !ok3 || end < start || size >= 0 && size <= end {
		return Range{}, 0, false
	}
	return Range{Start: start, Length: end - start + 1}, size, true
}

// Align extends a range of a content of size octets to whole slices, if that is at most one slice more
// and the whole at most one slice or twice of what is wanted: what a range costs the origin is
// bounded by what it brings the visitor.
func Align(want Range, size, slice int64) Range {
	start := want.Start - want.Start%slice
	end := want.Start + want.Length
	end = min(size, end+(slice-end%slice)%slice)
	length := end - start
	if length > max(slice, 2*want.Length) || length-want.Length > slice {
		return want
	}
	return Range{Start: start, Length: length}
}

// AcceptsRanges reports whether a response says that its origin answers byte ranges (RFC 9110
// section 14.3).
func AcceptsRanges(h http.Header) bool { return hasMember(h["Accept-Ranges"], "bytes") }

// StrongValidator returns the response's strong validator in the form of the If-Range field (RFC 9110
// section 13.1.5): its entity tag, or its date of last modification if that is strong in the
// sense of section 8.8.2.2.
func (r *Response) StrongValidator() (ifRange string, ok bool) {
	if etag := r.Header.Get("Etag"); etag != "" {
		return etag, len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"'
	}
	field := r.Header.Get("Last-Modified")
	modified, err := http.ParseTime(field)
	if err != nil || r.date().Sub(modified) < time.Second {
		return "", false
	}
	return field, true
}

// SameVersion reports whether two responses are of the same content, so that parts of them may be put
// together (section 3.4): whether they share a strong validator.
func SameVersion(a, b *Response) bool {
	va, ok := a.StrongValidator()
	vb, same := b.StrongValidator()
	return ok && same && va == vb
}

// Whole returns the head of a 206 in the form of the 200 whose part it is, with a content of size octets.
func (r *Response) Whole(size int64) *Response {
	whole := *r
	whole.Status = http.StatusOK
	whole.Header = r.Header.Clone()
	whole.Header.Del("Content-Range")
	whole.Header["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	return &whole
}

// HeadOnly reports whether a field must not be in a trailer (RFC 9110 section 6.5.1): those that
// frame or route a message, say how to handle it, or describe its content.
func HeadOnly(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Cache-Control", "Expect", "Max-Forwards",
		"Pragma", "Range", "Authorization", "Set-Cookie", "Cookie", "Www-Authenticate", "Age", "Date", "Expires", "Location",
		"Retry-After", "Vary", "Warning", "Etag", "Last-Modified", "If-Match", "If-None-Match", "If-Modified-Since",
		"If-Unmodified-Since", "If-Range", "Via", "Cache-Status", "Cdn-Cache-Control", "Cdn-Loop", "X-Cache":
		return true
	}
	return hopByHop(name)
}
