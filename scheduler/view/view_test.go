package view_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/locate"
	"nearcast/internal/prefixtable"
	"nearcast/scheduler/view"
)

func snapshot() *cdn.Snapshot {
	edge, scheduler := []cdn.Role{cdn.RoleEdge}, []cdn.Role{cdn.RoleScheduler}
	return &cdn.Snapshot{
		Generation: 3,
		Fleet: cdn.Fleet{
			Zone: "cdn.test",
			POPs: []cdn.POP{{Name: "p1", Tier: cdn.TierEdge}, {Name: "hub", Tier: cdn.TierRegional}, {Name: "vacant", Tier: cdn.TierEdge}},
			Nodes: []cdn.Node{
				{Name: "s1", Roles: scheduler},
				{Name: "e1", POP: "p1", Roles: edge},
				{Name: "e2", POP: "p1", Roles: edge},
				{Name: "h1", POP: "hub", Roles: edge},
				{Name: "s2", Roles: scheduler},
			},
		},
		Sites: []cdn.Site{
			{Domains: []cdn.Domain{"www.shop.example", "shop.example"}},
			{Domains: []cdn.Domain{"ns1", "ns9"}},
			{Domains: []cdn.Domain{"e2.www.shop.example"}},
		},
	}
}

func compile(t *testing.T, s *cdn.Snapshot) *view.Plan {
	t.Helper()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompile(t *testing.T) {
	p := compile(t, snapshot())
	if p.Generation != 3 || p.Port != 80 || len(p.POPs) != 1 || p.POPs[0].Name != "p1" {
		t.Errorf("plan %+v", p)
	}
	if diff := cmp.Diff([]cdn.NodeName{"e1", "e2"}, p.POPs[0].Names); diff != "" {
		t.Errorf("nodes of p1 (-want +got):\n%s", diff)
	}
	if p.Node("h1") != nil || p.Node("e1") == nil {
		t.Error("h1 is taken for an edge node, or e1 is not")
	}
	for _, test := range []struct {
		name   string
		change func(*cdn.Snapshot)
	}{
		{"zone", func(s *cdn.Snapshot) { s.Fleet.Zone = "" }},
		{"prefix", func(s *cdn.Snapshot) { s.Fleet.Clients = []cdn.ClientPrefix{{}} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot()
			test.change(s)
			if _, err := view.Compile(s); err == nil {
				t.Error("it was accepted")
			}
		})
	}
	if _, err := view.Compile(nil); err == nil {
		t.Error("no configuration was accepted")
	}
}

// Distance decides, the carrier only between neighbours, and the name between equals.
func TestNearest(t *testing.T) {
	s := snapshot()
	s.Fleet.POPs = []cdn.POP{
		{Name: "b", Tier: cdn.TierEdge, Location: cdn.Location{Longitude: 10}},
		{Name: "a", Tier: cdn.TierEdge, Location: cdn.Location{Longitude: 10}},
		{Name: "c", Tier: cdn.TierEdge, Location: cdn.Location{Longitude: 10.4}, ISP: "Telco"}, // 44 km on
		{Name: "d", Tier: cdn.TierEdge, Location: cdn.Location{Longitude: 40}, ISP: "Telco"},
	}
	s.Fleet.Nodes = nil
	for _, pop := range s.Fleet.POPs {
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: cdn.NodeName(pop.Name), POP: pop.Name, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	s.Fleet.Clients = []cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Location: cdn.Location{Longitude: 10}},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Location: cdn.Location{Longitude: 10}, ISP: "telco"},
		{Prefix: netip.MustParsePrefix("10.3.0.0/16"), Location: cdn.Location{Longitude: 60}},
	}
	p := compile(t, s)
	var got [][]cdn.POPName
	for place := range p.Clients.Places() {
		var names []cdn.POPName
		for _, i := range p.Nearest(place) {
			names = append(names, p.POPs[i].Name)
		}
		got = append(got, names)
	}
	want := [][]cdn.POPName{{"a", "b", "c", "d"}, {"c", "a", "b", "d"}, {"d", "c", "a", "b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

func TestFresh(t *testing.T) {
	received := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		table *cdn.RouteTable
		age   time.Duration
		want  bool
	}{
		{"new", new(cdn.RouteTable), 0, true},
		{"minute", new(cdn.RouteTable), time.Minute, true},
		{"older", new(cdn.RouteTable), time.Minute + 1, false},
		{"none", nil, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := view.Fresh(test.table, received, received.Add(test.age)); got != test.want {
				t.Errorf("fresh %t, want %t", got, test.want)
			}
		})
	}
}

// What is known only in part is used: the country, if there are POPs in it, and the number of the carrier.
func TestNearestInPart(t *testing.T) {
	s := snapshot()
	s.Fleet.POPs, s.Fleet.Nodes = nil, nil
	for i := range 20 {
		name := fmt.Sprintf("p%02d", i)
		pop := cdn.POP{Name: cdn.POPName(name), Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(5 * i), Country: "AA"}}
		if i == 19 {
			pop.Location.Country, pop.ISP = "ZZ", "as64500"
		}
		s.Fleet.POPs = append(s.Fleet.POPs, pop)
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: cdn.NodeName(name), POP: pop.Name, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	records := []geo.Record{{Country: "ZZ"}, {Country: "BB"}, {Longitude: 92.6, Located: true, ASN: 64500}, {Longitude: 91, Located: true, ASN: 6450}}
	var entries []prefixtable.Entry
	for i := range records {
		entries = append(entries, prefixtable.Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16), Number: int32(i)})
	}
	table, err := prefixtable.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := locate.New(nil, &geo.Database{Table: table, Records: records})
	if err != nil {
		t.Fatal(err)
	}
	p, err := view.CompileWith(s, clients, nil)
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range [][]int{{19, 18}, nil, {19, 18}, {18, 19}} {
		got := p.Nearest(place)
		if want == nil && got == nil {
			continue
		}
		if len(got) != 16 || len(p.All(place)) != 20 || !slices.Equal(got[:2], want) || !slices.Equal(p.Nearest(place), got) {
			t.Errorf("place %d: %v and then %v, want %v first", place, got, p.Nearest(place), want)
		}
	}
	next := func(change func(*cdn.Snapshot)) *view.Plan {
		other := *s
		other.Fleet.POPs = slices.Clone(s.Fleet.POPs)
		change(&other)
		q, err := view.CompileWith(&other, clients, p)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	if q := next(func(s *cdn.Snapshot) { s.Generation++ }); &q.Nearest(0)[0] != &p.Nearest(0)[0] {
		t.Error("what is near is found out again for a configuration with the same POPs")
	}
	for what, change := range map[string]func(*cdn.Snapshot){
		"a POP has moved": func(s *cdn.Snapshot) { s.Fleet.POPs[19].Location.Longitude = -90 },
		"a POP is gone":   func(s *cdn.Snapshot) { s.Fleet.POPs[19].Tier = cdn.TierRegional },
	} {
		if got := next(change).Nearest(2); got[0] == 19 {
			t.Errorf("%s: it is still the nearest", what)
		}
	}
}
