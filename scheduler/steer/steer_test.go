package steer_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/steer"
	"nearcast/scheduler/view"
)

var begin = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// world is a fleet of POPs along the equator, 10 degrees apart, and visitors of places there; of each place there is a client prefix 10.n.0.0/16.
type world struct {
	t        testing.TB
	snapshot *cdn.Snapshot
	places   int
	table    *cdn.RouteTable
}

func newWorld(tb testing.TB, pops, places int) *world {
	tb.Helper()
	w := &world{t: tb, snapshot: &cdn.Snapshot{Generation: 1}, places: places}
	f := &w.snapshot.Fleet
	f.Zone = "cdn.test"
	for p := range pops {
		name := cdn.POPName(fmt.Sprintf("p%02d", p))
		f.POPs = append(f.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(10 * p), Country: "AA"}})
		for n := range 2 {
			f.Nodes = append(f.Nodes, cdn.Node{Name: cdn.NodeName(fmt.Sprintf("%s-%d", name, n)), POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
		}
	}
	for i := range places {
		country := "AA"
		if i%2 == 1 {
			country = "BB"
		}
		f.Clients = append(f.Clients, cdn.ClientPrefix{
			Prefix:   netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16),
			Location: cdn.Location{Longitude: float64(10*pops) * float64(i) / float64(places), Country: country},
		})
	}
	w.snapshot.Sites = []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"www.shop.example"}}, {Name: "news", Domains: []cdn.Domain{"www.news.example"}}}
	w.table = w.first()
	return w
}

// group is the name of a place's group.
func (w *world) group(place int) cdn.GroupName {
	l := w.snapshot.Fleet.Clients[place].Location
	p := locate.Place{Location: l, Coordinates: locate.Given}
	return p.Group()
}

