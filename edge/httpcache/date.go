package httpcache

import (
	"fmt"
	"strings"
	"time"
)

// ParseDate parses an HTTP-date in any of its three forms (RFC 9110 section 5.6.7). Letter
// case does not matter, and no zone but GMT is one (RFC 9111 section 4.2). Years of two digits
// are those that are at most 50 years ahead of now.
func ParseDate(value string, now time.Time) (time.Time, error) {
	layout := dateLayout(value)
	if layout == "" {
		return time.Time{}, fmt.Errorf("parsing date %q: it has none of the three forms of RFC 9110 section 5.6.7", value)
	}
	t, err := time.Parse(layout, strings.ToUpper(value))
	if err != nil {
		return time.Time{}, fmt.Errorf("parsing date %q: %w", value, err)
	}
	if layout == rfc850 {
		t = nearestCentury(t, now)
	}
	return t, nil
}

// rfc850 is the obsolete form of RFC 850, with the one zone that is allowed.
const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"

// dateLayout recognises the form of a date by its length: time.Parse alone would let pass
// numbers without leading zeros, and fractions.
func dateLayout(value string) string {
	const imf, asctime = "Mon, 02 Jan 2006 15:04:05 GMT", "Mon Jan _2 15:04:05 2006"
	_, rest, comma := strings.Cut(value, ",")
	switch {
	case len(value) == len(imf) && strings.IndexByte(value, ',') == 3:
		return imf
	case comma && len(rest) == len(" 02-Jan-06 15:04:05 GMT"):
		return rfc850
	case !comma && len(value) == len(asctime):
		return asctime
	}
	return ""
}

// nearestCentury moves a date with a two-digit year into the latest century in which it is not
// more than 50 years ahead.
func nearestCentury(t, now time.Time) time.Time {
	limit := now.UTC().AddDate(50, 0, 0)
	year := limit.Year() - limit.Year()%100 + t.Year()%100
	moved := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	if moved.After(limit) {
		moved = time.Date(year-100, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	}
	return moved
}
