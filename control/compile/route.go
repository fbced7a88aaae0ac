package compile

import (
	"fmt"
	"strings"

	"nearcast/cdn"
)

// Bounds of one site's routes.
const (
	maxRoutes     = 1000
	maxItems      = 200    // of a list or mapping
	maxRegexpCost = 10_000 // instructions of a site's regular expressions together
	maxFollowed   = 10
)

// requestKeys act before the response is known; a route with a status has none.
var requestKeys = [...]string{ //nolint:gochecknoglobals // a table that nobody changes
	"bypass", "cache_key", "rewrite", "redirect", "request_headers", "follow_redirects", "cors", "force_https", "compress",
	"obey_request_cache_control", "priority",
}

func readRoute(c cursor) (r cdn.Route) {
	c.object("a route",
		may("match", reader(readMatch)(&r.Match)),
		may("ttl", parsed(parseLifetime)(&r.TTL)),
		may("force_cache", flag(&r.ForceCache)),
		may("bypass", flag(&r.Bypass)),
		may("browser_ttl", func(c cursor) { r.BrowserTTL = new(cdn.Duration); parsed(cdn.ParseDuration)(r.BrowserTTL)(c) }),
		may("stale_while_revalidate", parsed(parseLifetime)(&r.StaleWhileRevalidate)),
		may("stale_if_error", parsed(parseLifetime)(&r.StaleIfError)),
		may("negative_ttl", dict(&r.NegativeTTL, maxItems, parseErrorStatus, parsed(cdn.ParseDuration))),
		may("cache_key", reader(readKeyRule)(&r.CacheKey)),
		may("rewrite", func(c cursor) { w := readRewrite(c); r.Rewrite = &w }),
		may("redirect", func(c cursor) { d := readRedirect(c); r.Redirect = &d }),
		may("request_headers", func(c cursor) { r.RequestHeaders = readHeaderRule(c, parseRequestField) }),
		may("response_headers", func(c cursor) { r.ResponseHeaders = readHeaderRule(c, parseResponseField) }),
		may("follow_redirects", whole(&r.FollowRedirects, 1, maxFollowed)),
		may("cors", func(c cursor) { o := readCORS(c); r.CORS = &o }),
		may("force_https", flag(&r.ForceHTTPS)),
		may("compress", func(c cursor) { r.Compress = readCompress(c) }),
		may("obey_request_cache_control", flag(&r.ObeyRequestCacheControl)),
		may("priority", word(&r.Priority, cdn.PriorityLow)),
	)
	if c.n.kind == kindMapping {
		checkConflicts(c, &r)
		checkTemplates(c, &r)
	}
	return r
}

// checkConflicts reports keys that have no meaning beside others.
func checkConflicts(c cursor, r *cdn.Route) {
	if c.in("match").has("status") {
		for _, key := range requestKeys {
			if c.has(key) {
				c.in(key).mistake("put it on a route without a status", "acts before the response is known, so that a route with match.status cannot have it")
			}
		}
	}
	if r.Bypass {
		c.exclude("bypass", "nothing is stored under bypass", "ttl", "force_cache", "stale_while_revalidate", "stale_if_error", "negative_ttl",
			"cache_key", "obey_request_cache_control")
	}
	if r.Redirect != nil {
		c.exclude("redirect", "the origin is not asked under redirect", "ttl", "force_cache", "bypass", "stale_while_revalidate", "stale_if_error",
			"negative_ttl", "cache_key", "rewrite", "request_headers", "follow_redirects", "compress", "obey_request_cache_control")
	}
	if r.ForceCache && !c.has("ttl") {
		c.in("force_cache").mistake("say for how long", `force_cache needs the key "ttl"`)
	}
	if r.CORS != nil {
		checkCORSFields(c.in("response_headers"), r)
	}
}

// exclude reports the keys that are there and mean nothing beside another.
func (c cursor) exclude(key, why string, others ...string) {
	var found []string
	for _, o := range others {
		if c.has(o) {
			found = append(found, o)
		}
	}
	if len(found) > 0 {
		verb := "means"
		if len(found) > 1 {
			verb = "mean"
		}
		c.in(key).mistake("remove one", "%s, so that %s %s nothing", why, strings.Join(found, " and "), verb)
	}
}

// parseLifetime refuses the zero that would look like "never" and mean "as the origin says".
func parseLifetime(s string) (cdn.Duration, error) {
	d, err := cdn.ParseDuration(s)
	if err == nil && d == 0 {
		return 0, fmt.Errorf("duration %q: want more than zero; leave the key out for what the origin says, write bypass: true to store nothing", clip(s))
	}
	return d, err
}

func parseErrorStatus(s string) (cdn.StatusPattern, error) {
	p, err := cdn.ParseStatusPattern(s)
	if err == nil && s[0] != '4' && s[0] != '5' {
		return "", fmt.Errorf("status %q is not an error; for others write a route with match.status and ttl", clip(s))
	}
	return p, err
}

func readKeyRule(c cursor) (k cdn.KeyRule) {
	c.object("a cache key",
		may("query", reader(readQueryRule)(&k.Query)),
		may("headers", some(&k.Headers, maxItems, "field", parseKeyField)),
		may("cookies", some(&k.Cookies, maxItems, "cookie", parseCookieName)),
		may("device", flag(&k.Device)),
		may("country", flag(&k.Country)),
		may("share_domains", flag(&k.ShareDomains)),
		may("ignore_case", flag(&k.IgnoreCase)),
	)
	return k
}

func readQueryRule(c cursor) (q cdn.QueryRule) {
	c.object("a query rule",
		may("mode", word(&q.Mode, cdn.QueryAll, cdn.QueryNone, cdn.QueryInclude, cdn.QueryExclude)),
		may("names", some(&q.Names, maxItems, "parameter", parseParameterName)),
		may("sorted", flag(&q.Sorted)),
	)
	if c.n.kind != kindMapping {
		return q
	}
	named := q.Mode == cdn.QueryInclude || q.Mode == cdn.QueryExclude
	switch {
	case named && !c.has("names"):
		c.mistake("", `mode %s needs the key "names"`, q.Mode)
	case !named && c.has("names") && (q.Mode != "" || !c.has("mode")):
		c.in("names").mistake("write mode: include or mode: exclude", "only the modes include and exclude have names")
	}
	if q.Mode == cdn.QueryNone && q.Sorted {
		c.in("sorted").mistake("remove it", "under mode none there is nothing to sort")
	}
	return q
}
