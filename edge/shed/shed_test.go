package shed_test

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge/shed"
	"nearcast/internal/locate"
)

var start = time.Unix(1_000_000, 0)

// Up goes at once, and as far as it must.
func TestUp(t *testing.T) {
	for _, test := range []struct {
		utilisation float64
		want        shed.Step
	}{
		{0, shed.None},
		{0.5, shed.None},
		{0.85, shed.None},
		{0.88, shed.None},
		{0.881, shed.Background},
		{0.90, shed.Background},
		{0.901, shed.Admission},
		{0.92, shed.Admission},
		{0.921, shed.Spill},
		{0.95, shed.Spill},
		{0.951, shed.Divert},
		{0.99, shed.Divert},
		{1.001, shed.Refuse},
		{7, shed.Refuse},
		{math.Inf(1), shed.Refuse},
		{math.NaN(), shed.None},
		{-1, shed.None},
		{math.Inf(-1), shed.None},
	} {
		var l shed.Ladder
		if got := l.Climb(start, test.utilisation); got != test.want || l.Step() != got {
			t.Errorf("utilisation %v: %v, want %v", test.utilisation, got, test.want)
		}
	}
}

// Down goes after three seconds that are well below, and only as far as that.
func TestDown(t *testing.T) {
	type tick struct {
		utilisation float64
		want        shed.Step
	}
	for _, test := range []struct {
		name  string
		ticks []tick
	}{
		{"a peak", []tick{{0.97, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.None}}},
		{"a little below is not below", []tick{{0.96, shed.Divert}, {0.94, shed.Divert}, {0.93, shed.Divert}, {0.93, shed.Divert}, {0.93, shed.Divert}, {0.93, shed.Divert}}},
		{"to the step that still holds", []tick{{0.96, shed.Divert}, {0.90, shed.Divert}, {0.90, shed.Divert}, {0.90, shed.Divert}, {0.90, shed.Spill}, {0.90, shed.Spill}}},
		{"a dip that does not last", []tick{{0.96, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.Divert}, {0.96, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.Divert}, {0.5, shed.None}}},
		{"up again on the way", []tick{{0.89, shed.Background}, {0.5, shed.Background}, {1.2, shed.Refuse}, {0.5, shed.Refuse}, {0.5, shed.Refuse}, {0.5, shed.Refuse}, {0.5, shed.None}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l shed.Ladder
			for i, tick := range test.ticks {
				if got := l.Climb(start.Add(time.Duration(i)*time.Second), tick.utilisation); got != tick.want {
					t.Fatalf("second %d, utilisation %v: %v, want %v", i, tick.utilisation, got, tick.want)
				}
			}
		})
	}
}

// A utilisation that swings around each threshold, because shedding helps, does not make the step flap.
func TestNoFlapping(t *testing.T) {
	for _, around := range []float64{0.88, 0.90, 0.92, 0.95, 1.00} {
		var l shed.Ladder
		changes, last := 0, shed.None
		for i := range 120 {
			u := around + 0.02
			if i%2 == 1 {
				u = around - 0.10
			}
			step := l.Climb(start.Add(time.Duration(i)*time.Second), u)
			if step != last {
				changes++
			}
			last = step
		}
		if changes != 1 {
			t.Errorf("%d changes of the step in two minutes around %v, want one", changes, around)
		}
	}
}

// A clock that is set back holds a step no longer than one that is not.
func TestClockSetBack(t *testing.T) {
	var l shed.Ladder
	l.Climb(start, 0.96)
	l.Climb(start.Add(time.Second), 0.1)
	if got := l.Climb(start.Add(-time.Hour), 0.1); got != shed.None {
		t.Errorf("%v after the clock was set back", got)
	}
}

func TestChances(t *testing.T) {
	for _, test := range []struct{ utilisation, spill, divert float64 }{
		{0.5, 0, 0}, {0.92, 0, 0}, {0.9201, 0.5, 0}, {0.935, 0.75, 0}, {0.95, 1, 0}, {0.96, 1, 0.2}, {0.975, 1, 0.5}, {1, 1, 1}, {3, 1, 1},
	} {
		var l shed.Ladder
		l.Climb(start, test.utilisation)
		if s, d := l.SpillChance(), l.DivertChance(); math.Abs(s-test.spill) > 0.01 || math.Abs(d-test.divert) > 0.01 {
			t.Errorf("utilisation %v: %v and %v, want %v and %v", test.utilisation, s, d, test.spill, test.divert)
		}
	}
}

