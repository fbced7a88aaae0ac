package edge

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"nearcast/edge/rules"
)

// dropClaims removes the fields by which visitors could tell an origin another host, path, method, scheme or address
// than the ones that are in the cache key: a response to them would be stored for everybody
// with that key. A route that has such a field in its key lets it pass.
func dropClaims(method string, h http.Header, plan *rules.Plan) {
	keyed := plan.Rule.CacheKey.Headers
	safe := method == http.MethodGet || method == http.MethodHead
	for name := range h {
		if isClaim(name, safe) && !slices.Contains(keyed, name) {
			delete(h, name)
		}
	}
}

// claimPrefixes begin the names of fields that make claims.
var claimPrefixes = [...]string{ //nolint:gochecknoglobals // constant
	"X-Forward", "X-Original", "X-Rewrite", "X-Http-Host", "X-Http-Destinationurl", "X-Http-Path", "X-Host", "X-Real-", "X-Client-Ip", "X-Cluster-", "X-Remote", "X-Originating", "X-Proxy", "X-Url", "X-Uri", "X-Request-Uri",
	"X-Server-Name", "X-Backend", "X-Path-", "X-Base-Url", "X-Azure-", "X-Appengine-", "X-Ms-Proxy", "X-Wap-", "Forwarded", "Cf-", "Fastly-",
	"Akamai-", "X-Akamai-", "X-Amz-Website", "X-Amz-Cf-", "Cloudfront-", "Front-End-Https", "True-Client", "Client-Ip",
	"Wl-Proxy-", "Proxy-Host", "Proxy-Url", "Proxy-Request", "Base-Url", "Http-Url", "Http-Host", "Request-Uri", "Real-Ip", "Redirect",
	"Remote-", "Nearcast-",
}

// isClaim reports whether a field claims what the node itself knows. That of another method has its use, but
// not where the method is one whose response is stored.
func isClaim(name string, safe bool) bool {
	if safe && (strings.HasPrefix(name, "X-Http-Method") || strings.HasPrefix(name, "X-Method")) {
		return true
	}
	switch name {
	case "Expect", "Content-Length", "Uri", "Url", "X-Scheme", "X-Https", "X-Ssl", "X-Port", "X-Protocol", "X-Forwarded":
		return true
	}
	for _, prefix := range claimPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// country returns the visitor's country, or "".
func (t *tables) country(client string) string {
	addr, err := netip.ParseAddr(client)
	if err != nil {
		return ""
	}
	return t.countries.Of(addr)
}
