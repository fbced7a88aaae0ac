package decide_test

import (
	"fmt"
	"net/netip"
	"testing"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// Whom policy sends past the nearest POPs is sent to the nearest of the others, and that costs no memory: anybody can
// ask for as many as they like in such a place's name.
func TestFarther(t *testing.T) {
	s := &cdn.Snapshot{Generation: 1, Sites: []cdn.Site{{Name: "bound", Domains: []cdn.Domain{"www.bound.example"}}}}
	s.Fleet.Zone = "cdn.test"
	deny := cdn.Policy{Name: "far", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"bound"}}}
	for i := range 100 {
		name := cdn.POPName(fmt.Sprintf("p%02d", i))
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(i)}})
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: cdn.NodeName(name) + "-1", POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
		if i < 90 || i == 95 {
			deny.Deny = append(deny.Deny, name)
		}
	}
	s.Fleet.Policies = []cdn.Policy{deny}
	s.Fleet.Clients = []cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Location: cdn.Location{Longitude: 1}},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Location: cdn.Location{Longitude: 94.9}},
		{Prefix: netip.MustParsePrefix("10.3.0.0/16"), Location: cdn.Location{Longitude: 120}},
		{Prefix: netip.MustParsePrefix("10.4.0.0/16"), Location: cdn.Location{Longitude: 95}}, // in the middle of two
	}
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	v := view.New(p, view.News{Loads: true, States: true, Active: p.Policies.At(noon, nil)})
	for client, want := range map[string]cdn.POPName{"10.1.0.1": "p90", "10.2.0.1": "p94", "10.3.0.1": "p99", "10.4.0.1": "p94"} {
		var room [8]*cdn.Node
		q := decide.Query{Domain: "www.bound.example", Client: netip.MustParseAddr(client), Now: noon, Room: room[:0]}
		if d := decide.Answer(v, q); d.POP != want || d.Reason != decide.Nearest {
			t.Errorf("%s is sent to %s (%s), want %s", client, d.POP, d.Reason, want)
		}
		if n := testing.AllocsPerRun(10, func() { decide.Answer(v, q) }); n > 0 {
			t.Errorf("%s: %v allocations", client, n)
		}
	}
}
