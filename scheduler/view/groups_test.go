package view_test

import (
	"net/netip"
	"slices"
	"testing"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/view"
)

// A visitor is in the group of its network, else of its place; and the scope is that of the networks around.
func TestIndex(t *testing.T) {
	s := snapshot()
	s.Fleet.Clients = []cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Location: cdn.Location{Latitude: 50, Longitude: 10, Country: "DE"}},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Location: cdn.Location{Latitude: 50, Longitude: 10, Country: "DE"}, ISP: "Telekom"},
		{Prefix: netip.MustParsePrefix("10.3.0.0/16"), Location: cdn.Location{Latitude: 50.01, Longitude: 10, Country: "DE"}},
	}
	s.Fleet.Policies = []cdn.Policy{{Name: "x", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"s"}}, Pin: "p1"}}
	p := compile(t, s)
	groups := []*cdn.VisitorGroup{
		{Name: "net 10.1.7.0/24"}, {Name: "net 2001:db8:1::/48"}, {Name: "net nonsense"}, {Name: "place -/DE/50.0,10.0"}, {Name: "place -/XX"}, {Name: "place Telekom/DE/50.0,10.0"},
	}
	x := view.NewIndex(p, groups, nil)
	for _, test := range []struct {
		addr  string
		group int
		scope int
	}{
		{"10.1.7.9", 0, 24},
		{"10.1.6.9", 3, 24},
		{"10.1.0.9", 3, 22},
		{"10.2.0.9", 5, 15},
		{"10.3.0.9", 3, 15}, // nearly the same place
		{"10.4.0.9", -1, 14},
		{"2001:db8:1:2::", 1, 48},
		{"2001:db8:2::", -1, 47},
	} {
		addr := netip.MustParseAddr(test.addr)
		place, _ := p.Clients.Lookup(addr)
		group, scope := x.Find(addr, place)
		if group != test.group || scope != test.scope {
			t.Errorf("%s is in group %d with scope %d, want %d with %d", addr, group, scope, test.group, test.scope)
		}
	}
	if !slices.Equal(x.Places, []int{0, locate.None, locate.None, 0, locate.None, 1}) {
		t.Errorf("places %v", x.Places)
	}
	if x.Classes != 2 || x.IDs[6] != "place -/DE/50.0,10.0" || x.IDs[7] != "place -/DE/50.0,10.0|0" {
		t.Errorf("%d classes, IDs %q", x.Classes, x.IDs)
	}
	if view.NewIndex(p, slices.Clone(groups), x) != x {
		t.Error("an index of the same groups is made again")
	}
	if view.NewIndex(p, groups[:3], x) == x || view.NewIndex(compile(t, s), groups, x) == x {
		t.Error("an index of other groups, or places, is not made again")
	}
}

// Nodes and POPs that an operator empties get nobody, and are no measurement that could be wrong; if nothing else is left they serve.
func TestDrains(t *testing.T) {
	for _, test := range []struct {
		name   string
		drains []cdn.Drain
		down   []cdn.NodeName
		want   []cdn.NodeName
	}{
		{"none", nil, nil, []cdn.NodeName{"e1", "e2"}},
		{"node", []cdn.Drain{{Node: "e1"}}, nil, []cdn.NodeName{"e2"}},
		{"all nodes", []cdn.Drain{{Node: "e1"}, {Node: "e2"}}, nil, []cdn.NodeName{"e1", "e2"}},
		{"the other is down", []cdn.Drain{{Node: "e1"}}, []cdn.NodeName{"e2"}, []cdn.NodeName{"e2"}},
		{"one of two is down", nil, []cdn.NodeName{"e2"}, []cdn.NodeName{"e1"}},
		{"both are down", nil, []cdn.NodeName{"e1", "e2"}, []cdn.NodeName{"e1", "e2"}},
		{"POP", []cdn.Drain{{POP: "p1"}}, nil, []cdn.NodeName{"e1", "e2"}},
		{"unknown", []cdn.Drain{{POP: "p7"}, {Node: "x"}}, nil, []cdn.NodeName{"e1", "e2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot()
			s.Drains = test.drains
			table := &cdn.RouteTable{}
			for _, n := range test.down {
				table.Nodes = append(table.Nodes, cdn.NodeHealth{Node: n, State: cdn.StateDown})
			}
			v := view.Join(compile(t, s), table)
			if got := v.Usable[0].Names; !slices.Equal(got, test.want) {
				t.Errorf("usable %v, want %v", got, test.want)
			}
			if draining := test.name == "POP"; v.Usable[0].Draining != draining {
				t.Errorf("draining %t", !draining)
			}
		})
	}
}
