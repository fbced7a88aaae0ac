package fill

import "math"

// Span is a part of a content that is asked for.
type Span struct {
	// Start is the offset of the first octet. Negative means counted from the end, which
	// nobody knows yet: the last -Start octets.
	Start int64
	// End is the offset behind the last octet; of no meaning if Start is negative.
	End int64
}

// Whole is the span of all there is.
func Whole() Span { return Span{End: math.MaxInt64} }

// Covers reports whether a fill that asks for s brings what other wants.
func (s Span) Covers(other Span) bool {
	switch {
	case s == Whole(), s == other:
		return true
	case s.Start < 0 || other.Start < 0:
		return false
	}
	return s.Start <= other.Start && other.End <= s.End
}
