package zone_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/zone"
)

// nested is the fleet's zone within an operator's, which has another within it, too.
func nested() zone.Config {
	cfg := config()
	cfg.Zones = append(cfg.Zones,
		cdn.Zone{Name: "test", Records: []cdn.Record{
			{Name: "*", Type: "TXT", Data: "any"},
			{Name: "www", Type: "A", Data: "192.0.2.70"},
			{Name: "off", Type: "NS", Data: "ns.elsewhere.example."},
			{Name: "shop", Type: "A", Data: "192.0.2.71"},
			{Name: "x.shop", Type: "A", Data: "192.0.2.72"}, // hidden
		}},
		cdn.Zone{Name: "shop.test"}, cdn.Zone{Name: "deep.a.shop.test"}, cdn.Zone{Name: "in.off.test"})
	return cfg
}

// A name belongs to the zone that is nearest above it. A zone within another exists there, with all that is between them.
func TestNested(t *testing.T) {
	s := compile(t, nested(), nil)
	for name, want := range map[string]string{
		"test":                 "test apex NS:2 SOA:1",
		"www.test":             "test A:1",
		"x.test":               "test wildcard TXT:1",
		"cdn.test":             "cdn.test apex NS:2 SOA:1 TXT:1",
		"d1.cdn.test":          "cdn.test steered=d1/0 CAA:1",
		"x.cdn.test":           "cdn.test absent",
		"shop.test":            "shop.test apex NS:2 SOA:1",
		"x.shop.test":          "shop.test absent",
		"a.shop.test":          "shop.test",
		"b.a.shop.test":        "shop.test absent",
		"deep.a.shop.test":     "deep.a.shop.test apex NS:2 SOA:1",
		"x.y.deep.a.shop.test": "deep.a.shop.test absent",
		"off.test":             "test at cut",
		"in.off.test":          "in.off.test apex NS:2 SOA:1",
		"www.shop.example":     "shop.example steered=www.shop.example/4 TXT:1",
		"xtest":                "refused",
	} {
		var m zone.Match
		if s.Find(wire(t, name), &m); show(&m) != want {
			t.Errorf("%s is found as %s, want %s", name, show(&m), want)
		}
	}
}

// The delegation of a zone within another is in the one above, with glue for servers that are there, or below.
func TestDelegationsOfOurs(t *testing.T) {
	s := compile(t, nested(), nil)
	for name, want := range map[string]struct {
		above string
		glue  int
	}{
		"cdn.test": {"test", 2}, "shop.test": {"test", 2}, "deep.a.shop.test": {"shop.test", 0}, "test": {}, "shop.example": {}, "in.off.test": {},
	} {
		var m zone.Match
		s.Find(wire(t, name), &m)
		if got := m.Above(); got != (want.above != "") {
			t.Errorf("%s has a zone above: %t", name, got)
		} else if got && (string(m.Zone.Text) != want.above || !m.Cut.Ours || !m.AtCut || string(m.Cut.Owner) != string(wire(t, name)) || len(m.Cut.NS.Data) != 2 || len(m.Cut.Glue) != want.glue) {
			t.Errorf("%s is delegated as %+v in %s", name, m.Cut, m.Zone.Text)
		}
	}
	var names []string
	for _, z := range s.Zones() {
		if z.Text != "test" && z.Text != "shop.test" {
			continue
		}
		s.All(z, func(owner []byte, m *zone.Match) bool {
			name, _, _ := dns.UnpackDomainName(owner, 0)
			names = append(names, name+" "+show(m))
			return true
		})
	}
	want := []string{
		"test. test apex NS:2 SOA:1", "*.test. test TXT:1", "cdn.test. test at cut", "off.test. test at cut", "shop.test. test at cut", "www.test. test A:1",
		"shop.test. shop.test apex NS:2 SOA:1", "deep.a.shop.test. shop.test at cut",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A zone that comes or goes within another that has not changed is in it, or not any more; a server that changes is in its glue.
func TestNestedChanges(t *testing.T) {
	cfg := nested()
	cfg.Zones[2].Records = nil
	without := cfg
	without.Zones = cfg.Zones[:3]
	var m zone.Match
	exists := func(s *zone.Set) bool {
		s.Find(wire(t, "a.shop.test"), &m)
		return m.Exists
	}
	first := compile(t, without, nil)
	second := compile(t, cfg, first)
	if third := compile(t, without, second); exists(first) || !exists(second) || exists(third) {
		t.Errorf("a.shop.test exists: %t, %t, %t; want it while deep.a.shop.test is there", exists(first), exists(second), exists(third))
	}
	moved := cfg
	moved.Servers = []zone.Server{{Name: "ns1.cdn.test", Node: node("s1", "192.0.2.153")}}
	compile(t, moved, second).Find(wire(t, "shop.test"), &m)
	if !m.Above() || len(m.Cut.Glue) != 1 || m.Cut.Glue[0].Sets[0].Data[0][3] != 153 {
		t.Errorf("glue %+v after the server has moved", m.Cut)
	}
}
