package httpcache

import "time"

// forced reports whether the policy overrules the origin's restrictions.
func (r *Response) forced(p Policy) bool { return p.ForceCache && r.Header["Set-Cookie"] == nil }

// noCache reports whether each use needs a validation.
func (r *Response) noCache(p Policy) bool { return r.directives.NoCache && !r.forced(p) }

// mustRevalidate reports whether the origin said in so many words that a stale
// response is not to be used (sections 5.2.2.2 and 5.2.2.8).
func (r *Response) mustRevalidate() bool {
	return r.directives.MustRevalidate || r.directives.ProxyRevalidate
}

// forbidsStale adds the prohibition that s-maxage implies (section 5.2.2.10). An explicit
// stale-while-revalidate or stale-if-error beside it is permission again:
// without that nobody could give a CDN both.
func (r *Response) forbidsStale() bool { return r.mustRevalidate() || r.directives.SMaxAge.Present }

// TTL is how long the response stays fresh; negative once it is stale (section 4.2).
func (r *Response) TTL(now time.Time, p Policy) time.Duration {
	ttl := r.Lifetime(p) - r.Age(now)
	if !p.Expired.IsZero() {
		ttl = min(ttl, p.Expired.Sub(now), 0)
	}
	return ttl
}

func (r *Response) staleWhileRevalidate(p Policy) time.Duration {
	return max(p.StaleWhileRevalidate, r.directives.StaleWhileRevalidate.Value)
}

func (r *Response) staleIfError(p Policy) time.Duration {
	return max(p.StaleIfError, r.directives.StaleIfError.Value)
}

// AfterErrorFor reports whether a stored response may stand in for an upstream that
// failed: within a stale-if-error window (RFC 5861 section 4), or, if the
// upstream was not reachable at all, because the cache is disconnected (section 4.2.4). The request's own directives
// count if the policy says so. Its stale-if-error widens the window, unless the origin forbids stale
// responses. Within the window no other wish for freshness counts (RFC 5861 section 4: "regardless of
// other freshness information"); behind it no-cache, max-age and min-fresh without max-stale refuse what
// a disconnected cache would offer (section 5.2.1).
func AfterErrorFor(now time.Time, req Request, r *Response, p Policy, disconnected bool) bool {
	if req.Header["Authorization"] != nil {
		p.ForceCache = false
	}
	if r.mustRevalidate() || r.noCache(p) {
		return false
	}
	var advice RequestDirectives
	if p.ObeyRequest {
		advice = ParseRequestDirectives(req.Header)
	}
	window := r.staleIfError(p)
	if !r.forbidsStale() {
		window = max(window, advice.StaleIfError.Value)
	}
	staleness := -r.TTL(now, p)
	if staleness < 0 || staleness < window {
		return true
	}
	refused := advice.NoCache || (advice.MaxAge.Valid || advice.MinFresh.Valid) && !advice.MaxStale.Valid
	return disconnected && !refused && !r.forbidsStale()
}