func TestReliefPOP(t *testing.T) {
	place := func(a netip.Addr) (*locate.Place, bool) {
		if a.Is4() {
			return &locate.Place{ASN: 64500, City: "Munich", Region: "DE-BY", Location: cdn.Location{Country: "DE"}}, true
		}
		return nil, false
	}
	groups := map[cdn.GroupName]cdn.POPName{"net 192.0.2.0/24": "lon", "place AS64500/DE/DE-BY/Munich": "vie", "net 2001:db8::/48": "ams", "net 203.0.113.0/24": ""}
	for _, test := range []struct {
		name   string
		relief *shed.Relief
		client string
		want   cdn.POPName
	}{
		{"nothing is known", nil, "192.0.2.1", ""},
		{"nobody helps", &shed.Relief{}, "192.0.2.1", ""},
		{"all the same", &shed.Relief{Default: "par"}, "192.0.2.1", "par"},
		{"its network", &shed.Relief{Default: "par", Groups: groups}, "192.0.2.1", "lon"},
		{"its network of IPv6", &shed.Relief{Default: "par", Groups: groups}, "2001:db8::1", "ams"},
		{"its place", &shed.Relief{Default: "par", Groups: groups}, "198.51.100.1", "vie"},
		{"must stay", &shed.Relief{Default: "par", Groups: groups, Bound: true}, "203.0.113.1", ""},
		{"others must", &shed.Relief{Default: "par", Groups: groups, Bound: true}, "198.51.100.1", "vie"},
		{"no group", &shed.Relief{Default: "par", Groups: groups}, "2001:db8:1::1", "par"},
		{"no address", &shed.Relief{Default: "par", Groups: groups}, "", "par"},
	} {
		client, _ := netip.ParseAddr(test.client)
		if got := test.relief.POPFor(client, place); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := (&shed.Relief{Default: "par", Groups: groups}).POPFor(netip.MustParseAddr("198.51.100.1"), nil); got != "par" {
		t.Errorf("without places: %q", got)
	}
	if got := (&shed.Relief{Default: "par", Groups: groups, Bound: true}).POPFor(netip.MustParseAddr("198.51.100.1"), nil); got != "" {
		t.Errorf("without places, when some must stay: %q", got)
	}
}

func TestReliefNodes(t *testing.T) {
	nodes := []cdn.NodeName{"a", "b", "c"}
	for _, test := range []struct {
		name        string
		loads       map[cdn.NodeName]float64
		down        cdn.NodeName
		least       cdn.NodeName // of the own POP
		owners      []cdn.NodeName
		nobodyOwns  bool
		leastAbsent bool
	}{
		{name: "nothing known", leastAbsent: true, owners: nodes},
		{name: "the least", loads: map[cdn.NodeName]float64{"a": 0.5, "b": 0.2, "c": 0.7}, least: "b", owners: nodes},
		{name: "not the dead", loads: map[cdn.NodeName]float64{"a": 0.5, "b": 0.2, "c": 0.7}, down: "b", least: "a", owners: []cdn.NodeName{"a", "c"}},
		{name: "all busy", loads: map[cdn.NodeName]float64{"a": 0.85, "b": 0.9, "c": math.NaN()}, leastAbsent: true, nobodyOwns: true},
		{name: "absurd", loads: map[cdn.NodeName]float64{"a": -5, "b": 0.9, "c": 0.9}, leastAbsent: true, owners: []cdn.NodeName{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &shed.Relief{Loads: test.loads}
			usable := func(n cdn.NodeName) bool { return n != test.down }
			if got, ok := r.LeastLoaded(nodes, usable); got != test.least || ok == test.leastAbsent {
				t.Errorf("least loaded: %q, %v", got, ok)
			}
			owners := make(map[cdn.NodeName]bool)
			for i := range 200 {
				if n, ok := r.Owner(string(rune('a'+i)), nodes, usable); ok {
					owners[n] = true
				}
			}
			want := make(map[cdn.NodeName]bool)
			for _, n := range test.owners {
				want[n] = true
			}
			if diff := cmp.Diff(want, owners); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
	var none *shed.Relief
	if _, ok := none.LeastLoaded(nodes, nil); ok {
		t.Error("nobody knows, and one is the least loaded")
	}
	if _, ok := none.Owner("k", nodes, nil); ok {
		t.Error("nobody knows, and one helps")
	}
}

func TestNeighbours(t *testing.T) {
	edge := []cdn.Role{cdn.RoleEdge}
	fleet := cdn.Fleet{
		POPs: []cdn.POP{{Name: "fra", Tier: cdn.TierEdge}, {Name: "lon", Tier: cdn.TierEdge}, {Name: "ams", Tier: cdn.TierRegional}},
		Nodes: []cdn.Node{
			{Name: "fra-1", POP: "fra", Roles: edge},
			{Name: "fra-2", POP: "fra", Roles: edge},
			{Name: "fra-dns", POP: "fra", Roles: []cdn.Role{cdn.RoleScheduler}},
			{Name: "lon-1", POP: "lon", Roles: edge},
			{Name: "lon-2", POP: "lon", Roles: edge},
			{Name: "ams-1", POP: "ams", Roles: edge},
			{Name: "lost", Roles: edge},
		},
	}
	want := shed.Neighbours{Own: []cdn.NodeName{"fra-2"}, POPs: map[cdn.POPName][]cdn.NodeName{"lon": {"lon-1", "lon-2"}}}
	if diff := cmp.Diff(want, shed.NeighboursOf(&cdn.Snapshot{Fleet: fleet}, &fleet.Nodes[0])); diff != "" {
		t.Errorf("neighbours (-want +got):\n%s", diff)
	}
	drains := []cdn.Drain{{Node: "lon-1", Since: start, By: "ops"}, {Node: "fra-2"}}
	want = shed.Neighbours{POPs: map[cdn.POPName][]cdn.NodeName{"lon": {"lon-2"}}}
	if diff := cmp.Diff(want, shed.NeighboursOf(&cdn.Snapshot{Fleet: fleet, Drains: drains}, &fleet.Nodes[0])); diff != "" {
		t.Errorf("neighbours without two nodes that are drained (-want +got):\n%s", diff)
	}
	drains = []cdn.Drain{{POP: "lon"}}
	want = shed.Neighbours{Own: []cdn.NodeName{"fra-2"}, POPs: map[cdn.POPName][]cdn.NodeName{}}
	if diff := cmp.Diff(want, shed.NeighboursOf(&cdn.Snapshot{Fleet: fleet, Drains: drains}, &fleet.Nodes[0])); diff != "" {
		t.Errorf("neighbours without a POP that is drained (-want +got):\n%s", diff)
	}
}

// Asking costs a load; a node that is not overloaded asks for nothing else.
func BenchmarkStep(b *testing.B) {
	var l shed.Ladder
	for b.Loop() {
		if l.Step() != shed.None {
			b.Fatal("a step")
		}
	}
}
