package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxHeuristic bounds the lifetime that is guessed from Last-Modified.
const maxHeuristic = 24 * time.Hour

// Policy is what the operator adds to the origin's words. Its zero value adds nothing.
type Policy struct {
	// TTL is the freshness lifetime in place of the origin's. Zero leaves it to the origin.
	TTL time.Duration
	// StaleIfError is how long after expiry a response may be served when the
	// origin fails. Zero leaves it to the origin.
	StaleIfError time.Duration
	// Bypass makes every request pass.
	Bypass bool
	// GuardCookies keeps a response with Set-Cookie from being stored unless the
	// origin says public or s-maxage. RFC 9111 section 7.3 leaves that to the cache;
	// one visitor's cookie in another's browser is never meant.
	GuardCookies bool
}

// Lifetime returns the freshness lifetime of a response for a shared cache
// (section 4.2.1), or the policy's.
func (r *Response) Lifetime(p Policy) time.Duration {
	switch d := &r.directives; {
	case p.TTL > 0:
		return p.TTL
	case d.SMaxAge.Present:
		return d.SMaxAge.Value // zero, so stale, if the number is malformed
	case d.MaxAge.Present:
		return d.MaxAge.Value
	case r.Header["Expires"] != nil:
		return r.untilExpires()
	}
	return r.heuristicLifetime()
}

// untilExpires is Expires minus Date; a date that does not parse, "0" above all,
// means already expired (section 5.3).
func (r *Response) untilExpires() time.Duration {
	expires, err := http.ParseTime(r.Header.Get("Expires"))
	if err != nil {
		return 0
	}
	return max(0, min(expires.Sub(r.date()), maxDelta))
}

// heuristicLifetime is a tenth of the time since the last modification (section 4.2.2).
func (r *Response) heuristicLifetime() time.Duration {
	if !heuristicallyCacheable(r.Status) && !r.directives.Public {
		return 0
	}
	modified, err := http.ParseTime(r.Header.Get("Last-Modified"))
	if err != nil {
		return 0
	}
	return min(max(0, r.date().Sub(modified)/10), maxHeuristic)
}

// date is the Date field, or the time of receipt in its stead (RFC 9110 section 6.6.1).
func (r *Response) date() time.Time {
	if t, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		return t
	}
	return r.ResponseTime
}

// Age returns the current age (section 4.2.3).
func (r *Response) Age(now time.Time) time.Duration {
	apparent := max(0, r.ResponseTime.Sub(r.date()))
	corrected := r.ageField() + r.ResponseTime.Sub(r.RequestTime)
	return max(apparent, corrected) + max(0, now.Sub(r.ResponseTime))
}

// ageField is the Age that the response came with; the first number counts, and a
// malformed one is ignored (section 5.1).
func (r *Response) ageField() time.Duration {
	first, _, _ := strings.Cut(r.Header.Get("Age"), ",")
	return parseDelta(strings.Trim(first, " \t")).Value
}

// AgeField formats an age as the Age field wants it: whole seconds.
func AgeField(age time.Duration) string { return strconv.FormatInt(int64(age/time.Second), 10) }

// heuristicallyCacheable lists the status codes that RFC 9110 section 15.1 names;
// 206 is missing because partial responses are not stored here.
func heuristicallyCacheable(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent, http.StatusMultipleChoices,
		http.StatusMovedPermanently, http.StatusPermanentRedirect, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusGone, http.StatusRequestURITooLong, http.StatusNotImplemented:
		return true
	}
	return false
}
