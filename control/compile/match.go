package compile

import (
	"fmt"
	"strings"

	"nearcast/cdn"
)

// maxPattern bounds globs and patterns of values, in octets.
const maxPattern = 255

func readMatch(c cursor) (m cdn.Match) {
	c.object("a match",
		may("path_prefix", parsed(parsePathPrefix)(&m.PathPrefix)),
		may("path_glob", parsed(parsePathGlob)(&m.PathGlob)),
		may("path_regexp", parsed(parseRegexp)(&m.PathRegexp)),
		may("extensions", list(&m.Extensions, maxItems, parsed(parseExtension))),
		may("methods", some(&m.Methods, maxItems, "method", parseMethod)),
		may("status", some(&m.Status, maxItems, "status", cdn.ParseStatusPattern)),
		may("header", dict(&m.Header, maxItems, parseMatchField, parsed(parseValuePattern))),
		may("cookie", dict(&m.Cookie, maxItems, parseCookieName, parsed(parseValuePattern))),
		may("query", dict(&m.Query, maxItems, parseParameterName, parsed(parseQueryPattern))),
		may("country", some(&m.Country, maxItems, "country", parseCountry)),
	)
	c.atLeastOne("extensions", `such as [.js, .css]; leave the key out to match all`)
	unique(c.in("extensions"), m.Extensions, "extension")
	return m
}

// parsePathPrefix requires the normal form in which requests are compared.
func parsePathPrefix(s string) (string, error) {
	if strings.Contains(s, "?") {
		return "", fmt.Errorf("path prefix %q has a query; only the path is compared", clip(s))
	}
	return parseNormal("path prefix", s)
}

func parsePathGlob(s string) (string, error) {
	if len(s) > maxPattern {
		return "", fmt.Errorf("path glob %q has %d octets, at most %d are allowed", clip(s), len(s), maxPattern)
	}
	if _, err := parseNormal("path glob", strings.ReplaceAll(s, "?", "x")); err != nil {
		return "", err
	}
	return s, nil
}

// parseNormal requires a path in normal form.
func parseNormal(what, s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf(`%s %q does not start with "/"`, what, clip(s))
	}
	t, err := cdn.NewTarget("http", "x", s)
	if err != nil {
		return "", fmt.Errorf("%s %q: %w", what, clip(s), err)
	}
	if t.Path != s {
		return "", fmt.Errorf("%s %q is not in normal form; write %q", what, clip(s), clip(t.Path))
	}
	return s, nil
}

func parseRegexp(s string) (string, error) {
	_, err := cdn.CompileRegexp(s)
	return s, err
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

func parseMethod(s string) (string, error) {
	switch {
	case s == "HEAD":
		return "", fmt.Errorf("HEAD is answered from what a GET has left; write GET, which includes it")
	case s == "CONNECT" || s == "TRACE":
		return "", fmt.Errorf("method %s is not served", s)
	case !isToken(s) || len(s) > 32 || s != strings.ToUpper(s):
		return "", fmt.Errorf("method %q: want a method in upper case, such as GET", clip(s))
	}
	return s, nil
}

func parseCountry(s string) (string, error) {
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return "", fmt.Errorf("country %q: want two upper-case letters, such as DE", clip(s))
	}
	return s, nil
}

// parseValuePattern reads the pattern of a field's or cookie's value.
func parseValuePattern(s string) (string, error) {
	if len(s) > maxPattern {
		return "", fmt.Errorf("pattern %q has %d octets, at most %d are allowed", clip(s), len(s), maxPattern)
	}
	return s, checkASCII(s)
}

// parseQueryPattern requires the normal form of a query in which requests are compared.
func parseQueryPattern(s string) (string, error) {
	if strings.Contains(s, "&") {
		return "", fmt.Errorf(`pattern %q has "&", which no value has; write %%26 for the character`, clip(s))
	}
	if _, err := parseValuePattern(s); err != nil {
		return "", err
	}
	return s, checkQuery("pattern", s)
}

func parseParameterName(s string) (string, error) {
	if s == "" || len(s) > maxPattern || strings.ContainsAny(s, "&=") {
		return "", fmt.Errorf("parameter %q: want the name of a parameter, 1 to %d octets without & and =", clip(s), maxPattern)
	}
	return s, checkQuery("parameter", s)
}

func checkQuery(what, s string) error {
	t, err := cdn.NewTarget("http", "x", "/?"+s)
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, clip(s), err)
	}
	if t.Query != s {
		return fmt.Errorf("%s %q is not in normal form; write %q", what, clip(s), clip(t.Query))
	}
	return nil
}
