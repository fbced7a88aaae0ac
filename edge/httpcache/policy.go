package httpcache

import "time"

// Policy is what the operator adds to the origin's words. Its zero value adds nothing. It
// is read only, so that requests may share it.
type Policy struct {
	// TTL is the freshness lifetime in place of the origin's. Zero leaves it to the
	// origin. It does not undo no-store, private or no-cache: that takes ForceCache.
	TTL time.Duration
	// NegativeTTL is the lifetime of error responses, by status code (404) or by class (4
	// for the rest of 4xx, 5 for the rest of 5xx), in place of TTL and of the origin's. Zero keeps an error from
	// being reused at all.
	NegativeTTL map[int]time.Duration
	// StaleWhileRevalidate is how long after expiry a response may be served while it is
	// being refreshed (RFC 5861 section 3). The longer one of it and the origin's counts.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long after expiry a response may be served when the
	// origin fails (RFC 5861 section 4). The longer one of it and the origin's counts.
	StaleIfError time.Duration
	// Expired is when the operator has declared the stored response stale, zero if never: it has been so since then, if not
	// for longer.
	Expired time.Time
	// ForceCache disregards no-store, no-cache and private of the origin. It does not make
	// a lifetime: give a TTL with it. It never applies to a response with Set-Cookie or
	// to a request with Authorization, whose answers are somebody's own, nor to a status
	// that would not be stored without those directives.
	ForceCache bool
	// Bypass makes every request pass.
	Bypass bool
	// GuardCookies keeps a response with Set-Cookie from being stored unless the
	// origin says public or s-maxage. RFC 9111 section 7.3 leaves that to the cache;
	// one visitor's cookie in another's browser is never meant.
	GuardCookies bool
	// ObeyRequest follows the Cache-Control of requests (section 5.2.1), which a cache may
	// leave unfollowed. Off, since any visitor could send load to the origin with it.
	ObeyRequest bool
}

// negative returns the lifetime that the policy gives to an error status.
func (p Policy) negative(status int) (time.Duration, bool) {
	if status < 400 || len(p.NegativeTTL) == 0 {
		return 0, false
	}
	ttl, ok := p.NegativeTTL[status]
	if !ok {
		ttl, ok = p.NegativeTTL[status/100]
	}
	return ttl, ok
}
