package cdn

// Site is what one customer wants: which domains, from which origin, under which
// rules. A Site is immutable once it is part of a [Snapshot].
type Site struct {
	// Name identifies the site; applying a site of the same name replaces it.
	Name SiteName `json:"site"`
	// Domains are the host names that visitors use. At least one; each belongs to
	// one site of the CDN only.
	Domains []Domain `json:"domains"`
	// Origin is where misses are fetched from.
	Origin Origin `json:"origin"`
	// Redirection is how the redirecting HTTP front treats the site's requests. Its zero value redirects all of them.
	Redirection Redirection `json:"redirection,omitzero"`
	// Routes are tried in order; the first that matches the request rules it. A
	// request that matches none obeys the origin's headers alone.
	Routes []Route `json:"routes,omitempty"`
}

// Route is a rule for some of a site's requests.
//
// A route works in two phases. Before the origin or the cache is asked, the first route
// that matches the request and has no status condition gives the request's part: Bypass,
// CacheKey, Rewrite, Redirect, ForceHTTPS, RequestHeaders, FollowRedirects, CORS,
// Compress, ObeyRequestCacheControl and Priority. Once the response is known, the first route that
// matches the request and the status gives the response's part: TTL, ForceCache,
// BrowserTTL, StaleWhileRevalidate, StaleIfError, NegativeTTL and ResponseHeaders.
// Nothing is inherited from another route.
type Route struct {
	// Match says which requests the route is for. Its zero value matches all.
	Match Match `json:"match,omitzero"`
	// TTL is the freshness lifetime of cacheable responses, in place of what the
	// origin's Cache-Control or Expires say. Zero leaves it to the origin. It does
	// not make a response storable that says no-store, no-cache or private.
	TTL Duration `json:"ttl,omitzero"`
	// ForceCache stores for TTL even what the origin marks no-store, no-cache or
	// private. It does not lift the guard on Set-Cookie and Authorization. It needs TTL.
	ForceCache bool `json:"force_cache,omitzero"`
	// Bypass sends matching requests to the origin and stores nothing.
	Bypass bool `json:"bypass,omitzero"`
	// BrowserTTL is the freshness lifetime that visitors are told, in place of the
	// origin's; nil leaves it to the origin, zero makes browsers ask each time.
	BrowserTTL *Duration `json:"browser_ttl,omitempty"`
	// StaleWhileRevalidate is how long after expiry a stored response is served while
	// it is renewed (RFC 5861 section 3). Zero leaves it to the origin.
	StaleWhileRevalidate Duration `json:"stale_while_revalidate,omitzero"`
	// StaleIfError is how long after expiry a stored response may still be served
	// when the origin fails (RFC 5861 section 4). Zero leaves it to the origin.
	StaleIfError Duration `json:"stale_if_error,omitzero"`
	// NegativeTTL is the freshness lifetime of errors by status, 4xx and 5xx, in place
	// of TTL and of the origin's; a code goes before its class, zero keeps it from
	// being served again. See [Route.Lifetime].
	NegativeTTL map[StatusPattern]Duration `json:"negative_ttl,omitempty"`
	// CacheKey says what of a request selects the stored response. Its zero value is
	// the whole URL.
	CacheKey KeyRule `json:"cache_key,omitzero"`
	// Rewrite changes the path that the origin is asked for; nil leaves it.
	Rewrite *Rewrite `json:"rewrite,omitempty"`
	// Redirect answers with another URL instead of asking the origin; nil does not.
	Redirect *Redirect `json:"redirect,omitempty"`
	// RequestHeaders changes the fields that the origin is sent.
	RequestHeaders HeaderRule `json:"request_headers,omitzero"`
	// ResponseHeaders changes the fields that visitors are sent; what is stored stays
	// as the origin sent it.
	ResponseHeaders HeaderRule `json:"response_headers,omitzero"`
	// FollowRedirects is how many redirects of the origin are followed before one is
	// passed on, 0 to 10.
	FollowRedirects int `json:"follow_redirects,omitzero"`
	// CORS answers cross-origin questions of browsers at the edge; nil leaves them to
	// the origin.
	CORS *CORS `json:"cors,omitempty"`
	// ForceHTTPS redirects http requests to the same URL under https.
	ForceHTTPS bool `json:"force_https,omitzero"`
	// Compress applies a content coding at the edge; nil leaves that to the origin.
	Compress *Compress `json:"compress,omitempty"`
	// ObeyRequestCacheControl follows the request's Cache-Control (RFC 9111 section
	// 5.2.1). Off by default, since any visitor could send load to the origin.
	ObeyRequestCacheControl bool `json:"obey_request_cache_control,omitzero"`
	// Priority says which requests a node refuses first when it has more to do than it can; empty is that of all others.
	Priority Priority `json:"priority,omitempty"`
}

// Priority is how much it matters that a request is answered while a node is overloaded.
type Priority string

// PriorityLow is of requests that are refused for a while before others suffer.
const PriorityLow Priority = "low"

// Lifetime returns the freshness lifetime that the route gives a response of the
// status: NegativeTTL of the code, of its class, or else TTL. It reports false if the
// origin is to say.
func (r *Route) Lifetime(status int) (Duration, bool) {
	if len(r.NegativeTTL) > 0 && status >= 400 && status <= 599 {
		for _, p := range [...]StatusPattern{exactStatus(status), statusClass(status)} {
			if d, ok := r.NegativeTTL[p]; ok {
				return d, true
			}
		}
	}
	return r.TTL, r.TTL > 0
}

// RouteFor returns the first route that matches path and its index, or the zero
// route and -1. It looks at the path's prefix and ending only and passes over every
// route with another condition, see [Match.Matches].
func (s *Site) RouteFor(path string) (Route, int) {
	for i, r := range s.Routes {
		if r.Match.Matches(path) {
			return r, i
		}
	}
	return Route{}, -1
}