// first is a table in which every place has a path to every POP, of the distance's length in milliseconds.
func (w *world) first() *cdn.RouteTable {
	t := &cdn.RouteTable{Epoch: "a", Version: 1, Slot: 1, At: begin}
	f := &w.snapshot.Fleet
	for _, n := range f.Nodes {
		t.Nodes = append(t.Nodes, cdn.NodeHealth{Node: n.Name, State: cdn.StateReady})
	}
	for _, p := range f.POPs {
		t.POPs = append(t.POPs, cdn.POPHealth{POP: p.Name, State: cdn.POPUp, Share: 1, Capacity: 1e9, Load: 0.1})
	}
	for i := range w.places {
		g := &cdn.VisitorGroup{Name: w.group(i), Octets: 1e6}
		for p := range min(len(f.POPs), 16) {
			ms := float32(f.Clients[i].Location.Kilometres(f.POPs[p].Location)/50 + 5)
			g.Paths = append(g.Paths, cdn.Path{POP: f.POPs[p].Name, Quality: cdn.Quality{R50: ms, R90: ms, N: 50, Measured: begin.Unix()}})
		}
		t.Groups = append(t.Groups, g)
	}
	slices.SortFunc(t.Groups, func(a, b *cdn.VisitorGroup) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return t
}

func (w *world) plan() *view.Plan {
	w.t.Helper()
	p, err := view.Compile(w.snapshot)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// mapper is one that knows the fleet and the first table.
func (w *world) mapper() *steer.Mapper {
	m := steer.New()
	m.Configure(w.plan(), begin)
	m.Table(begin, w.table)
	return m
}

// next is the table of the next slot, changed.
func (w *world) next(change func(*cdn.RouteTable)) *cdn.RouteTable {
	t := *w.table
	t.Version++
	t.Slot++
	t.At = t.At.Add(cdn.SlotTime)
	t.Nodes, t.POPs, t.Groups = slices.Clone(t.Nodes), slices.Clone(t.POPs), slices.Clone(t.Groups)
	if change != nil {
		change(&t)
	}
	w.table = &t
	return w.table
}

// shares are where a place's visitors go.
func shares(tb testing.TB, m *steer.Mapper, now time.Time, id string) map[cdn.POPName]float64 {
	tb.Helper()
	c := m.View(now, nil).Chart
	if c == nil {
		tb.Fatal("no map")
	}
	g, ok := c.Map.Find(id)
	if !ok {
		tb.Fatalf("no group %q", id)
	}
	out := make(map[cdn.POPName]float64)
	for _, s := range c.Map.Shares(g) {
		if s.Weight > 0 {
			out[c.Map.POPs()[s.POP]] = float64(s.Weight) / assign.Whole
		}
	}
	return out
}

func status(m *steer.Mapper, now time.Time) cdn.MapStatus {
	return decide.Status(m.View(now, nil), now)
}

// alarmed reports whether some alarm has the words.
func alarmed(s *cdn.MapStatus, words string) bool {
	return slices.ContainsFunc(s.Alarms, func(a string) bool { return strings.Contains(a, words) })
}

// Tables that cannot be right are refused or freeze the map, and the status says so; the map stays.
func TestAbsurd(t *testing.T) {
	const down = "down"
	for _, test := range []struct {
		name   string
		change func(*cdn.RouteTable)
		words  string
		frozen bool // the map stays, but the table is in force otherwise
		taken  bool // it is corrected, and makes a map
	}{
		{name: "future", change: func(t *cdn.RouteTable) { t.At = begin.Add(2 * time.Minute) }, words: "from the future"},
		{name: "backwards", change: func(t *cdn.RouteTable) { t.Version = 0 }, words: "goes backwards"},
		{name: "slot backwards", change: func(t *cdn.RouteTable) { t.Slot = 0 }, words: "goes backwards"},
		{name: "older publisher", change: func(t *cdn.RouteTable) { t.Epoch, t.At = "b", begin.Add(-2*time.Minute) }, words: "goes backwards"},
		{name: "difference", change: func(t *cdn.RouteTable) { t.Base = 1 }, words: "put together"},
		{name: "no POPs", change: func(t *cdn.RouteTable) { t.POPs = nil }, words: "0 of the fleet's POPs where there were 10"},
		{name: "few POPs", change: func(t *cdn.RouteTable) { t.POPs = t.POPs[:4] }, words: "4 of the fleet's POPs where there were 10"},
		{name: "unsorted", change: func(t *cdn.RouteTable) { slices.Reverse(t.Groups) }, words: "not sorted"},
		{name: "twice", change: func(t *cdn.RouteTable) { t.Groups[1] = t.Groups[0] }, words: "twice"},
		{name: "no groups", change: func(t *cdn.RouteTable) { t.Groups = nil }, words: "less than half of the groups", frozen: true},
		{name: "few groups", change: func(t *cdn.RouteTable) { t.Groups = t.Groups[:9] }, words: "less than half of the groups", frozen: true},
		{name: "third down", change: func(t *cdn.RouteTable) {
			for p := range 4 {
				t.POPs[p].State = down
			}
		}, words: "4 of 10 POPs would be lost", frozen: true},
		{name: "third of nodes down", change: func(t *cdn.RouteTable) {
			for n := range 8 {
				t.Nodes[n].State = down
			}
		}, words: "4 of 10 POPs would be lost", frozen: true},
		{name: "load", change: func(t *cdn.RouteTable) { t.POPs[3].Load = 1e6 }, words: "POP p03 reports a load", taken: true},
		{name: "capacity", change: func(t *cdn.RouteTable) { t.POPs[3].Capacity = 1e30 }, words: "POP p03 says that it can send", taken: true},
		{name: "below zero", change: func(t *cdn.RouteTable) { t.POPs[3].Capacity = -1 }, words: "POP p03 says that it can send", taken: true},
		{name: "no share", change: func(t *cdn.RouteTable) { t.POPs[3].Share = 0 }, words: "POP p03 may use 0", taken: true},
		{name: "demand", change: func(t *cdn.RouteTable) {
			g := *t.Groups[0]
			g.Octets = -5
			t.Groups[0] = &g
		}, words: "1 groups ask for what cannot be", taken: true},
		{name: "round trip", change: func(t *cdn.RouteTable) {
			g := *t.Groups[0]
			g.Paths = slices.Clone(g.Paths)
			g.Paths[0].R50 = -1
			t.Groups[0] = &g
		}, words: "numbers that cannot be", taken: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 10, 20)
			m := w.mapper()
			before := status(m, begin)
			now := begin.Add(cdn.SlotTime)
			m.Table(now, w.next(test.change))
			s := status(m, now)
			if !alarmed(&s, test.words) {
				t.Errorf("alarms %q, want one with %q", s.Alarms, test.words)
			}
			if !test.taken && s.Map.Digest != before.Map.Digest {
				t.Error("the map has changed")
			}
			if (s.Frozen != "") != test.frozen {
				t.Errorf("frozen %q, want %t", s.Frozen, test.frozen)
			}
			if refused := s.Map.Version == before.Map.Version; refused == (test.taken || test.frozen) {
				t.Errorf("map %+v after %+v: refused %t", s.Map, before.Map, refused)
			}
			for _, p := range s.POPs {
				if p.Usable != 2 {
					t.Errorf("%s has %d usable nodes", p.POP, p.Usable)
				}
			}
		})
	}
}

