package rules

import "nearcast/cdn"

// Brief is as much of a [Plan] as it takes to look up what is stored.
type Brief struct {
	Rule    *cdn.Route // see [Plan.Rule]
	Route   int        // see [Plan.Route]
	Key     []byte     // see [Plan.Key]
	Variant string     // see [Plan.Variant]
}

// LooksAtFields reports whether [Table.Brief] needs the request's fields.
func (t *Table) LooksAtFields() bool { return t.fields }

// ChosenByCookies reports whether the route of a request may depend on its cookies.
func (t *Table) ChosenByCookies() bool { return t.cookies }

// LooksAtStatus reports whether [Table.ResponseTo] looks at the request again, and not only at the brief.
func (t *Table) LooksAtStatus() bool { return t.byStatus }

// Brief makes the brief of a GET or HEAD. It appends the key to key, and keeps nothing of the request. It reports false for
// a request that needs a whole plan: one that is not for the cache, is redirected, or whose path is rewritten,
// which can fail.
func (t *Table) Brief(r *Request, key []byte) (b Brief, ok bool) {
	index := t.Route(*r)
	route := t.at(index)
	rule := route.rule
	if rule.Bypass || route.redirect != nil || route.rewrite != nil || rule.ForceHTTPS && r.Target.Scheme == "http" {
		return Brief{}, false
	}
	target := t.keyTarget(&rule.CacheKey, r.Target)
	device := ""
	if rule.CacheKey.Device {
		device = deviceClass(r.Header)
	}
	return Brief{Rule: rule, Route: index, Key: appendKey(key, t.site.Name, &target), Variant: route.variant(r, device)}, true
}

// ResponseTo is [Plan.Response] for a brief of r.
func (t *Table) ResponseTo(r *Request, b *Brief, status int) (rule *cdn.Route, index int) {
	if t.byStatus {
		return t.Response(*r, status)
	}
	return b.Rule, b.Route
}
