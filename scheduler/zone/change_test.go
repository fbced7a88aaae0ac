package zone_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/scheduler/zone"
)

// model is what exists in a zone whose only records are its servers', said in the simplest way.
func model(cfg *zone.Config, name string) string {
	part := ""
	if name != "cdn.test" {
		p, ok := strings.CutSuffix(name, ".cdn.test")
		if !ok {
			return "refused"
		}
		part = p
	}
	steered := func(d string) bool {
		if slices.Contains(cfg.DNS.Steered, cdn.Domain(d)) {
			return true
		}
		return slices.ContainsFunc(cfg.Sites, func(s cdn.Site) bool { return slices.Contains(s.Domains, cdn.Domain(d)) })
	}
	if part == "" {
		return "cdn.test apex SOA:1"
	}
	if steered(part) {
		return "cdn.test steered=" + part + "/0"
	}
	if first, rest, ok := strings.Cut(part, "."); ok && cfg.Nodes[cdn.NodeName(first)] != nil && steered(rest) {
		return "cdn.test steered=" + rest + "/0 node=" + first
	}
	all := slices.Clone(cfg.DNS.Steered)
	for _, s := range cfg.Sites {
		all = append(all, s.Domains...)
	}
	for _, d := range all {
		if strings.HasSuffix(string(d), "."+part) {
			return "cdn.test"
		}
	}
	return "cdn.test absent"
}

// TestChanges: a set that has been changed many times says the same as the model, whatever comes, goes, moves and is there twice.
func TestChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	labels := []string{"a", "b", "c", "e1", "e2", "dd"}
	name := func() cdn.Domain {
		parts := make([]string, 1+r.IntN(4))
		for i := range parts {
			parts[i] = labels[r.IntN(len(labels))]
		}
		return cdn.Domain(strings.Join(parts, "."))
	}
	cfg := config()
	cfg.Zones, cfg.Servers, cfg.Class, cfg.Sites, cfg.DNS.Steered = nil, nil, nil, nil, nil
	var s *zone.Set
	for step := range 400 {
		cfg.Sites = slices.Clone(cfg.Sites)
		switch n := len(cfg.Sites); {
		case n > 0 && r.IntN(4) == 0:
			i := r.IntN(n)
			cfg.Sites = slices.Delete(cfg.Sites, i, i+1)
		case n > 0 && r.IntN(2) == 0:
			site := &cfg.Sites[r.IntN(n)]
			site.Domains = slices.Clone(site.Domains)
			site.Domains = append(site.Domains[min(r.IntN(2), len(site.Domains)):], name())
		case n > 1 && r.IntN(6) == 0:
			cfg.Sites[0], cfg.Sites[n-1] = cfg.Sites[n-1], cfg.Sites[0]
		case r.IntN(8) == 0:
			cfg.DNS.Steered = []cdn.Domain{name(), name()}
		case n < 12:
			cfg.Sites = append(cfg.Sites, cdn.Site{Name: cdn.SiteName(fmt.Sprintf("s%d", r.IntN(1000))), Domains: []cdn.Domain{name(), name(), name()}})
		}
		s = compile(t, cfg, s)
		for range 60 {
			asked := string(name()) + ".cdn.test"
			var m zone.Match
			s.Find(wire(t, asked), &m)
			if got, want := show(&m), model(&cfg, asked); got != want {
				t.Fatalf("step %d: %s: %s, want %s\n%+v", step, asked, got, want, cfg.Sites)
			}
		}
	}
}

// TestGrowth: the table has as many shards as suit it, while sites come and go by the thousand.
func TestGrowth(t *testing.T) {
	cfg := config()
	var s *zone.Set
	for _, n := range []int{0, 1, 3000, 200, 5000, 0, 10} {
		cfg.Sites = nil
		for i := range n {
			cfg.Sites = append(cfg.Sites, cdn.Site{Name: cdn.SiteName(fmt.Sprintf("s%d", i)), Domains: []cdn.Domain{cdn.Domain(fmt.Sprintf("w.x%d.example", i)), cdn.Domain(fmt.Sprintf("v%d.example", i))}})
		}
		s = compile(t, cfg, s)
		if want := 2*n + len(cfg.DNS.Steered); s.Names() != want {
			t.Fatalf("%d names, want %d", s.Names(), want)
		}
		for i := range 5000 {
			var m zone.Match
			for name, want := range map[string]bool{fmt.Sprintf("w.x%d.example.cdn.test", i): i < n, fmt.Sprintf("x%d.example.cdn.test", i): i < n, fmt.Sprintf("v%d.example.cdn.test", i): i < n} {
				if s.Find(wire(t, name), &m); m.Exists != want {
					t.Fatalf("with %d sites %s exists: %v", n, name, m.Exists)
				}
			}
		}
	}
}

// FuzzFind: no octets make Find panic or allocate, and what it says is in a zone ends with the zone.
func FuzzFind(f *testing.F) {
	s := compile(f, config(), nil)
	for _, name := range []string{"cdn.test", "d1.cdn.test", "e1.www.shop.example.cdn.test", "x.dev.cdn.test", `a\.b.cdn.test`, "a.sub.cdn.test", "x.shop.example"} {
		f.Add(wire(f, name))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		var m zone.Match
		s.Find(name, &m)
		if m.Zone == nil {
			if m.Exists || m.Domain != "" {
				t.Errorf("%x is in no zone, but %s", name, show(&m))
			}
			return
		}
		lower := []byte(strings.ToLower(string(name)))
		if len(name) > 255 || len(name) < len(m.Zone.Name) || !strings.EqualFold(string(name[len(name)-len(m.Zone.Name):]), string(m.Zone.Name)) {
			t.Errorf("%x is in %s", lower, m.Zone.Text)
		}
		if (m.Domain != "" || len(m.Sets) > 0 || m.Alias != nil || m.Cut != nil || m.Node != nil) && !m.Exists {
			t.Errorf("%x has something but does not exist: %s", name, show(&m))
		}
		s.Host(cdn.Domain(name))
	})
}
