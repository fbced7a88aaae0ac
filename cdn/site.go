package cdn

import "strings"

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
	// Routes are tried in order; the first that matches the request rules it. A
	// request that matches none obeys the origin's headers alone.
	Routes []Route `json:"routes,omitempty"`
}

// Route is a rule for some of a site's requests.
type Route struct {
	// Match says which requests the route is for. Its zero value matches all.
	Match Match `json:"match,omitzero"`
	// TTL is the freshness lifetime of cacheable responses, in place of what the
	// origin's Cache-Control or Expires say. Zero leaves it to the origin. It does
	// not make a response storable that says no-store, no-cache or private.
	TTL Duration `json:"ttl,omitzero"`
	// Bypass sends matching requests to the origin and stores nothing.
	Bypass bool `json:"bypass,omitzero"`
	// StaleIfError is how long after expiry a stored response may still be served
	// when the origin fails (RFC 5861 section 4). Zero leaves it to the origin.
	StaleIfError Duration `json:"stale_if_error,omitzero"`
}

// Match selects requests. Every field that is set must match.
type Match struct {
	// PathPrefix is compared with the normalised path; it starts with "/".
	PathPrefix string `json:"path_prefix,omitempty"`
	// Extensions are file name endings with their dot, such as ".js"; any one matches.
	Extensions []string `json:"extensions,omitempty"`
}

// Matches reports whether a request for the normalised path is selected.
func (m Match) Matches(path string) bool {
	if !strings.HasPrefix(path, m.PathPrefix) {
		return false
	}
	if len(m.Extensions) == 0 {
		return true
	}
	for _, ext := range m.Extensions {
		if strings.HasSuffix(path, ext) {
			return true
		}
	}
	return false
}

// RouteFor returns the first route that matches path and its index, or the zero
// route and -1.
func (s *Site) RouteFor(path string) (Route, int) {
	for i, r := range s.Routes {
		if r.Match.Matches(path) {
			return r, i
		}
	}
	return Route{}, -1
}
