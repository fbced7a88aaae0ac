package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ForBrowser sets the fields that tell a visitor how long to keep the response, if the policy
// has a BrowserTTL; otherwise they stay as the origin made them. h is what will be sent,
// with Age if the response is from the store: the visitor subtracts it from max-age,
// so that it is added here. An origin that says no-store, no-cache or private to visitors is believed,
// unless the policy forces the cache. CDN-Cache-Control stays: it is for caches of other CDNs
// (RFC 9213 section 3).
func (r *Response) ForBrowser(h http.Header, p Policy) {
	if p.BrowserTTL == nil {
		return
	}
	d := ParseDirectives(h)
	if (d.NoStore || d.NoCache || d.Private) && !r.forced(p) {
		return
	}
	var lifetime time.Duration
	if *p.BrowserTTL > 0 {
		lifetime = *p.BrowserTTL + parseDelta(h.Get("Age")).Value
	}
	kept := []string{"max-age=" + strconv.FormatInt(int64(lifetime/time.Second), 10)}
	for m := range members(h["Cache-Control"]) {
		if !replaced(parseDirective(m).name, r.forced(p)) {
			kept = append(kept, m)
		}
	}
	h["Cache-Control"] = []string{strings.Join(kept, ", ")}
	delete(h, "Expires")
	delete(h, "Pragma")
}

// replaced lists the directives that give way to a lifetime from the operator. Those of
// no-cache and private that name fields stay, unless the cache is forced.
func replaced(name string, forced bool) bool {
	switch name {
	case "max-age", "s-maxage":
		return true
	case "no-store", "no-cache", "private":
		return forced
	}
	return false
}
