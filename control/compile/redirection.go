package compile

import (
	"fmt"
	"strings"
	"time"

	"nearcast/cdn"
)

// Bounds of a site's redirection.
const (
	maxRedirectPaths = 200
	maxSignedFor     = cdn.Duration(7 * 24 * time.Hour)
	minSignedFor     = cdn.Duration(time.Second)
)

func readRedirection(c cursor) (r cdn.Redirection) {
	c.object("a redirection",
		may("off", flag(&r.Off)),
		may("paths", list(&r.Paths, maxRedirectPaths, parsed(parseRedirectPath))),
		may("min_size", parsed(parseMinSize)(&r.MinSize)),
		may("signed", flag(&r.Signed)),
		may("lifetime", parsed(parseSignedFor)(&r.Lifetime)),
	)
	if c.n.kind != kindMapping {
		return r
	}
	c.atLeastOne("paths", "list how paths begin that are worth a redirect, or leave the key out for all")
	unique(c.in("paths"), r.Paths, "path")
	for i, p := range r.Paths {
		for _, q := range r.Paths[:i] {
			if p != "" && q != "" && p != q && strings.HasPrefix(p, q) {
				c.in("paths").at(i).mistake("remove it", "%q begins with %q, which is listed before", clip(p), clip(q))
				break
			}
		}
	}
	if r.Off {
		c.exclude("off", "nothing is redirected then", "paths", "min_size")
	}
	if c.has("lifetime") && !r.Signed {
		c.in("lifetime").mistake("write signed: true, or remove it", `only what is signed has a lifetime`)
	}
	return r
}

// parseRedirectPath accepts the beginning of a path in normal form.
func parseRedirectPath(s string) (string, error) {
	t, err := cdn.NewTarget("http", "x.example", s)
	switch {
	case s == "" || s[0] != '/':
		return "", fmt.Errorf("path %q does not start with a slash", clip(s))
	case len(s) > maxText:
		return "", fmt.Errorf("has %d octets, at most %d are allowed", len(s), maxText)
	case strings.Contains(s, "?"):
		return "", fmt.Errorf("path %q has a query; only paths are compared", clip(s))
	case err != nil:
		return "", err
	case t.Path != s:
		return "", fmt.Errorf("path %q is never asked for in this form; write %q", clip(s), clip(t.Path))
	}
	return s, nil
}

func parseMinSize(s string) (cdn.Size, error) {
	n, err := cdn.ParseSize(s)
	if err == nil && n == 0 {
		return 0, fmt.Errorf("size %q: leave the key out to redirect whatever the size is", clip(s))
	}
	return n, err
}

func parseSignedFor(s string) (cdn.Duration, error) {
	d, err := cdn.ParseDuration(s)
	if err == nil && (d < minSignedFor || d > maxSignedFor) {
		return 0, fmt.Errorf("duration %q: want from %s to %s", clip(s), minSignedFor, maxSignedFor)
	}
	return d, err
}
