package decide_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// snapshot is a fleet of three edge POPs with two nodes each, and one regional POP.
func snapshot() *cdn.Snapshot {
	s := &cdn.Snapshot{Generation: 7}
	s.Fleet.Zone = "cdn.test"
	berlin, paris, tokyo := cdn.Location{Latitude: 52.5, Longitude: 13.4}, cdn.Location{Latitude: 48.9, Longitude: 2.4}, cdn.Location{Latitude: 35.7, Longitude: 139.7}
	s.Fleet.POPs = []cdn.POP{
		{Name: "berlin", Tier: cdn.TierEdge, Location: berlin},
		{Name: "paris", Tier: cdn.TierEdge, Location: paris, ISP: "Orange"},
		{Name: "tokyo", Tier: cdn.TierEdge, Location: tokyo},
		{Name: "hub", Tier: cdn.TierRegional, Location: berlin},
		{Name: "vacant", Tier: cdn.TierEdge, Location: berlin},
	}
	for _, pop := range []string{"berlin", "paris", "tokyo", "hub"} {
		for i := range 2 {
			s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{
				Name: cdn.NodeName(fmt.Sprintf("%s-%d", pop, i+1)), POP: cdn.POPName(pop), Roles: []cdn.Role{cdn.RoleEdge},
			})
		}
	}
	// 412 km from Berlin and 458 km from Paris: Berlin's, unless the carrier counts.
	between := cdn.Location{Latitude: 50.9, Longitude: 8.0}
	s.Fleet.Clients = []cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Location: berlin},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Location: paris},
		{Prefix: netip.MustParsePrefix("10.3.0.0/16"), Location: tokyo},
		{Prefix: netip.MustParsePrefix("10.4.0.0/16"), Location: between, ISP: "Telekom"},
		{Prefix: netip.MustParsePrefix("10.5.0.0/16"), Location: between, ISP: "orange"},
		{Prefix: netip.MustParsePrefix("10.6.0.0/16"), Location: berlin, ISP: "Orange"},
	}
	return s
}

func table(states map[cdn.NodeName]cdn.NodeState) *cdn.RouteTable {
	t := &cdn.RouteTable{Epoch: "e", Version: 1}
	for node, state := range states {
		t.Nodes = append(t.Nodes, cdn.NodeHealth{Node: node, State: state})
	}
	return t
}

func join(t *testing.T, s *cdn.Snapshot, states map[cdn.NodeName]cdn.NodeState) *view.View {
	t.Helper()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return view.Join(p, table(states))
}

func names(nodes []*cdn.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, string(n.Name))
	}
	slices.Sort(out)
	return out
}

func all(state cdn.NodeState) map[cdn.NodeName]cdn.NodeState {
	m := make(map[cdn.NodeName]cdn.NodeState)
	for _, n := range []cdn.NodeName{"berlin-1", "berlin-2", "paris-1", "paris-2", "tokyo-1", "tokyo-2"} {
		m[n] = state
	}
	return m
}

func TestAnswer(t *testing.T) {
	type states = map[cdn.NodeName]cdn.NodeState
	berlin, paris := []string{"berlin-1", "berlin-2"}, []string{"paris-1", "paris-2"}
	for _, test := range []struct {
		name   string
		client string
		states states
		pop    cdn.POPName
		nodes  []string
	}{
		{"near", "10.1.2.3", nil, "berlin", berlin},
		{"farther", "10.2.2.3", nil, "paris", paris},
		{"farthest", "10.3.2.3", nil, "tokyo", []string{"tokyo-1", "tokyo-2"}},
		{"mapped", "::ffff:10.2.2.3", nil, "paris", paris},
		{"neutral", "10.4.2.3", nil, "berlin", berlin},
		{"carrier", "10.5.2.3", nil, "paris", paris},
		{"toofar", "10.6.2.3", nil, "berlin", berlin},
		{"ready", "10.1.2.3", all(cdn.StateReady), "berlin", berlin},
		{"onedown", "10.1.2.3", states{"berlin-1": cdn.StateDown}, "berlin", berlin[1:]},
		{"onestarting", "10.1.2.3", states{"berlin-1": cdn.StateStarting}, "berlin", berlin[1:]},
		{"onedraining", "10.1.2.3", states{"berlin-1": cdn.StateDraining}, "berlin", berlin[1:]},
		{"popdown", "10.1.2.3", states{"berlin-1": cdn.StateDown, "berlin-2": cdn.StateDown}, "paris", paris},
		{"popdraining", "10.1.2.3", states{"berlin-1": cdn.StateDraining, "berlin-2": cdn.StateDraining}, "paris", paris},
		{"regional", "10.1.2.3", states{"hub-1": cdn.StateDown, "hub-2": cdn.StateDown, "x": cdn.StateDown, "y": cdn.StateDown}, "berlin", berlin},
		{"half", "10.1.2.3", states{"berlin-1": cdn.StateDown, "berlin-2": cdn.StateDown, "paris-1": cdn.StateDown}, "paris", paris[1:]},
		{"overhalf", "10.1.2.3", states{"berlin-1": cdn.StateDown, "berlin-2": cdn.StateDown, "paris-1": cdn.StateDown, "paris-2": cdn.StateDown}, "berlin", berlin},
		{"alldown", "10.1.2.3", all(cdn.StateDown), "berlin", berlin},
		{"alldraining", "10.1.2.3", all(cdn.StateDraining), "berlin", berlin},
		{"sparedraining", "10.1.2.3", states{
			"berlin-1": cdn.StateDraining, "berlin-2": cdn.StateDown, "paris-1": cdn.StateDown, "paris-2": cdn.StateDown, "tokyo-1": cdn.StateDown,
		}, "berlin", berlin[1:]},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := decide.Answer(join(t, snapshot(), test.states), decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr(test.client)})
			if got.POP != test.pop || got.Reason != decide.Nearest {
				t.Errorf("POP %q because %q, want %q because %q", got.POP, got.Reason, test.pop, decide.Nearest)
			}
			if diff := cmp.Diff(test.nodes, names(got.Nodes)); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			if got.Scope != 16 {
				t.Errorf("scope %d, want 16", got.Scope)
			}
		})
	}
}

