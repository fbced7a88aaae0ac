package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
)

// The fields that tell the origin what the cache key has of the visitor. From visitors they are
// dropped.
const (
	deviceField  = "Nearcast-Device"
	countryField = "Nearcast-Country"
)

// RequestHeader makes the visitor's end-to-end fields those for the origin. Like
// Plan.Origin it is for the node that asks the origin itself.
func (p *Plan) RequestHeader(h http.Header) {
	h.Del(deviceField)
	h.Del(countryField)
	if p.Device != "" {
		h[deviceField] = []string{p.Device}
	}
	if p.Rule.CacheKey.Country && p.request.Country != "" {
		h[countryField] = []string{p.request.Country}
	}
	if names := p.Rule.CacheKey.Cookies; len(names) > 0 && p.cacheable && h["Cookie"] != nil {
		if kept := onlyCookies(h["Cookie"], names); kept != "" {
			h["Cookie"] = []string{kept}
		} else {
			delete(h, "Cookie")
		}
	}
	change(&p.Rule.RequestHeaders, h)
}

// ResponseHeader changes the fields of a response on its way to the visitor, by the route
// that [Plan.Response] gives. What is stored, and what a node sends another, stays as it is.
func ResponseHeader(rule *cdn.Route, h http.Header) { change(&rule.ResponseHeaders, h) }

func change(rule *cdn.HeaderRule, h http.Header) {
	for _, name := range rule.Delete {
		delete(h, name)
	}
	for name, value := range rule.Set {
		h[name] = []string{value}
	}
	for name, value := range rule.Add {
		h[name] = append(slices.Clip(h[name]), value) // the lines may be shared with what is stored
	}
}

// BrowserTTL makes a response on its way to the visitor say the route's browser TTL in
// place of the origin's Cache-Control and Expires. A response that the origin keeps from
// caches stays so, unless the route forces caching; so does an error, unless the route is for its
// status. As browsers count a response's Age (RFC 9111 section 4.2.3), it is added.
func BrowserTTL(rule *cdn.Route, status int, h http.Header) {
	if !SaysBrowserTTL(rule, status, h) {
		return
	}
	h.Del("Expires")
	h.Del("Pragma")
	if *rule.BrowserTTL == 0 {
		h["Cache-Control"] = []string{"no-cache"}
		return
	}
	age, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err != nil {
		age = 0
	}
	seconds := int64(rule.BrowserTTL.Std()/time.Second) + int64(age)
	h["Cache-Control"] = []string{"max-age=" + strconv.FormatInt(seconds, 10)}
}

// SaysBrowserTTL reports whether [BrowserTTL] changes a response.
func SaysBrowserTTL(rule *cdn.Route, status int, h http.Header) bool {
	return rule.BrowserTTL != nil && browserMayStore(rule, status, h)
}

func browserMayStore(rule *cdn.Route, status int, h http.Header) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 304, 308: // cacheable by default (RFC 9110 section 15.1), errors aside
	default:
		if len(rule.Match.Status) == 0 {
			return false
		}
	}
	return rule.ForceCache || !hasDirective(h["Cache-Control"], "no-store", "no-cache", "private")
}

// hasDirective reports whether Cache-Control has one of the directives, with an argument or
// without.
func hasDirective(lines []string, names ...string) bool {
	for _, line := range lines {
		for directive := range strings.SplitSeq(line, ",") {
			directive, _, _ = strings.Cut(directive, "=")
			for _, name := range names {
				if strings.EqualFold(strings.Trim(directive, " \t"), name) {
					return true
				}
			}
		}
	}
	return false
}
