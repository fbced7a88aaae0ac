package httpcache

import (
	"net/http"
	"time"
)

// maxHeuristic bounds the lifetime that is guessed from Last-Modified.
const maxHeuristic = 24 * time.Hour

// Lifetime returns the freshness lifetime of a response for a shared cache
// (section 4.2.1), or the policy's. It is never negative.
func (r *Response) Lifetime(p Policy) time.Duration {
	if ttl, ok := p.negative(r.Status); ok {
		return max(0, ttl)
	}
	if p.TTL > 0 {
		return p.TTL
	}
	return r.lifetime
}

// ownLifetime is the freshness lifetime without a policy.
func (r *Response) ownLifetime() time.Duration {
	switch d := &r.directives; {
	case d.SMaxAge.Present:
		return d.SMaxAge.Value // zero, so stale, if the number is malformed
	case d.MaxAge.Present:
		return d.MaxAge.Value
	case r.hasExpires():
		return r.untilExpires()
	}
	return r.heuristicLifetime()
}

// saysLifetime reports whether the response has an explicit expiration time (section 4.2).
func (r *Response) saysLifetime() bool {
	return r.directives.MaxAge.Present || r.directives.SMaxAge.Present || r.hasExpires()
}

// hasExpires reports whether there is an Expires that counts: none does beside a
// targeted field (RFC 9213 section 2.2).
func (r *Response) hasExpires() bool { return !r.targeted && r.Header["Expires"] != nil }

// untilExpires is Expires minus Date; a date that does not parse, "0" above all,
// means already expired (section 5.3). The earliest of several counts, for the reason that
// [Delta.tighten] gives.
func (r *Response) untilExpires() time.Duration {
	lifetime := maxDelta
	for _, line := range r.Header["Expires"] {
		expires, err := ParseDate(line, r.ResponseTime)
		if err != nil {
			return 0
		}
		lifetime = min(lifetime, expires.Sub(r.date))
	}
	return max(0, lifetime)
}

// heuristicLifetime is a tenth of the time since the last modification (section 4.2.2).
func (r *Response) heuristicLifetime() time.Duration {
	if !heuristicallyCacheable(r.Status) && !r.directives.Public {
		return 0
	}
	modified, err := ParseDate(r.Header.Get("Last-Modified"), r.ResponseTime)
	if err != nil {
		return 0
	}
	return min(max(0, r.date.Sub(modified)/10), maxHeuristic)
}

// originated is the Date field, or the time of receipt in its stead (RFC 9110 section 6.6.1).
func (r *Response) originated() time.Time {
	if t, err := ParseDate(r.Header.Get("Date"), r.ResponseTime); err == nil {
		return t
	}
	return r.ResponseTime
}

// heuristicallyCacheable lists the status codes that RFC 9110 section 15.1 names, and 451
// (RFC 7725 section 3). Of 206 see [Response.Whole].
func heuristicallyCacheable(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent, http.StatusMultipleChoices,
		http.StatusMovedPermanently, http.StatusPermanentRedirect, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusGone, http.StatusRequestURITooLong, http.StatusNotImplemented, http.StatusUnavailableForLegalReasons:
		return true
	}
	return false
}
