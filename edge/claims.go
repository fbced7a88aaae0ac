package edge

import (
	"net/http"
	"slices"
	"strings"

	"nearcast/cdn"
	"nearcast/edge/rules"
)

// dropClaims removes the fields by which visitors could tell an origin another host, path, method, scheme or address
// than the ones that are in the cache key: a response to them would be stored for everybody
// with that key. A route that has such a field in its key lets it pass.
func dropClaims(method string, h http.Header, rule *cdn.Route) {
	keyed := rule.CacheKey.Headers
	safe := method == http.MethodGet || method == http.MethodHead
	for name := range h {
		// Some servers make no difference between the two.
		plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if isClaim(plain, safe) && !slices.Contains(keyed, name) {
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
	"Remote-", "Nearcast-", "Proxy-Client", "Http-Client", "Http-X-Forward", "Cluster-Client", "X-True-", "X-Source-Ip", "X-Custom-Ip",
	"X-Envoy-", "X-Arr-", "X-Script-Name", "Script-Name", "X-Accel-", "X-Sendfile", "X-Invoke-", "X-Matched-Path", "X-Now-Route",
	"X-Middleware-",
}

// isClaim reports whether a field claims what the node itself knows. That of another method has its use, but
// not where the method is one whose response is stored.
func isClaim(name string, safe bool) bool {
	if safe && claimsMethod(name) {
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

func claimsMethod(name string) bool {
	return strings.HasPrefix(name, "X-Http-Method") || strings.HasPrefix(name, "X-Method")
}

// mayAnswerGET reports whether the answer to a POST may be stored for later GETs: not if the request says anything that
// is in no key of theirs.
func (x *exchange) mayAnswerGET() bool {
	for name := range x.header {
		if claimsMethod(http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			return false
		}
	}
	get := x.tables.rules[x.site].Request(rules.Request{Method: http.MethodGet, Target: x.target, Header: x.header, Country: x.country})
	return get.Key == x.key && get.Variant == x.plan.Variant && get.Origin == x.plan.Origin && len(get.Rule.CacheKey.Cookies) == 0
}
