package rules

import (
	"fmt"
	"regexp"
	"strings"

	"nearcast/cdn"
)

// replacement is a compiled rewrite or redirect.
type replacement struct {
	re *regexp.Regexp // nil: every path
	to cdn.Template
	// absolute is scheme and authority of a redirect to another host, literally; to is
	// the rest then.
	absolute string
}

func compileReplacements(rule *cdn.Route, path *regexp.Regexp) (rewrite, redirect *replacement, err error) {
	if r := rule.Rewrite; r != nil {
		if rewrite, err = compileReplacement(r.Regexp, r.To, path); err != nil {
			return nil, nil, fmt.Errorf("compiling rewrite: %w", err)
		}
	}
	if r := rule.Redirect; r != nil {
		absolute, rest := splitURL(r.To)
		if redirect, err = compileReplacement(r.Regexp, rest, path); err != nil {
			return nil, nil, fmt.Errorf("compiling redirect: %w", err)
		}
		redirect.absolute = absolute
	}
	return rewrite, redirect, nil
}

func compileReplacement(expr, to string, path *regexp.Regexp) (*replacement, error) {
	r := &replacement{re: path}
	var err error
	if expr != "" {
		if r.re, err = cdn.CompileRegexp(expr); err != nil {
			return nil, err
		}
	}
	if r.to, err = cdn.ParseTemplate(to); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.to.Literal(), "/") {
		return nil, fmt.Errorf(`%q does not start with a literal "/"`, to)
	}
	groups := -1
	if r.re != nil {
		groups = r.re.NumSubexp()
	}
	if n := r.to.Groups(); n > groups {
		return nil, fmt.Errorf("%q uses $%d, which the regular expression does not have", to, n)
	}
	return r, nil
}

// splitURL splits scheme and authority off a URL; a path has none.
func splitURL(to string) (absolute, rest string) {
	scheme, after, ok := strings.Cut(to, "://")
	if !ok || strings.HasPrefix(to, "/") {
		return "", to
	}
	i := strings.IndexAny(after, "/?$")
	if i < 0 {
		return to, "/"
	}
	return scheme + "://" + after[:i], after[i:]
}

// apply returns the target that takes t's place, and whether the expression matched. What
// comes out must be in normal form as it stands: a template around the visitor's octets could
// otherwise make dot segments or escapes that neither has, and reach what the rule's
// author has not meant.
func (r *replacement) apply(t cdn.Target) (cdn.Target, bool, error) {
	group, ok := r.match(t.Path)
	if !ok {
		return t, false, nil
	}
	text := r.to.Expand(group)
	out, err := cdn.NewTarget(t.Scheme, t.Domain, text)
	if err != nil {
		return t, true, fmt.Errorf("replacing the path: %w", err)
	}
	if out.RequestURI() != text {
		return t, true, cdn.Errorf(cdn.Invalid, "", "replacing the path: the result is not in normal form")
	}
	if !out.HasQuery {
		out.Query, out.HasQuery = t.Query, t.HasQuery
	}
	return out, true, nil
}

func (r *replacement) match(path string) (group func(int) string, ok bool) {
	if r.re == nil {
		return func(int) string { return "" }, true
	}
	found := r.re.FindStringSubmatch(path)
	return func(n int) string { return found[n] }, found != nil
}

// location returns the URL that a redirect sends the visitor of t to.
func (r *replacement) location(t cdn.Target) (string, bool, error) {
	out, ok, err := r.apply(t)
	if !ok || err != nil {
		return "", ok, err
	}
	switch {
	case r.absolute != "":
		return r.absolute + out.RequestURI(), true, nil
	case strings.HasPrefix(out.Path, "//"): // alone, it would name a host (RFC 3986 section 4.2)
		return out.String(), true, nil
	}
	return out.RequestURI(), true, nil
}
