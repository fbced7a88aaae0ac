package httpcache

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Range is a part of a body.
type Range struct {
	Start  int64 // offset of the first octet
	Length int64 // number of octets, at least one
}

// End returns the offset behind the last octet.
func (r Range) End() int64 { return r.Start + r.Length }

// ContentRange formats the range as the Content-Range field of a body of size octets.
func (r Range) ContentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.Start, r.End()-1, size)
}

// Unsatisfied is the Content-Range of a 416 for a body of size octets (RFC 9110
// section 15.5.17).
func Unsatisfied(size int64) string { return fmt.Sprintf("bytes */%d", size) }

// RangeVerdict says what to do about a Range field.
type RangeVerdict uint8

// The verdicts.
const (
	RangeIgnored       RangeVerdict = iota // answer with the whole body
	RangePartial                           // answer with the range: 206
	RangeUnsatisfiable                     // nothing of it exists: 416
)

// Several ranges are a known way to make a server send much for little (RFC 9110 section
// 17.15): these bound what is read and what is answered.
const (
	maxRangeSpecs = 4096
	maxRanges     = 8
)

// ParseRanges applies a Range field (RFC 9110 section 14.2) to a body of size octets. The
// ranges come in ascending order, without those that do not exist, and with those that
// overlap or touch made one (section 15.3.7.2). A malformed field is ignored, as section
// 14.2 allows, and so is one that asks for more than
// eight ranges once they are joined, or 4096 before.
func ParseRanges(field string, size int64) ([]Range, RangeVerdict) {
	set, ok := cutPrefixFold(field, "bytes=")
	if !ok || size < 0 {
		return nil, RangeIgnored
	}
	specs := splitList(set)
	if len(specs) == 0 || len(specs) > maxRangeSpecs {
		return nil, RangeIgnored
	}
	var ranges []Range
	for _, spec := range specs {
		r, verdict := parseRangeSpec(spec, size)
		switch verdict {
		case RangeIgnored:
			return nil, RangeIgnored
		case RangePartial:
			ranges = append(ranges, r)
		default: // beyond the end
		}
	}
	ranges = coalesce(ranges)
	switch n := len(ranges); {
	case n == 0:
		return nil, RangeUnsatisfiable
	case n > maxRanges:
		return nil, RangeIgnored
	}
	return ranges, RangePartial
}

// coalesce sorts ranges and joins those that overlap or touch.
func coalesce(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 && r.Start <= out[n-1].End() {
			out[n-1].Length = max(out[n-1].End(), r.End()) - out[n-1].Start
			continue
		}
		out = append(out, r)
	}
	return out
}

// parseRangeSpec applies one int-range or suffix-range (section 14.1.1).
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

// suffixRange is the last n octets. Those of an empty body exist, but no Content-Range can say
// so: the whole is sent, which is the same (section 14.1.2).
func suffixRange(digits string, size int64) (Range, RangeVerdict) {
	n, ok := parsePosition(digits)
	switch {
	case !ok:
		return Range{}, RangeIgnored
	case n == 0:
		return Range{}, RangeUnsatisfiable
	case size == 0:
		return Range{}, RangeIgnored
	}
	n = min(n, size)
	return Range{Start: size - n, Length: n}, RangePartial
}

// parsePosition parses an offset; one that is too large to hold is the largest, so that it is
// behind the end of every body (section 14.1.1 warns of overflow).
func parsePosition(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}
