package rules_test

import (
	"net/url"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/rules"
)

// Whatever the path, a rewrite yields normal form or nothing, and a redirect stays on its host.
func FuzzRewrite(f *testing.F) {
	f.Add("^/old/(.*)$", "/new/$1", "/old/a?x")
	f.Add("^/f/?(.*)$", "/files/$1", "/f..")
	f.Add("(.)(.)", "/%$1$2", "/%41b")
	f.Add("^(.*)$", "/$1$1?$1", "//evil.example/%2f")
	f.Fuzz(func(t *testing.T, expr, to, path string) {
		target, err := cdn.NewTarget("http", "www.shop.example", path)
		if err != nil {
			return
		}
		site := cdn.Site{Name: "shop", Routes: []cdn.Route{{Rewrite: &cdn.Rewrite{Regexp: expr, To: to}}, {}}}
		checkRewritten(t, &site, target)
		site.Routes[0] = cdn.Route{Redirect: &cdn.Redirect{Regexp: expr, To: to}}
		checkRedirected(t, &site, target)
	})
}

func checkRewritten(t *testing.T, site *cdn.Site, target cdn.Target) {
	t.Helper()
	tab, err := rules.Compile(site)
	if err != nil {
		return
	}
	p := tab.Request(rules.Request{Method: "GET", Target: target})
	if p.Err != nil {
		return
	}
	again, err := cdn.NewTarget(p.Origin.Scheme, p.Origin.Domain, p.Origin.RequestURI())
	if err != nil || again != p.Origin {
		t.Errorf("%v is asked for, whose normal form is %v (%v)", p.Origin, again, err)
	}
	if p.Origin.Domain != target.Domain || p.Origin.Scheme != target.Scheme {
		t.Errorf("%v is on another host than %v", p.Origin, target)
	}
}

func checkRedirected(t *testing.T, site *cdn.Site, target cdn.Target) {
	t.Helper()
	tab, err := rules.Compile(site)
	if err != nil || site.Routes[0].Redirect.To[0] != '/' {
		return
	}
	p := tab.Request(rules.Request{Method: "GET", Target: target})
	if p.Redirect == "" {
		return
	}
	location, err := url.Parse(p.Redirect)
	if err != nil {
		return // a stray escape in a query is no host
	}
	if got := target.URL().ResolveReference(location); got.Host != string(target.Domain) {
		t.Errorf("%v is redirected to %v", target, got)
	}
}