// A map that was frozen because the groups were too few goes on when they have come back, or have stayed away for ten minutes; POPs that fail meanwhile are
// left nevertheless.
func TestFewGroups(t *testing.T) {
	for _, back := range []bool{true, false} {
		w := newWorld(t, 10, 20)
		m := w.mapper()
		all := w.table.Groups
		now := begin
		for range 60 {
			now = now.Add(cdn.SlotTime)
			m.Table(now, w.next(func(t *cdn.RouteTable) { t.Groups = all[:2] }))
		}
		m.Table(now, w.next(func(t *cdn.RouteTable) { t.Groups, t.POPs[0].State = all[:2], cdn.POPDown }))
		if s := status(m, now); s.Frozen == "" || s.Groups != 20 || s.POPs[0].Usable != 0 || s.POPs[0].Share != 0 {
			t.Fatalf("after five minutes with two groups, and p00 down: %+v", s)
		}
		if back {
			m.Table(now, w.next(func(t *cdn.RouteTable) { t.Groups = all }))
			if s := status(m, now); s.Frozen != "" || s.Groups != 20 {
				t.Errorf("with all groups again: frozen %q, %d groups", s.Frozen, s.Groups)
			}
			continue
		}
		for range 61 {
			now = now.Add(cdn.SlotTime)
			m.Table(now, w.next(func(t *cdn.RouteTable) { t.Groups = all[:2] }))
		}
		if s := status(m, now); s.Frozen != "" || s.Groups != 2 {
			t.Errorf("after ten minutes with two groups: frozen %q, %d groups", s.Frozen, s.Groups)
		}
	}
}

