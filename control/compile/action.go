package compile

import (
	"fmt"
	"strings"

	"nearcast/cdn"
)

func readRewrite(c cursor) (r cdn.Rewrite) {
	c.object("a rewrite",
		may("regexp", parsed(parseRegexp)(&r.Regexp)),
		need("to", parsed(parsePathTemplate)(&r.To)),
	)
	return r
}

func readRedirect(c cursor) (r cdn.Redirect) {
	c.object("a redirect",
		may("regexp", parsed(parseRegexp)(&r.Regexp)),
		need("to", parsed(parseRedirectTo)(&r.To)),
		may("status", parsed(parseRedirectStatus)(&r.Status)),
	)
	return r
}

func parseRedirectStatus(s string) (int, error) {
	for _, status := range [...]int{301, 302, 303, 307, 308} {
		if s == fmt.Sprint(status) {
			return status, nil
		}
	}
	return 0, fmt.Errorf("%q is not one of 301, 302, 303, 307, 308", clip(s))
}

// parsePathTemplate requires a template that gives a path and perhaps a query, in normal
// form as far as it is literal.
func parsePathTemplate(s string) (string, error) {
	if len(s) > maxText {
		return "", fmt.Errorf("has %d octets, at most %d are allowed", len(s), maxText)
	}
	t, err := cdn.ParseTemplate(s)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(t.Literal(), "/") {
		return "", fmt.Errorf(`%q does not start with "/"`, clip(s))
	}
	text := t.Expand(nil)
	target, err := cdn.NewTarget("http", "x", text)
	if err != nil {
		return "", fmt.Errorf("%q: %w", clip(s), err)
	}
	if target.RequestURI() != text {
		return "", fmt.Errorf("%q is not in normal form: with x for each group it reads %q and not %q", clip(s), clip(text), clip(target.RequestURI()))
	}
	return s, nil
}

// parseRedirectTo requires a path or a URL. Scheme and host must be literal: a host made of
// a visitor's octets would be an open redirect.
func parseRedirectTo(s string) (string, error) {
	const want = `want a path, such as "/new/$1", or a URL, such as "https://www.shop.example/$1"`
	if strings.HasPrefix(s, "//") {
		return "", fmt.Errorf("%q names a host without a scheme: %s", clip(s), want)
	}
	if strings.HasPrefix(s, "/") {
		return parsePathTemplate(s)
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("%q: %s", clip(s), want)
	}
	i := strings.IndexAny(rest, "/?#")
	if i < 0 || rest[i] != '/' {
		i = len(rest)
	}
	if strings.ContainsAny(rest[:i], "$?#") {
		return "", fmt.Errorf(`%q: the host must be literal, and a path must follow it before any "$" or "?": %s`, clip(s), want)
	}
	host, err := parseHostField(rest[:i])
	if err != nil {
		return "", fmt.Errorf("%q: %w", clip(s), err)
	}
	path := rest[i:]
	if path == "" {
		path = "/"
	}
	if _, err := parsePathTemplate(path); err != nil {
		return "", err
	}
	return scheme + "://" + host + path, nil
}

// checkTemplates reports groups that no regular expression has.
func checkTemplates(c cursor, r *cdn.Route) {
	if r.Rewrite != nil {
		checkTemplate(c.in("rewrite"), r.Rewrite.To, r.Rewrite.Regexp, r.Match.PathRegexp)
	}
	if r.Redirect != nil {
		checkTemplate(c.in("redirect"), r.Redirect.To, r.Redirect.Regexp, r.Match.PathRegexp)
	}
}

func checkTemplate(c cursor, to, own, path string) {
	t, err := cdn.ParseTemplate(to)
	if err != nil || t.Groups() < 0 || c.has("regexp") && own == "" {
		return // nothing to check, or reported already
	}
	expr := own
	if expr == "" {
		expr = path
	}
	if expr == "" {
		c.in("to").mistake(`add the key "regexp"`, "uses $%d, and there is no regular expression", t.Groups())
		return
	}
	re, err := cdn.CompileRegexp(expr)
	if err == nil && t.Groups() > re.NumSubexp() {
		c.in("to").mistake("", "uses $%d, and the regular expression has %d groups", t.Groups(), re.NumSubexp())
	}
}

func readCORS(c cursor) (o cdn.CORS) {
	c.object("a CORS rule",
		need("origins", some(&o.Origins, maxItems, "origin", parseWebOrigin)),
		may("methods", some(&o.Methods, maxItems, "method", parseCORSMethod)),
		may("headers", some(&o.Headers, maxItems, "field", parseFieldName)),
		may("expose", some(&o.Expose, maxItems, "field", parseFieldName)),
		may("credentials", flag(&o.Credentials)),
		may("max_age", parsed(cdn.ParseDuration)(&o.MaxAge)),
	)
	for i, origin := range o.Origins {
		if origin != "*" {
			continue
		}
		if len(o.Origins) > 1 {
			c.in("origins").at(i).mistake("remove the others", `"*" is everybody and stands alone`)
		}
		if o.Credentials {
			c.in("credentials").mistake("list the origins", `everybody ("*") cannot be trusted with visitors' cookies`)
		}
	}
	return o
}

// parseWebOrigin requires the form in which browsers send it (RFC 6454 section 6.2).
func parseWebOrigin(s string) (string, error) {
	const want = `want "https://app.example", "https://*.app.example" or "*"`
	if s == "*" {
		return s, nil
	}
	scheme, host, ok := strings.Cut(s, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("origin %q: %s", clip(s), want)
	}
	bare := strings.TrimPrefix(host, "*.")
	normal, err := parseHostField(bare)
	if err != nil {
		return "", fmt.Errorf("origin %q: %w", clip(s), err)
	}
	if normal != bare || scheme == "http" && strings.HasSuffix(host, ":80") || scheme == "https" && strings.HasSuffix(host, ":443") {
		return "", fmt.Errorf("origin %q is not what browsers send: lower case, without the scheme's own port; %s", clip(s), want)
	}
	return s, nil
}

func parseCORSMethod(s string) (string, error) {
	if !isToken(s) || len(s) > 32 {
		return "", fmt.Errorf("%q is not a method", clip(s))
	}
	return s, nil
}

func parseFieldName(s string) (string, error) {
	if !isToken(s) || len(s) > 128 {
		return "", fmt.Errorf("%q is not the name of a header field", clip(s))
	}
	return s, nil
}

// readCompress reads true, false or a mapping.
func readCompress(c cursor) *cdn.Compress {
	if c.n.kind == kindScalar {
		on := false
		flag(&on)(c)
		if on {
			return &cdn.Compress{}
		}
		return nil
	}
	var k cdn.Compress
	c.object("a compression rule",
		may("codings", func(c cursor) {
			list(&k.Codings, 3, func(dst *string) func(cursor) {
				return word(dst, cdn.CodingBrotli, cdn.CodingZstd, cdn.CodingGzip)
			})(c)
			unique(c, k.Codings, "coding")
		}),
		may("min_size", parsed(parseRAM)(&k.MinSize)),
		may("types", some(&k.Types, maxItems, "type", parseMediaType)),
	)
	c.atLeastOne("codings", "leave the key out for all")
	return &k
}

func parseMediaType(s string) (string, error) {
	major, minor, ok := strings.Cut(s, "/")
	if !ok || !isToken(major) || !isToken(minor) || major == "*" || strings.Contains(strings.TrimSuffix(minor, "*"), "*") || s != strings.ToLower(s) {
		return "", fmt.Errorf(`type %q: want a media type in lower case, such as "application/json" or "text/*"`, clip(s))
	}
	return s, nil
}
