package rules

import (
	"net/http"
	"slices"

	"nearcast/cdn"
)

// Plan is what a request's route makes of it. It is immutable and belongs to one request.
type Plan struct {
	// Route is the index of the route, -1 for none.
	Route int
	// Rule is the route; never nil, the zero route if there is none. It is not to be changed.
	Rule *cdn.Route
	// Key is what everything that is stored for the URL is stored under. A purge of the URL
	// finds it with [Table.Keys].
	Key cdn.CacheKey
	// Variant selects among what is stored under Key; empty for most. It is printable ASCII.
	Variant string
	// Origin is what the origin is asked for, its domain being the Host field's. Only the
	// node that asks the origin itself uses it: a parent node is asked for the visitor's
	// target and makes the same plan.
	Origin cdn.Target
	// Redirect is where the visitor is sent instead, in a Location field; empty if nowhere.
	Redirect string
	// RedirectStatus goes with it.
	RedirectStatus int
	// Err is that the rewrite or redirect has made no valid target of this path. The
	// request is answered with 400 then: asking the origin for the path as it was could
	// reach what the rule is there to hide. Of kind [cdn.Invalid]; nil otherwise.
	Err error
	// Device is the visitor's class of device, if the key has it.
	Device string

	table     *Table
	request   Request
	cacheable bool
}

// Request makes the plan of a request. It is small so that the compiler can put it into its
// caller and the plan on its caller's stack.
func (t *Table) Request(r Request) *Plan {
	p := new(Plan)
	t.plan(p, r)
	return p
}

func (t *Table) plan(p *Plan, r Request) {
	p.table, p.request = t, r
	index, preflight := t.routeOf(r)
	p.Route = index
	route := t.at(p.Route)
	p.Rule = route.rule
	target := t.keyTarget(&p.Rule.CacheKey, r.Target)
	p.Key = keyOf(t.site.Name, &target)
	if p.Rule.CacheKey.Device {
		p.Device = deviceClass(r.Header)
	}
	p.Variant = route.variant(&p.request, p.Device)
	p.cacheable = (r.Method == http.MethodGet || r.Method == http.MethodHead) && !p.Rule.Bypass
	p.Origin = r.Target
	if p.cacheable {
		p.Origin = target
	}
	if !preflight { // browsers follow no redirect of a preflight
		p.redirect(route)
	}
	if p.Redirect == "" && p.Err == nil && route.rewrite != nil {
		p.Origin, _, p.Err = route.rewrite.apply(p.Origin)
	}
}

// routeOf is [Table.Route] with the method that a preflight announces.
func (t *Table) routeOf(r Request) (index int, preflight bool) {
	if announced := announcedMethod(r.Method, r.Header); announced != "" {
		asked := r
		asked.Method = announced
		if i := t.Route(asked); i >= 0 && t.routes[i].rule.CORS != nil {
			return i, true
		}
	}
	return t.Route(r), false
}

// redirect sends the visitor to https first, if it must be there.
func (p *Plan) redirect(route *route) {
	target := p.request.Target
	if p.Rule.ForceHTTPS && target.Scheme == "http" {
		target.Scheme = "https"
		p.Redirect, p.RedirectStatus = target.String(), http.StatusPermanentRedirect
		return
	}
	if route.redirect == nil {
		return
	}
	location, ok, err := route.redirect.location(target)
	switch {
	case err != nil:
		p.Err = err
	case ok:
		p.Redirect, p.RedirectStatus = location, p.Rule.Redirect.Code()
	}
}

// Response is [Table.Response] of the plan's request. It costs nothing where no route is
// for certain statuses.
func (p *Plan) Response(status int) (rule *cdn.Route, index int) {
	if !p.table.byStatus {
		return p.Rule, p.Route
	}
	return p.table.Response(p.request, status)
}

// Base returns the key under which a plain GET of the target is stored.
func (t *Table) Base(target cdn.Target) cdn.CacheKey {
	get := Request{Method: http.MethodGet, Target: target}
	keyed := t.keyTarget(&t.at(t.Route(get)).rule.CacheKey, target)
	return keyOf(t.site.Name, &keyed)
}

// Keys returns every key under which responses to GETs of the target may be stored,
// whatever their fields and wherever they come from; the first is [Table.Base]. A purge
// of the target removes what is stored under each, in all variants.
func (t *Table) Keys(target cdn.Target) []cdn.CacheKey {
	keys := []cdn.CacheKey{t.Base(target)}
	for i := range t.routes {
		r := &t.routes[i]
		if len(r.rule.Match.Status) > 0 || !r.matchesMethod(http.MethodGet) || !r.matchesURL(&target) {
			continue
		}
		keyed := t.keyTarget(&r.rule.CacheKey, target)
		if k := keyOf(t.site.Name, &keyed); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
		if r.hidden == "" {
			return keys // it takes every GET that the routes before it have left
		}
	}
	if plain := keyOf(t.site.Name, &target); !slices.Contains(keys, plain) {
		keys = append(keys, plain)
	}
	return keys
}
