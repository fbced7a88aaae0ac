package rules

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"nearcast/cdn"
)

// Table is a site's routes, compiled. It is immutable.
type Table struct {
	site     *cdn.Site
	routes   []route
	fallback route // of requests that no route matches
	byStatus bool  // some route is for certain statuses only
	fields   bool  // some route looks at the request's fields
	cookies  bool  // some route is chosen by its cookies
}

// route is a compiled [cdn.Route].
type route struct {
	rule     *cdn.Route
	glob     *glob          // nil: every path
	re       *regexp.Regexp // nil: every path
	headers  []condition
	cookies  []condition
	query    []condition
	hidden   string // tells what is selected by more than the URL in a variant; empty if nothing is
	rewrite  *replacement
	redirect *replacement
}

// condition is a name and the pattern of its value.
type condition struct {
	name  string
	value *glob
}

// Request is what routes are chosen by.
type Request struct {
	// Method is the request's method. That of a CORS preflight counts as the method that
	// it announces, where a route with CORS answers it.
	Method string
	// Target is the visitor's, in normal form.
	Target cdn.Target
	// Header is the visitor's fields under canonical names. It is only read, but kept in
	// the plan.
	Header http.Header
	// Country is the visitor's country as of [Countries.Of]; empty if unknown.
	Country string
}

// Compile compiles the routes of a site, which must not be changed afterwards. The
// error is of kind [cdn.Invalid] and names the route; a site that has passed the
// configuration's compiler has none.
func Compile(site *cdn.Site) (*Table, error) {
	t := &Table{site: site, routes: make([]route, len(site.Routes)), fallback: route{rule: &cdn.Route{}}}
	for i := range site.Routes {
		r, err := compileRoute(&site.Routes[i])
		if err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "edge/rules.Compile", "routes[%d] of site %s: %w", i, site.Name, err)
		}
		t.routes[i] = r
		t.byStatus = t.byStatus || len(r.rule.Match.Status) > 0
		t.fields = t.fields || r.looksAtFields()
		t.cookies = t.cookies || len(r.cookies) > 0
	}
	return t, nil
}

func compileRoute(rule *cdn.Route) (route, error) {
	r := route{rule: rule}
	m := &rule.Match
	var err error
	if m.PathGlob != "" {
		if r.glob, err = compilePath(m.PathGlob); err != nil {
			return r, fmt.Errorf("compiling path_glob: %w", err)
		}
	}
	if m.PathRegexp != "" {
		if r.re, err = cdn.CompileRegexp(m.PathRegexp); err != nil {
			return r, fmt.Errorf("compiling path_regexp: %w", err)
		}
	}
	for _, list := range []struct {
		dst *[]condition
		src map[string]string
	}{{&r.headers, m.Header}, {&r.cookies, m.Cookie}, {&r.query, m.Query}} {
		if *list.dst, err = compileConditions(list.src); err != nil {
			return r, err
		}
	}
	if r.rewrite, r.redirect, err = compileReplacements(rule, r.re); err != nil {
		return r, err
	}
	r.hidden = hiddenPart(m)
	return r, nil
}

// looksAtFields reports whether the route is chosen, or what it stores is told apart, by the request's fields.
func (r *route) looksAtFields() bool {
	k := &r.rule.CacheKey
	return len(r.headers) > 0 || len(r.cookies) > 0 || len(k.Headers) > 0 || len(k.Cookies) > 0 || k.Device
}

func compileConditions(patterns map[string]string) ([]condition, error) {
	var out []condition
	for name, pattern := range patterns {
		value, err := compileValue(pattern)
		if err != nil {
			return nil, fmt.Errorf("compiling the pattern of %q: %w", name, err)
		}
		out = append(out, condition{name, value})
	}
	slices.SortFunc(out, func(a, b condition) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// Route returns the index of the route that rules a request before its response is
// known, or -1. It does not allocate.
func (t *Table) Route(r Request) int {
	for i := range t.routes {
		if len(t.routes[i].rule.Match.Status) == 0 && t.routes[i].matches(&r, r.Method) {
			return i
		}
	}
	return -1
}

// Response returns the route that rules the response of the status to a request, and its
// index; without one, the zero route and -1. The route is not to be changed.
func (t *Table) Response(r Request, status int) (rule *cdn.Route, index int) {
	for i := range t.routes {
		rule := t.routes[i].rule
		if (len(rule.Match.Status) == 0 || matchesStatus(rule.Match.Status, status)) && t.routes[i].matches(&r, r.Method) {
			return rule, i
		}
	}
	return t.fallback.rule, -1
}

func matchesStatus(patterns []cdn.StatusPattern, status int) bool {
	for _, p := range patterns {
		if p.Matches(status) {
			return true
		}
	}
	return false
}

// at returns the route of an index, -1 included.
func (t *Table) at(i int) *route {
	if i < 0 {
		return &t.fallback
	}
	return &t.routes[i]
}

// matches reports whether a request is the route's, the status aside.
func (r *route) matches(req *Request, method string) bool {
	return r.matchesURL(&req.Target) && r.matchesMethod(method) && r.matchesVisitor(req)
}

// matchesURL looks at what a purge knows as well.
func (r *route) matchesURL(target *cdn.Target) bool {
	m := &r.rule.Match
	path := target.Path
	switch {
	case !strings.HasPrefix(path, m.PathPrefix):
		return false
	case len(m.Extensions) > 0 && !hasExtension(path, m.Extensions):
		return false
	case r.glob != nil && !r.glob.match(path):
		return false
	}
	for i := range r.query {
		if !hasParameter(target.Query, &r.query[i]) {
			return false
		}
	}
	return r.re == nil || r.re.MatchString(path) // last: it costs most
}

func hasExtension(path string, extensions []string) bool {
	for _, e := range extensions {
		if strings.HasSuffix(path, e) {
			return true
		}
	}
	return false
}

func (r *route) matchesMethod(method string) bool {
	methods := r.rule.Match.Methods
	return len(methods) == 0 || slices.Contains(methods, method) ||
		method == http.MethodHead && slices.Contains(methods, http.MethodGet)
}

// matchesVisitor looks at what one URL's requests differ in.
func (r *route) matchesVisitor(req *Request) bool {
	if c := r.rule.Match.Country; len(c) > 0 && !slices.Contains(c, req.Country) {
		return false
	}
	for i := range r.headers {
		if !hasLine(req.Header[r.headers[i].name], r.headers[i].value) {
			return false
		}
	}
	for i := range r.cookies {
		if !hasCookie(req.Header["Cookie"], &r.cookies[i]) {
			return false
		}
	}
	return true
}

func hasLine(lines []string, value *glob) bool {
	return slices.ContainsFunc(lines, value.match)
}

func hasParameter(query string, c *condition) bool {
	for more := query != ""; more; {
		var p string
		p, query, more = strings.Cut(query, "&")
		if name, value, _ := strings.Cut(p, "="); name == c.name && c.value.match(value) {
			return true
		}
	}
	return false
}

func hasCookie(lines []string, c *condition) bool {
	for value := range cookieValues(lines, c.name) {
		if c.value.match(value) {
			return true
		}
	}
	return false
}