func TestNoNodes(t *testing.T) {
	s := snapshot()
	s.Fleet.Nodes = nil
	for _, client := range []string{"10.1.2.3", "192.0.2.1", "2001:db8::1"} {
		got := decide.Answer(join(t, s, nil), decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr(client)})
		if got.POP != "" || len(got.Nodes) != 0 || got.Reason != decide.NoNodes {
			t.Errorf("%s gets %+v from a fleet without nodes", client, got)
		}
	}
}

// Clients whose place is unknown spread over all POPs and over the nodes in them;
// a network always gets the same; what fails gives away its own share only.
func TestUnplaced(t *testing.T) {
	healthy := join(t, snapshot(), nil)
	broken := join(t, snapshot(), map[cdn.NodeName]cdn.NodeState{"tokyo-1": cdn.StateDown, "tokyo-2": cdn.StateDown})
	first := make(map[cdn.NodeName]int)
	for i := range 600 {
		client := netip.AddrFrom4([4]byte{192, byte(i >> 8), byte(i), 1})
		q := decide.Query{Domain: "www.shop.example", Client: client}
		got := decide.Answer(healthy, q)
		if got.Reason != decide.Unplaced {
			t.Fatalf("%s is answered because %q", client, got.Reason)
		}
		first[got.Nodes[0].Name]++
		q.Client = netip.AddrFrom4([4]byte{192, byte(i >> 8), byte(i), 200})
		if diff := cmp.Diff(got, decide.Answer(healthy, q)); diff != "" {
			t.Errorf("two clients of one network (-first +second):\n%s", diff)
		}
		moved := decide.Answer(broken, q)
		if moved.POP == "tokyo" || got.POP != "tokyo" && moved.POP != got.POP {
			t.Errorf("%s moves from %s to %s when tokyo fails", client, got.POP, moved.POP)
		}
	}
	for node, n := range first {
		if n < 60 || n > 150 { // 100 are expected, with a deviation of 9
			t.Errorf("%s is the first choice of %d of 600 networks", node, n)
		}
	}
	if len(first) != 6 {
		t.Errorf("first choices %v, want all six nodes", first)
	}
	if got := decide.Answer(healthy, decide.Query{Domain: "www.shop.example"}); len(got.Nodes) != 2 || got.Scope != 0 {
		t.Errorf("without any address: %+v", got)
	}
}

// The nodes of a POP take turns by domain, so that one network's sites use all caches.
func TestDomains(t *testing.T) {
	v := join(t, snapshot(), nil)
	first := make(map[cdn.NodeName]int)
	for i := range 100 {
		d := cdn.Domain(fmt.Sprintf("s%d.example", i))
		first[decide.Answer(v, decide.Query{Domain: d, Client: netip.MustParseAddr("10.1.2.3")}).Nodes[0].Name]++
	}
	if first["berlin-1"] < 25 || first["berlin-2"] < 25 {
		t.Errorf("first choices %v of 100 domains, want about half each", first)
	}
}

func BenchmarkAnswer(b *testing.B) {
	p, err := view.Compile(snapshot())
	if err != nil {
		b.Fatal(err)
	}
	v := view.Join(p, nil)
	q := decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr("10.1.2.3")}
	for b.Loop() {
		decide.Answer(v, q)
	}
}