// The cost decides: round trip, jitter, loss, failures, what is not stored, price and policy.
func TestCost(t *testing.T) {
	set := func(p *cdn.Path, change func(*cdn.Quality)) { change(&p.Quality) }
	for _, test := range []struct {
		name   string
		change func(w *world, t *cdn.RouteTable, near *cdn.Path)
		want   cdn.POPName
	}{
		{"nearest", func(*world, *cdn.RouteTable, *cdn.Path) {}, "p02"},
		{"round trip", func(_ *world, _ *cdn.RouteTable, near *cdn.Path) { set(near, func(q *cdn.Quality) { q.R50 += 30 }) }, "p03"},
		{"jitter", func(_ *world, _ *cdn.RouteTable, near *cdn.Path) { set(near, func(q *cdn.Quality) { q.R90 += 60 }) }, "p03"},
		{"loss", func(_ *world, _ *cdn.RouteTable, near *cdn.Path) { set(near, func(q *cdn.Quality) { q.Loss = 0.02 }) }, "p03"},
		{"failures", func(_ *world, _ *cdn.RouteTable, near *cdn.Path) {
			set(near, func(q *cdn.Quality) { q.Failures = 0.02 })
		}, "p03"},
		{"misses", func(_ *world, t *cdn.RouteTable, _ *cdn.Path) { t.POPs[2].Behind, t.POPs[2].HitRatio = 200, 0.8 }, "p03"},
		{"hits", func(_ *world, t *cdn.RouteTable, _ *cdn.Path) { t.POPs[2].Behind, t.POPs[2].HitRatio = 200, 0.99 }, "p02"},
		{"price", func(w *world, _ *cdn.RouteTable, _ *cdn.Path) { w.snapshot.Fleet.POPs[2].Price = 40 }, "p03"},
		{"dear by policy", func(w *world, _ *cdn.RouteTable, _ *cdn.Path) { w.prefer("p02", 40) }, "p03"},
		{"cheap by policy", func(w *world, _ *cdn.RouteTable, _ *cdn.Path) { w.prefer("p07", -1000) }, "p07"},
		{"down", func(_ *world, t *cdn.RouteTable, _ *cdn.Path) { t.POPs[2].State = cdn.POPDown }, "p03"},
		{"suppressed", func(_ *world, t *cdn.RouteTable, _ *cdn.Path) { t.POPs[2].State = cdn.POPSuppressed }, "p03"},
		{"no nodes", func(_ *world, t *cdn.RouteTable, _ *cdn.Path) {
			t.Nodes[4].State, t.Nodes[5].State = cdn.StateDown, cdn.StateDown
		}, "p03"},
		{"drained", func(w *world, _ *cdn.RouteTable, _ *cdn.Path) { w.snapshot.Drains = []cdn.Drain{{POP: "p02"}} }, "p03"},
		{"nodes drained", func(w *world, _ *cdn.RouteTable, _ *cdn.Path) {
			w.snapshot.Drains = []cdn.Drain{{Node: "p02-0"}, {Node: "p02-1"}}
		}, "p03"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 10, 40)
			name := w.group(9) // at longitude 22.5
			i := slices.IndexFunc(w.table.Groups, func(g *cdn.VisitorGroup) bool { return g.Name == name })
			test.change(w, w.table, &w.table.Groups[i].Paths[2])
			m := w.mapper()
			if got := shares(t, m, begin, string(name)); len(got) != 1 || got[test.want] != 1 {
				t.Errorf("shares %v, want all at %s", got, test.want)
			}
		})
	}
}

func (w *world) prefer(pop cdn.POPName, ms float64) {
	w.snapshot.Fleet.Policies = append(w.snapshot.Fleet.Policies, cdn.Policy{Name: "prefer", Prefer: []cdn.POPPreference{{POP: pop, MS: ms}}})
}

// A POP that is drained loses its visitors within a minute, not at once.
func TestDrain(t *testing.T) {
	w := newWorld(t, 4, 40)
	m := w.mapper()
	now := begin
	for _, g := range w.table.Groups {
		g.Octets = 6e7 // 2.4e9 in all: POPs are not nearly idle
	}
	step := func() cdn.MapPOP {
		now = now.Add(cdn.SlotTime)
		m.Table(now, w.next(nil))
		return status(m, now).POPs[1]
	}
	for range 40 {
		step()
	}
	had := step().Share
	w.snapshot.Drains = []cdn.Drain{{POP: "p01", Since: now}}
	m.Configure(w.plan(), now)
	during := 0.0
	for i := range 20 {
		p := step()
		if !p.Draining {
			t.Fatal("it does not drain")
		}
		if i == 5 {
			during = p.Share
		}
	}
	if after := step().Share; had < 0.2 || during <= 0 || during >= had || after != 0 {
		t.Errorf("share %.3f before, %.3f after half a minute, %.3f after two, want less and then none", had, during, after)
	}
}

