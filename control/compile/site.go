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
	maxText       = 1024
	maxTimeout    = cdn.Duration(time.Hour)
)

// Sites compiles a file of one or more YAML documents, one site in each. The
// error is [Mistakes] and has all of them; no site is returned with it.
func Sites(file string, src []byte) ([]cdn.Site, error) {
	d := &decoder{file: file}
	var sites []cdn.Site
	mistakes := eachDocument(file, src, func(doc *node) {
		if doc.kind == kindNull {
			d.add(Mistake{File: file, Line: doc.line, Column: doc.column, Message: "the document is empty; a site is needed"})
			return
		}
		sites = append(sites, readSite(siteCursor(d, doc)))
	})
	if len(mistakes) > 0 {
		return nil, mistakes.Err()
	}
	if len(sites) == 0 && len(d.mistakes) == 0 {
		d.add(Mistake{File: file, Line: 1, Column: 1, Message: "the file is empty; a site is needed"})
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
		may("redirection", func(c cursor) { s.Redirection = readRedirection(c) }),
		may("routes", list(&s.Routes, maxRoutes, reader(readRoute))),
	)
	c.atLeastOne("domains", "list the host names that visitors use")
	unique(c.in("domains"), s.Domains, "domain")
	checkRegexps(c.in("routes"), s.Routes)
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
