package route_test

import (
	"testing"

	"nearcast/cdn"
	"nearcast/edge/route"
)

func TestMatch(t *testing.T) {
	snapshot := &cdn.Snapshot{
		Fleet: cdn.Fleet{Zone: "cdn.test", Nodes: []cdn.Node{{Name: "fra-1"}}},
		Sites: []cdn.Site{
			{Name: "shop", Domains: []cdn.Domain{"www.shop.example", "shop.example"}},
			{Name: "blog", Domains: []cdn.Domain{"blog.example"}},
		},
	}
	table, err := route.Compile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[cdn.Domain]struct {
		site   cdn.SiteName
		domain cdn.Domain
	}{
		"www.shop.example":                  {"shop", "www.shop.example"},
		"shop.example":                      {"shop", "shop.example"},
		"blog.example":                      {"blog", "blog.example"},
		"blog.example.cdn.test":             {"blog", "blog.example"},
		"fra-1.blog.example.cdn.test":       {"blog", "blog.example"},
		"www.shop.example.cdn.test":         {"shop", "www.shop.example"},
		"fra-1.www.shop.example.cdn.test":   {"shop", "www.shop.example"},
		"ams-9.blog.example.cdn.test":       {}, // no such node
		"fra-1.fra-1.blog.example.cdn.test": {},
		"fra-1.blog.example":                {}, // not below the zone
		"www.blog.example":                  {},
		"cdn.test":                          {},
		"fra-1.cdn.test":                    {},
		"blog.example.cdn.test.evil":        {},
		"evilcdn.test":                      {},
	} {
		site, domain, ok := table.Match(host)
		switch {
		case want.site == "" && ok:
			t.Errorf("%s is served as %s of %s, want nothing", host, domain, site.Name)
		case want.site != "" && (!ok || site.Name != want.site || domain != want.domain):
			t.Errorf("%s: %v %s %v, want %s of %s", host, site, domain, ok, want.domain, want.site)
		}
	}
}

func TestTwoSitesWithOneDomain(t *testing.T) {
	_, err := route.Compile(&cdn.Snapshot{Sites: []cdn.Site{
		{Name: "a", Domains: []cdn.Domain{"x.example"}}, {Name: "b", Domains: []cdn.Domain{"x.example"}},
	}})
	if cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("error %v, want one of kind invalid", err)
	}
}

func TestSingleServesEveryHost(t *testing.T) {
	only := &cdn.Site{Name: "only"}
	if site, domain, ok := route.Single(only).Match("anything.example"); site != only || domain != "anything.example" || !ok {
		t.Errorf("%v %s %v", site, domain, ok)
	}
}

// A host names a node only below a site's domain in the zone.
func TestNames(t *testing.T) {
	table, err := route.Compile(&cdn.Snapshot{
		Fleet: cdn.Fleet{Zone: "cdn.test", Nodes: []cdn.Node{{Name: "fra-1"}, {Name: "www"}}},
		Sites: []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"www.shop.example", "shop.example", "fra-1.own.example.cdn.test"}}, {Name: "own", Domains: []cdn.Domain{"own.example"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[cdn.Domain]bool{
		"fra-1.shop.example.cdn.test":     true,
		"fra-1.www.shop.example.cdn.test": true,
		"www.www.shop.example.cdn.test":   true,
		"www.shop.example.cdn.test":       false, // a site's domain goes before a node of that name
		"shop.example.cdn.test":           false,
		"shop.example":                    false,
		"fra-1.own.example.cdn.test":      false, // somebody's own domain
		"fra-2.shop.example.cdn.test":     false,
		"fra-1.cdn.test":                  false,
		"cdn.test":                        false,
		"fra-1.shop.example":              false,
	} {
		if got := table.Names(host); got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
	if route.Single(&cdn.Site{}).Names("fra-1.shop.example.cdn.test") {
		t.Error("a node without a fleet has a name of its own")
	}
}
