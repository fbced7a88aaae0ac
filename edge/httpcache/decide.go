package httpcache

import (
	"net/http"
	"time"
)

// Verdict says how a request is to be answered.
type Verdict uint8

// The verdicts.
const (
	Miss       Verdict = iota // nothing usable is stored: fetch, and store what may be stored
	Fresh                     // serve the stored response
	Stale                     // serve the stored response and refresh it afterwards
	Revalidate                // ask upstream whether the stored response still holds
	Pass                      // let the request through; neither use nor store anything
)

// String returns the verdict's name.
func (v Verdict) String() string {
	switch v {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Revalidate:
		return "revalidate"
	case Pass:
		return "pass"
	default:
		return "miss"
	}
}

// Decision is a verdict with its grounds.
type Decision struct {
	Verdict Verdict
	// Reason is for people and for the detail of Cache-Status.
	Reason string
	// Age and TTL are of the stored response, zero if there is none; TTL is what
	// is left of its lifetime and negative once it is stale.
	Age, TTL time.Duration
}

// Decide says how to answer req, given the stored response that its key and its
// fields select, or nil (section 4). The request's own Cache-Control and Pragma are not
// looked at: they are advice that a cache may leave unfollowed (section 5.2.1),
// and following it would let any visitor send load to the origin.
func Decide(now time.Time, req Request, stored *Response, p Policy) Decision {
	if reason := passes(req, p); reason != "" {
		return Decision{Verdict: Pass, Reason: reason}
	}
	if stored == nil || !stored.Matches(req.Header) {
		return Decision{Verdict: Miss, Reason: "nothing stored"}
	}
	if req.Header["Authorization"] != nil && !stored.allowsAuthorized() {
		// The RFC restricts only what such a request leaves behind (section 3.5); an
		// origin that answers by Authorization without saying so is too common.
		return Decision{Verdict: Pass, Reason: "authorization"}
	}
	d := Decision{Age: stored.Age(now)}
	d.TTL = stored.Lifetime(p) - d.Age
	d.Verdict, d.Reason = stored.judge(d)
	return d
}

// passes names what keeps a request away from the cache, or returns "".
func passes(req Request, p Policy) string {
	switch {
	case p.Bypass:
		return "bypass"
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return "method"
	case req.Header["If-Match"] != nil || req.Header["If-Unmodified-Since"] != nil:
		return "precondition" // only the origin knows the current state (section 4.3.2)
	}
	return ""
}

func (r *Response) judge(d Decision) (Verdict, string) {
	if r.directives.NoCache {
		return Revalidate, "no-cache"
	}
	swr := r.directives.StaleWhileRevalidate
	switch {
	case d.TTL > 0:
		return Fresh, "fresh"
	case swr.Valid && -d.TTL < swr.Value && !r.mustRevalidate():
		return Stale, "stale-while-revalidate"
	}
	return Revalidate, "stale"
}

// mustRevalidate reports whether the origin said in so many words that a stale
// response is not to be used.
func (r *Response) mustRevalidate() bool {
	return r.directives.MustRevalidate || r.directives.ProxyRevalidate || r.directives.NoCache
}

// forbidsStale adds the prohibition that s-maxage implies (section 5.2.2.10). An explicit
// stale-while-revalidate or stale-if-error beside it is permission again:
// without that nobody could give a CDN both.
func (r *Response) forbidsStale() bool { return r.mustRevalidate() || r.directives.SMaxAge.Present }

// AfterError reports whether a stored response may stand in for an upstream that
// failed: within a stale-if-error window (RFC 5861 section 4), or, if the
// upstream was not reachable at all, because the cache is disconnected (section 4.2.4).
func (r *Response) AfterError(now time.Time, p Policy, disconnected bool) bool {
	if r.mustRevalidate() {
		return false
	}
	staleness := r.Age(now) - r.Lifetime(p)
	window := p.StaleIfError
	if own := r.directives.StaleIfError; own.Valid {
		window = max(window, own.Value)
	}
	return staleness <= 0 || staleness < window || disconnected && !r.forbidsStale()
}