// What the fleet says of capacities counts where the table says nothing.
func TestCapacity(t *testing.T) {
	w := newWorld(t, 3, 10)
	w.snapshot.Fleet.Nodes[0].Capacity.EgressMbps = 8000
	for p := range w.table.POPs {
		w.table.POPs[p].Capacity = 0
	}
	w.table.POPs[1].Share = 0.5
	w.table.Nodes[5].State = cdn.StateDown
	s := status(w.mapper(), begin)
	for i, want := range []float64{1e9 + 125e6, 125e6, 125e6} {
		if got := s.POPs[i].Capacity; got != want {
			t.Errorf("%s has a capacity of %v, want %v", s.POPs[i].POP, got, want)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, bench := range []struct {
		name     string
		n        int
		policies []cdn.Policy
	}{
		{"20000", 20_000, nil},
		{"200000", 200_000, nil},
		{"200000 with a POP denied to all", 200_000, []cdn.Policy{{Name: "x", Deny: []cdn.POPName{"p00"}}}},
		{"200000 with a class of sites", 200_000, []cdn.Policy{{Name: "x", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Pin: "p00"}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w, tables := large(b, bench.n)
			w.snapshot.Fleet.Policies = bench.policies
			m := steer.New()
			m.Configure(w.plan(), begin)
			m.Table(begin, tables[0])
			i := uint64(1)
			for b.Loop() {
				t := *tables[i%2]
				i++
				t.Version, t.Slot, t.At = i, i, begin.Add(time.Duration(i)*cdn.SlotTime)
				m.Table(t.At, &t)
			}
		})
	}
}

// BenchmarkChange is a POP that goes down between slots, and comes back.
func BenchmarkChange(b *testing.B) {
	w, tables := large(b, 200_000)
	m := steer.New()
	m.Configure(w.plan(), begin)
	m.Table(begin, tables[0])
	i := uint64(1)
	for b.Loop() {
		t := *tables[0]
		t.POPs = slices.Clone(t.POPs)
		i++
		t.Version = i
		if i%2 == 0 {
			t.POPs[5].State = cdn.POPDown
		}
		m.Table(begin, &t)
		m.View(begin, nil)
	}
}

// large is a world of 300 POPs and so many networks, and two tables of it.
func large(tb testing.TB, groups int) (*world, [2]*cdn.RouteTable) {
	tb.Helper()
	w := newWorld(tb, 18, 40)
	f := &w.snapshot.Fleet
	for p := 18; p < 300; p++ {
		name := cdn.POPName(fmt.Sprintf("q%03d", p))
		f.POPs = append(f.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(p), Latitude: float64(p % 60)}})
		f.Nodes = append(f.Nodes, cdn.Node{Name: cdn.NodeName(name), POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	r := rand.New(rand.NewPCG(1, 2))
	w.table = w.first()
	for i := range groups {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(100 + i>>16), byte(i >> 8), byte(i)}), 24)
		g := &cdn.VisitorGroup{Name: locate.NetworkGroup(network), Octets: 1e10 / float64(groups)}
		first := r.IntN(280)
		for p := range 10 {
			ms := 20 + 100*r.Float32()
			g.Paths = append(g.Paths, cdn.Path{POP: f.POPs[first+p].Name, Quality: cdn.Quality{R50: ms, R90: 1.1 * ms, N: 20}})
		}
		w.table.Groups = append(w.table.Groups, g)
	}
	slices.SortFunc(w.table.Groups, func(a, b *cdn.VisitorGroup) int { return strings.Compare(string(a.Name), string(b.Name)) })
	other := *w.table
	other.Groups = slices.Clone(other.Groups)
	for i := range other.Groups {
		g := *other.Groups[i]
		g.Octets *= 0.9 + 0.2*r.Float64()
		other.Groups[i] = &g
	}
	return w, [2]*cdn.RouteTable{w.table, &other}
}
