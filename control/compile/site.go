package compile

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"nearcast/cdn"
)

// Bounds of one site, far above what a person writes by hand.
const (
	maxDomains    = 1000
	maxOriginURLs = 16
	maxRoutes     = 1000
	maxExtensions = 200
	maxText       = 1024
	maxTimeout    = cdn.Duration(time.Hour)
)

// Sites compiles a file of one or more YAML documents, one site in each. The
// error is [Mistakes] and has all of them; no site is returned with it.
func Sites(file string, src []byte) ([]cdn.Site, error) {
	docs, mistakes := parse(file, src)
	if len(mistakes) > 0 {
		return nil, mistakes.Err()
	}
	d := &decoder{file: file}
	if len(docs) == 0 {
		d.add(Mistake{File: file, Line: 1, Column: 1, Message: "the file is empty; a site is needed"})
	}
	sites := make([]cdn.Site, len(docs))
	for i, doc := range docs {
		if doc.kind == kindNull {
			d.add(Mistake{File: file, Line: doc.line, Column: doc.column, Message: "the document is empty; a site is needed"})
			continue
		}
		sites[i] = readSite(siteCursor(d, doc))
	}
	if err := d.mistakes.Err(); err != nil {
		return nil, err
	}
	return sites, nil
}

// siteCursor starts reading a document; every mistake in it carries the site's
// name, if that can be read.
func siteCursor(d *decoder, doc *node) cursor {
	c := cursor{d: d, n: doc}
	if v := doc.field("site"); v != nil {
		if name, err := cdn.ParseSiteName(v.text); err == nil {
			c.site = name
		}
	}
	return c
}

func readSite(c cursor) (s cdn.Site) {
	c.object("a site",
		need("site", parsed(cdn.ParseSiteName)(&s.Name)),
		need("domains", list(&s.Domains, maxDomains, parsed(cdn.ParseDomain))),
		need("origin", func(c cursor) { s.Origin = readOrigin(c) }),
		may("routes", list(&s.Routes, maxRoutes, func(r *cdn.Route) func(cursor) {
			return func(c cursor) { *r = readRoute(c) }
		})),
	)
	c.atLeastOne("domains", "list the host names that visitors use")
	unique(c.in("domains"), s.Domains, "domain")
	checkReach(c.in("routes"), s.Routes)
	return s
}

// atLeastOne reports a list that is there and empty.
func (c cursor) atLeastOne(name, hint string) {
	if v := c.in(name); c.has(name) && v.n.kind == kindSequence && len(v.n.items) == 0 {
		v.mistake(hint, "needs at least one item")
	}
}

// unique reports the items of a list that repeat an earlier one. Zero values
// are items that could not be read and have been reported already.
func unique[T comparable](c cursor, items []T, what string) {
	var zero T
	seen := make(map[T]int, len(items))
	for i, item := range items {
		if item == zero {
			continue
		}
		if first, dup := seen[item]; dup {
			c.at(i).mistake("remove one", "%s %v is already item [%d]", what, item, first)
			continue
		}
		seen[item] = i
	}
}

// checkReach reports the routes behind one that matches every request.
func checkReach(c cursor, routes []cdn.Route) {
	for i := 1; i < len(routes); i++ {
		all := c.at(i - 1)
		if m := routes[i-1].Match; len(m.Extensions) == 0 && (m.PathPrefix == "/" || m.PathPrefix == "" && !all.in("match").has("path_prefix") && !all.in("match").has("extensions")) {
			c.at(i).mistake("put the more special route first", "can never match: routes[%d] matches every request", i-1)
			return
		}
	}
}

func readOrigin(c cursor) (o cdn.Origin) {
	c.object("an origin",
		may("type", word(&o.Type, cdn.OriginHTTP, cdn.OriginS3)),
		need("urls", list(&o.URLs, maxOriginURLs, parsed(parseOriginURL))),
		may("host", parsed(parseHostField)(&o.Host)),
		may("bucket", func(c cursor) { b := readBucket(c); o.Bucket = &b }),
		may("connect_timeout", parsed(parseTimeout)(&o.ConnectTimeout)),
		may("response_timeout", parsed(parseTimeout)(&o.ResponseTimeout)),
		may("attempts", whole(&o.Attempts, 1, 10)),
	)
	if c.n.kind != kindMapping {
		return o
	}
	c.atLeastOne("urls", "list the origin's addresses")
	checkURLs(c.in("urls"), o.URLs)
	s3 := o.Type == cdn.OriginS3
	switch {
	case s3 && !c.has("bucket"):
		c.mistake("", `an origin of type s3 needs the key "bucket"`)
	case !s3 && c.has("bucket"):
		c.in("bucket").mistake("write type: s3 if it is a bucket", "only an origin of type s3 has a bucket")
	}
	if s3 && c.has("host") {
		c.in("host").mistake("remove it", "the host of a bucket follows from urls and bucket")
	}
	return o
}

func checkURLs(c cursor, urls []string) {
	unique(c, urls, "URL")
	first := ""
	for i, u := range urls {
		scheme, _, ok := strings.Cut(u, "://")
		if !ok {
			continue
		}
		if first == "" {
			first = scheme
		}
		if scheme != first {
			c.at(i).mistake("", "has the scheme %s, the URLs before it %s; all must have the same", scheme, first)
		}
	}
}

