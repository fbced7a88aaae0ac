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
	Absent                    // the visitor wants a stored response or none, and there is none: answer 504
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
	case Absent:
		return "absent"
	default:
		return "miss"
	}
}

// Decision is a verdict with its grounds.
type Decision struct {
	// Verdict says what to do.
	Verdict Verdict
	// Reason is for people and for the detail of Cache-Status: "fresh", "stale", a
	// directive's name such as "no-cache" or "stale-while-revalidate", "request " and a
	// directive's name, or "nothing stored", "vary", "authorization", "precondition", "method", "bypass".
	Reason string
	// Section is the rule behind Reason, such as "RFC 9111 section 4.2"; empty if
	// the operator asked for it.
	Section string
	// Age and TTL are of the stored response, zero if there is none; TTL is what
	// is left of its lifetime and negative once it is stale.
	Age, TTL time.Duration
}

// Decide says how to answer req, given the stored response that its key and its
// fields select, or nil (section 4). The request's own Cache-Control and Pragma count
// only if the policy says so: they are advice that a cache may leave unfollowed (section 5.2.1),
// and following it lets any visitor send load to the origin.
func Decide(now time.Time, req Request, stored *Response, p Policy) Decision {
	if d := passes(req, p); d.Reason != "" {
		return d
	}
	if req.Header["Authorization"] != nil {
		p.ForceCache = false
	}
	var advice RequestDirectives
	if p.ObeyRequest {
		advice = ParseRequestDirectives(req.Header)
	}
	d := decide(now, req, stored, p, &advice)
	if advice.OnlyIfCached && (d.Verdict == Miss || d.Verdict == Revalidate || d.Verdict == Pass) {
		d.Verdict, d.Reason, d.Section = Absent, "request only-if-cached", "RFC 9111 section 5.2.1.7"
	}
	return d
}

// passes names what keeps a request away from the cache; Reason is empty if nothing does.
func passes(req Request, p Policy) Decision {
	switch {
	case p.Bypass:
		return Decision{Verdict: Pass, Reason: "bypass"}
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return Decision{Verdict: Pass, Reason: "method", Section: "RFC 9111 section 4"}
	case req.Header["If-Match"] != nil || req.Header["If-Unmodified-Since"] != nil:
		// Only the origin knows the current state; a cache must not answer 412 for it.
		return Decision{Verdict: Pass, Reason: "precondition", Section: "RFC 9111 section 4.3.2"}
	}
	return Decision{}
}

func decide(now time.Time, req Request, stored *Response, p Policy, advice *RequestDirectives) Decision {
	if stored == nil {
		return Decision{Verdict: Miss, Reason: "nothing stored", Section: "RFC 9111 section 4"}
	}
	if !stored.Matches(req.Header) {
		return Decision{Verdict: Miss, Reason: "vary", Section: "RFC 9111 section 4.1"}
	}
	if req.Header["Authorization"] != nil && !stored.allowsAuthorized() {
		// The RFC restricts only what such a request leaves behind (section 3.5); an
		// origin that answers by Authorization without saying so is too common.
		return Decision{Verdict: Pass, Reason: "authorization", Section: "RFC 9111 section 3.5"}
	}
	d := Decision{Age: stored.Age(now), TTL: stored.TTL(now, p)}
	switch {
	case stored.noCache(p):
		d.Verdict, d.Reason, d.Section = Revalidate, "no-cache", "RFC 9111 section 5.2.2.4"
	case advice.NoCache:
		d.Verdict, d.Reason, d.Section = Revalidate, "request no-cache", "RFC 9111 section 5.2.1.4"
	case d.TTL > 0:
		stored.judgeFresh(&d, advice)
	default:
		stored.judgeStale(&d, p, advice)
	}
	return d
}

// judgeFresh decides about a response that is fresh. An immutable one is not validated for
// the sake of max-age, with which browsers reload a page: that is the load that RFC 8246
// section 2.1 wants to save. They mean validation when they say no-cache.
func (r *Response) judgeFresh(d *Decision, advice *RequestDirectives) {
	switch {
	case advice.MaxAge.Valid && d.Age > advice.MaxAge.Value && !r.directives.Immutable:
		d.Verdict, d.Reason, d.Section = Revalidate, "request max-age", "RFC 9111 section 5.2.1.1"
	case advice.MinFresh.Valid && d.TTL < advice.MinFresh.Value:
		d.Verdict, d.Reason, d.Section = Revalidate, "request min-fresh", "RFC 9111 section 5.2.1.3"
	default:
		d.Verdict, d.Reason, d.Section = Fresh, "fresh", "RFC 9111 section 4.2"
	}
}

// judgeStale decides about a response that is stale: it needs somebody's permission to be
// used (section 4.2.4). A visitor who names a max-age or min-fresh wants none (section 5.2.1.1).
func (r *Response) judgeStale(d *Decision, p Policy, advice *RequestDirectives) {
	wantsFresh := advice.MinFresh.Valid || advice.MaxAge.Valid && !advice.MaxStale.Valid
	tooOld := advice.MaxAge.Valid && d.Age > advice.MaxAge.Value
	switch {
	case r.mustRevalidate():
		d.Verdict, d.Reason, d.Section = Revalidate, "must-revalidate", "RFC 9111 section 5.2.2.2"
	case wantsFresh || tooOld:
		d.Verdict, d.Reason, d.Section = Revalidate, "stale", "RFC 9111 section 5.2.1.1"
	case -d.TTL < r.staleWhileRevalidate(p):
		d.Verdict, d.Reason, d.Section = Stale, "stale-while-revalidate", "RFC 5861 section 3"
	case advice.MaxStale.Valid && -d.TTL <= advice.MaxStale.Value && !r.forbidsStale():
		d.Verdict, d.Reason, d.Section = Stale, "request max-stale", "RFC 9111 section 5.2.1.2"
	default:
		d.Verdict, d.Reason, d.Section = Revalidate, "stale", "RFC 9111 section 4.2.4"
	}
}
