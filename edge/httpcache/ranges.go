package httpcache

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is a part of a body.
type Range struct {
	Start  int64 // offset of the first octet
	Length int64 // number of octets, at least one
}

// ContentRange formats the range as the Content-Range field of a body of size octets.
func (r Range) ContentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.Start, r.Start+r.Length-1, size)
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

// ParseRange applies a Range field (RFC 9110 section 14.2) to a body of size
// octets. A malformed one and one of several ranges are ignored, as section 14.2
// allows: several ranges are a known way to make a server send much for little.
func ParseRange(field string, size int64) (Range, RangeVerdict) {
	spec, ok := cutPrefixFold(field, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return Range{}, RangeIgnored
	}
	first, last, ok := strings.Cut(strings.Trim(spec, " \t"), "-")
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

// suffixRange is the last n octets.
func suffixRange(digits string, size int64) (Range, RangeVerdict) {
	n, ok := parsePosition(digits)
	switch {
	case !ok:
		return Range{}, RangeIgnored
	case n == 0 || size == 0:
		return Range{}, RangeUnsatisfiable
	}
	n = min(n, size)
	return Range{Start: size - n, Length: n}, RangePartial
}

func parsePosition(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