func readBucket(c cursor) (b cdn.Bucket) {
	c.object("a bucket",
		need("name", parsed(parseBucketName)(&b.Name)),
		may("region", parsed(parseSigningRegion)(&b.Region)),
		may("prefix", parsed(parseObjectPrefix)(&b.Prefix)),
		may("virtual_host", flag(&b.VirtualHost)),
		may("access_key_id", text(&b.AccessKeyID, maxText)),
		may("secret_access_key", parsed(parseSecret)(&b.SecretAccessKey)),
	)
	if id, secret := c.has("access_key_id"), c.has("secret_access_key"); id != secret && c.n.kind == kindMapping {
		c.mistake("for a public bucket leave out both", "access_key_id and secret_access_key belong together; one is missing")
	}
	return b
}

func readRoute(c cursor) (r cdn.Route) {
	c.object("a route",
		may("match", func(c cursor) { r.Match = readMatch(c) }),
		may("ttl", parsed(cdn.ParseDuration)(&r.TTL)),
		may("bypass", flag(&r.Bypass)),
		may("stale_if_error", parsed(cdn.ParseDuration)(&r.StaleIfError)),
	)
	if r.Bypass && (r.TTL > 0 || r.StaleIfError > 0) {
		c.in("bypass").mistake("remove one", "nothing is stored under bypass, so that ttl and stale_if_error mean nothing")
	}
	return r
}

func readMatch(c cursor) (m cdn.Match) {
	c.object("a match",
		may("path_prefix", parsed(parsePathPrefix)(&m.PathPrefix)),
		may("extensions", list(&m.Extensions, maxExtensions, parsed(parseExtension))),
	)
	c.atLeastOne("extensions", `such as [.js, .css]; leave the key out to match all`)
	unique(c.in("extensions"), m.Extensions, "extension")
	return m
}

// parseOriginURL returns the normal form "scheme://host[:port]".
func parseOriginURL(s string) (string, error) {
	const want = `want scheme, host and optional port, such as "https://origin.shop.example:8443"`
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("URL %q: %s", clip(s), want)
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return "", fmt.Errorf("URL %q has more than that: %s", clip(s), want)
	}
	host, err := parseHostField(u.Host)
	if err != nil {
		return "", fmt.Errorf("URL %q: %w", clip(s), err)
	}
	return u.Scheme + "://" + host, nil
}

// parseHostField returns the normal form of a Host field: host and optional port.
func parseHostField(s string) (string, error) {
	host, err := cdn.ParseHost(s)
	if err != nil {
		return "", err
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return string(host), nil
	}
	var port uint16
	if _, err := fmt.Sscanf(s[i+1:], "%d", &port); err != nil || port == 0 || strings.HasPrefix(s[i+1:], "0") {
		return "", fmt.Errorf("host %q: %q is not a port from 1 to 65535", clip(s), clip(s[i+1:]))
	}
	return fmt.Sprintf("%s:%d", host, port), nil
}

func parseTimeout(s string) (cdn.Duration, error) {
	d, err := cdn.ParseDuration(s)
	if err == nil && (d == 0 || d > maxTimeout) {
		return 0, fmt.Errorf("duration %q: want more than zero and at most %s", clip(s), maxTimeout)
	}
	return d, err
}

func only(s, what, extra string, limit int) error {
	if s == "" || len(s) > limit {
		return fmt.Errorf("%s %q: want 1 to %d characters", what, clip(s), limit)
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.Contains(extra, string(rune(c))) {
			return fmt.Errorf("%s %q has %q, which is not allowed", what, clip(s), rune(c))
		}
	}
	return nil
}

// parseBucketName allows what S3 and OSS and their lookalikes allow between them.
func parseBucketName(s string) (string, error) {
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "-") {
		return "", fmt.Errorf("bucket name %q starts with %q", clip(s), s[:1])
	}
	return s, only(s, "bucket name", "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_", 255)
}

func parseSigningRegion(s string) (string, error) { return s, only(s, "region", "-", 64) }

func parseObjectPrefix(s string) (string, error) {
	if strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("prefix %q starts with a slash; object names do not", clip(s))
	}
	return s, checkText(s, maxText)
}

// parseSecret never repeats the secret in an error.
func parseSecret(s string) (string, error) {
	if err := checkText(s, maxText); err != nil {
		return "", fmt.Errorf("the secret is empty, longer than %d octets or has a control character", maxText)
	}
	return s, nil
}

// parsePathPrefix requires the normal form in which requests are compared.
func parsePathPrefix(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf(`path prefix %q does not start with "/"`, clip(s))
	}
	if strings.Contains(s, "?") {
		return "", fmt.Errorf("path prefix %q has a query; only the path is compared", clip(s))
	}
	t, err := cdn.NewTarget("http", "x", s)
	if err != nil {
		return "", fmt.Errorf("path prefix %q: %w", clip(s), err)
	}
	if t.Path != s {
		return "", fmt.Errorf("path prefix %q is not in normal form; write %q", clip(s), clip(t.Path))
	}
	return s, nil
}

func parseExtension(s string) (string, error) {
	if len(s) < 2 || s[0] != '.' || strings.ContainsAny(s, "/?") {
		return "", fmt.Errorf("extension %q: want a dot and a file name's ending, such as \".js\"", clip(s))
	}
	if t, err := cdn.NewTarget("http", "x", "/a"+s); err != nil || t.Path != "/a"+s {
		return "", fmt.Errorf("extension %q is not in the normal form of a path", clip(s))
	}
	return s, checkText(s, 64)
}
