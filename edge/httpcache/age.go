package httpcache

import (
	"strconv"
	"strings"
	"time"
)

// Age returns the current age (section 4.2.3). It is never negative, whatever the clocks
// say, and at most three times 2^31 seconds.
func (r *Response) Age(now time.Time) time.Duration { return r.initial + span(r.ResponseTime, now) }

// initialAge is the corrected_initial_age: how old the response was when it came.
func (r *Response) initialAge() time.Duration {
	apparent := span(r.date, r.ResponseTime)
	corrected := r.ageField() + span(r.RequestTime, r.ResponseTime)
	return max(apparent, corrected)
}

// span is the time from one moment to a later one, within the bounds of delta-seconds
// (section 1.2.2).
func span(from, to time.Time) time.Duration { return min(max(0, to.Sub(from)), maxDelta) }

// ageField is the Age that the response came with; the first number counts, and a
// malformed one is ignored (section 5.1).
func (r *Response) ageField() time.Duration {
	first, _, _ := strings.Cut(r.Header.Get("Age"), ",")
	return parseDelta(strings.Trim(first, " \t")).Value
}

// AgeField formats an age as the Age field wants it: whole seconds.
func AgeField(age time.Duration) string { return strconv.FormatInt(int64(age/time.Second), 10) }
