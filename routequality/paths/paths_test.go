package paths_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/routequality/paths"
)

// begin is a moment of the test.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Three POPs on the equator, a thousand km apart, with a hub that no visitor is sent to.
func snapshot() *cdn.Snapshot {
	s := &cdn.Snapshot{Sites: []cdn.Site{{Name: "shop"}, {Name: "video"}}}
	for i, name := range []cdn.POPName{"a", "b", "c"} {
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: name, Region: "r", Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(9 * i)}})
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: cdn.NodeName(name + "1"), POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: "hub", Region: "r", Tier: cdn.TierRegional})
	s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: "hub1", POP: "hub", Roles: []cdn.Role{cdn.RoleEdge}})
	return s
}

// Of 10.0.0.0/16 the place is known to be where POP a is, of 10.1.0.0/16 where POP c is, of others nothing is known.
func index(t testing.TB) *locate.Index {
	t.Helper()
	x, err := locate.New([]cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Location: cdn.Location{Longitude: 0.5, Country: "AA"}, ISP: "Telco"},
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Location: cdn.Location{Longitude: 18.5, Country: "AA"}, ISP: "Telco"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

const (
	placeA  = cdn.GroupName("place Telco/AA/0.0,0.5")
	placeC  = cdn.GroupName("place Telco/AA/0.0,18.5")
	unknown = cdn.GroupName("net 192.0.2.0/24")
)

// world drives a book, and merges what it publishes.
type world struct {
	t      testing.TB
	b      *paths.Book
	now    time.Time
	groups map[cdn.GroupName]*cdn.VisitorGroup
	links  map[[2]string]*cdn.Link
	last   paths.Change
	down   map[cdn.POPName]bool
}

func newWorld(t testing.TB, cfg paths.Config) *world {
	t.Helper()
	w := &world{
		t: t, b: paths.New(cfg), now: begin, groups: make(map[cdn.GroupName]*cdn.VisitorGroup), links: make(map[[2]string]*cdn.Link),
		down: make(map[cdn.POPName]bool),
	}
	w.b.SetFleet(snapshot())
	w.b.SetPlaces(index(t))
	return w
}

// visit lets a POP report visitors of a network with a round trip, and what they ask for each second of the slot.
func (w *world) visit(pop cdn.POPName, network string, ms float32, octets uint64) {
	s := cdn.VisitorSample{Network: netip.MustParsePrefix(network), Packets: 1000, Requests: 50, Octets: octets * 5}
	if ms != 0 {
		s.RTTs = []float32{ms, ms}
	}
	w.b.Visitors(w.now, pop, w.now, &cdn.VisitorBatch{At: w.now, Samples: []cdn.VisitorSample{s}})
}

// slot ends a slot and checks what every publication has to fulfil.
func (w *world) slot() {
	w.t.Helper()
	w.now = w.now.Add(cdn.SlotTime)
	w.last = w.b.Slot(w.now, func(p cdn.POPName) bool { return w.down[p] })
	if !slices.IsSortedFunc(w.last.Groups, func(x, y *cdn.VisitorGroup) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	}) {
		w.t.Error("groups are not sorted")
	}
	for _, g := range w.last.Groups {
		w.groups[g.Name] = g
		if len(g.Paths) > 16 || !slices.IsSortedFunc(g.Paths, func(x, y cdn.Path) int {
			if x.POP < y.POP {
				return -1
			}
			return 1
		}) {
			w.t.Errorf("paths of %q are too many or not sorted: %v", g.Name, g.Paths)
		}
	}
	for _, name := range w.last.GoneGroups {
		delete(w.groups, name)
	}
	for _, l := range w.last.Links {
		w.links[[2]string{string(l.From), l.To}] = l
	}
	for _, name := range w.last.GoneLinks {
		delete(w.links, name)
	}
}

func (w *world) names() (names []cdn.GroupName) {
	for name := range w.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (w *world) path(group cdn.GroupName, pop cdn.POPName) cdn.Path {
	w.t.Helper()
	if g := w.groups[group]; g != nil {
		for _, p := range g.Paths {
			if p.POP == pop {
				return p
			}
		}
	}
	w.t.Fatalf("%q has no path to %q; there are %v", group, pop, w.names())
	panic("not reached")
}

func near(got, want float32) bool { return math.Abs(float64(got-want)) <= 0.05*float64(want)+0.01 }

// TestGroups: places with visitors are groups, and networks of which no place is known.
func TestGroups(t *testing.T) {
	w := newWorld(t, paths.Config{})
	w.slot()
	if len(w.groups) > 0 {
		t.Fatalf("groups without visitors: %v", w.names())
	}
	for range 10 {
		w.visit("a", "10.0.1.0/24", 8, 1000)
		w.visit("a", "10.0.2.0/24", 8, 1000)
		w.visit("b", "192.0.2.0/24", 33, 500)
		w.slot()
	}
	if diff := cmp.Diff([]cdn.GroupName{unknown, placeA}, w.names()); diff != "" {
		t.Fatalf("groups (-want +got):\n%s", diff)
	}
	if got := w.path(placeA, "a"); !near(got.R50, 8) || got.N < 8 || got.Measured != w.now.Unix() && got.Measured < begin.Unix() {
		t.Errorf("the measured path is %+v, want about 8 ms and 8 samples or more", got)
	}
	if got := w.path(placeA, "c"); got.R50 < 25 || got.R50 > 80 || got.N != 0 || got.Measured != 0 {
		t.Errorf("a path that is not measured is %+v, want what geography says", got)
	}
	if got := w.groups[placeA].Octets; got < 1800 || got > 2200 {
		t.Errorf("the place asks for %v octets a second, want about 2000", got)
	}
	if got := w.groups[placeA].Requests; got < 18 || got > 22 {
		t.Errorf("the place asks for %v requests a second, want about 20", got)
	}
	if got := len(w.groups[unknown].Paths); got != 3 {
		t.Errorf("a network of which no place is known has %d paths, want one to each POP", got)
	}
	if a, b := w.path(unknown, "a"), w.path(unknown, "b"); a.N != 0 || a.R50 < 20 || b.N < 8 || !near(b.R50, 33) {
		t.Errorf("it is taken to be beside b, where it was measured: %+v, %+v", a, b)
	}
	for _, g := range w.groups {
		for _, p := range g.Paths {
			if p.POP == "hub" {
				t.Errorf("%q is to be sent to a hub", g.Name)
			}
		}
	}
}

// TestNothingKnown: a group of which neither the place nor a round trip is known has no candidates, and is not told of.
func TestNothingKnown(t *testing.T) {
	w := newWorld(t, paths.Config{})
	w.visit("b", "192.0.2.0/24", 0, 500)
	if w.slot(); len(w.groups) > 0 || w.b.Stats().Waiting != 1 {
		t.Errorf("groups %v, %+v", w.names(), w.b.Stats())
	}
	w.visit("b", "192.0.2.0/24", 9, 500)
	if w.slot(); len(w.groups) != 1 {
		t.Errorf("after a round trip there are %v", w.names())
	}
}

// TestPriors: what is not measured is what is like it.
func TestPriors(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 20 {
		w.visit("b", "10.0.1.0/24", 60, 1000) // much slower than geography says
		w.visit("c", "10.1.0.0/24", 9, 1000)
		w.slot()
	}
	if got := w.path(placeC, "b"); got.R50 < 54 || got.R50 > 66 || got.N < 1 {
		t.Errorf("a place's path that its carrier knows is %+v, want about 60 ms", got)
	}
}

// TestStandsStill: noise publishes nothing; a change does, of what has changed.
func TestStandsStill(t *testing.T) {
	w := newWorld(t, paths.Config{})
	noise := []float32{-0.8, 0.3, 0.9, -0.2, 0.5, -0.6}
	visit := func(i int, to float32, octets uint64) {
		w.visit("a", "10.0.1.0/24", to+noise[i%6], octets+uint64(i%3)*5)
		w.visit("b", "10.0.1.0/24", 22, octets)
		w.slot()
	}
	for i := range 30 {
		visit(i, 15, 1000)
	}
	changes := 0
	before := w.groups[placeA]
	for i := range 36 { // 3 minutes
		visit(i, 15, 1000)
		changes += len(w.last.Groups)
	}
	if changes > 0 {
		t.Errorf("noise has published %d rows:\n%s", changes, cmp.Diff(before, w.groups[placeA]))
	}
	b := w.path(placeA, "b")
	for i := range 24 {
		visit(i, 28, 1000)
	}
	if got := w.path(placeA, "a"); got.R50 < 24 {
		t.Errorf("another route is %v ms, want about 28", got.R50)
	}
	if got := w.path(placeA, "b"); got != b {
		t.Errorf("a path that has not moved was %+v and is %+v", b, got)
	}
	for i := range 24 {
		visit(i, 28, 2000)
	}
	if got := w.groups[placeA].Octets; got < 3500 {
		t.Errorf("twice the demand is %v, want about 4000", got)
	}
}

// TestRefresh: every row is published again within 10 minutes.
func TestRefresh(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 10 {
		w.visit("a", "10.0.1.0/24", 15, 1000)
		w.slot()
	}
	last, longest := w.now, time.Duration(0)
	for range 400 {
		w.visit("a", "10.0.1.0/24", 15, 1000)
		w.slot()
		if len(w.last.Groups) > 0 {
			longest, last = max(longest, w.now.Sub(last)), w.now
		}
	}
	if longest == 0 || longest > 10*time.Minute {
		t.Errorf("the row was not published for %v, want 10 min at most", longest)
	}
}

// TestLoss: what one path loses is told of it, and what a POP loses of all its paths.
func TestLoss(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 20 {
		for i := range 4 {
			s := cdn.VisitorSample{Network: netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)), RTTs: []float32{8}, Packets: 1000, Lost: 200, Requests: 100, Failed: 10, Octets: 5000}
			w.b.Visitors(w.now, "a", w.now, &cdn.VisitorBatch{Samples: []cdn.VisitorSample{s}})
		}
		w.visit("c", "10.1.0.0/24", 9, 1000)
		w.slot()
	}
	for _, group := range []cdn.GroupName{placeA, placeC} {
		if got := w.path(group, "a"); got.Loss < 0.15 || got.Loss > 0.25 || got.Failures < 0.05 {
			t.Errorf("%s to a: %+v, want a loss of about 0.2 and failures of about 0.1", group, got)
		}
	}
	if got := w.path(placeC, "c"); got.Loss > 0.01 {
		t.Errorf("c loses %v, want nothing", got.Loss)
	}
}

// TestNetworkOfItsOwn: a network with another best POP leaves its place, and joins it again a day after that is over.
func TestNetworkOfItsOwn(t *testing.T) {
	const odd = cdn.GroupName("net 10.0.9.0/24")
	w := newWorld(t, paths.Config{})
	slots := func(n int, oddMS float32, octets uint64) {
		for range n {
			for i := range 8 {
				network := fmt.Sprintf("10.0.%d.0/24", i)
				w.visit("a", network, 8, 1000)
				w.visit("b", network, 25, 1000)
			}
			w.visit("a", "10.0.9.0/24", oddMS, octets)
			w.visit("b", "10.0.9.0/24", 25, octets)
			w.slot()
		}
	}
	slots(40, 30, 1000)
	if w.groups[odd] != nil {
		t.Fatal("a network that is 5 ms off is a group of its own")
	}
	slots(120, 70, 1000)
	if w.groups[odd] == nil {
		t.Fatalf("a network that is 45 ms off is no group of its own: %v", w.names())
	}
	if got := w.groups[placeA].Octets + w.groups[odd].Octets; got < 17_000 || got > 19_000 {
		t.Errorf("both together ask for %v octets a second, want 18,000", got)
	}
	slots(40, 8, 1000)
	if w.groups[odd] == nil {
		t.Error("it has joined its place at once")
	}
	w.now = w.now.Add(25 * time.Hour)
	slots(40, 8, 1000)
	if w.groups[odd] != nil {
		t.Error("it has not joined its place after a day")
	}
}

// TestFewVisitors: a network with next to nobody stays with its place.
func TestFewVisitors(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 100 {
		w.visit("a", "10.0.1.0/24", 8, 10_000_000)
		w.visit("b", "10.0.1.0/24", 25, 10_000_000)
		w.visit("a", "10.0.9.0/24", 70, 500)
		w.visit("b", "10.0.9.0/24", 25, 500)
		w.slot()
	}
	if diff := cmp.Diff([]cdn.GroupName{placeA}, w.names()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestDemand: a POP that is silent has its visitors still, one that is down has not.
func TestDemand(t *testing.T) {
	for _, test := range []struct {
		name     string
		down     bool
		reports  bool
		min, max float64
	}{
		{"silent", false, false, 900, 1100},
		{"down", true, false, 0, 10},
		{"without visitors", false, true, 0, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, paths.Config{})
			for range 20 {
				w.visit("a", "10.0.1.0/24", 8, 1000)
				w.slot()
			}
			w.down["a"] = test.down
			for range 40 {
				if test.reports {
					w.b.Heard(w.now, "a")
				}
				w.slot()
			}
			if got := w.groups[placeA].Octets; got < test.min || got > test.max {
				t.Errorf("the demand is %v, want %v to %v", got, test.min, test.max)
			}
		})
	}
}

// TestIdle: a group without visitors goes.
func TestIdle(t *testing.T) {
	w := newWorld(t, paths.Config{})
	w.visit("a", "10.0.1.0/24", 8, 1000)
	w.slot()
	for range 12 * 40 {
		w.b.Heard(w.now, "a")
		w.slot()
	}
	if len(w.groups) > 0 {
		t.Errorf("after 40 minutes there are %v", w.names())
	}
	w.visit("a", "10.0.1.0/24", 8, 1000)
	w.slot()
	if len(w.groups) != 1 {
		t.Errorf("when visitors come again there are %v", w.names())
	}
	w.now = w.now.Add(3 * time.Hour)
	w.down["a"] = true
	for range 100 {
		w.slot()
	}
	if got := w.b.Stats().Places; got != 0 {
		t.Errorf("%d places are remembered, want none", got)
	}
}

// TestRoom: memory and groups are bounded, and what goes is counted.
func TestRoom(t *testing.T) {
	w := newWorld(t, paths.Config{MaxPaths: 100, MaxGroups: 30})
	for i := range 300 {
		w.visit("a", fmt.Sprintf("192.168.%d.0/24", i%150), 8, uint64(1000+i))
	}
	w.slot()
	s := w.b.Stats()
	if s.Paths != 100 || s.Networks != 100 || s.Evicted != 200 || s.Groups != 30 || s.Withheld != 70 || s.Own != 30 {
		t.Errorf("%+v", s)
	}
	if len(w.groups) != 30 || w.groups["net 192.168.149.0/24"] == nil {
		t.Errorf("groups %v, want the 30 with the most demand", w.names())
	}
	w = newWorld(t, paths.Config{MaxLists: 10})
	for i := range 25 {
		w.visit("a", fmt.Sprintf("192.168.%d.0/24", i), 8, 1000)
	}
	for _, want := range []int{10, 20, 25} {
		if w.slot(); len(w.groups) != want || w.b.Stats().Waiting != 25-want {
			t.Errorf("%d groups, %d wait; want %d", len(w.groups), w.b.Stats().Waiting, want)
		}
	}
}

// TestAbsurd: what cannot be changes nothing and is counted.
func TestAbsurd(t *testing.T) {
	nan := float32(math.NaN())
	net := netip.MustParsePrefix("10.0.1.0/24")
	for _, test := range []struct {
		name             string
		pop              cdn.POPName
		at               time.Duration
		sample           cdn.VisitorSample
		refused, strange uint64
	}{
		{"negative", "a", 0, cdn.VisitorSample{Network: net, RTTs: []float32{-1}}, 1, 0},
		{"no number", "a", 0, cdn.VisitorSample{Network: net, RTTs: []float32{nan}}, 1, 0},
		{"too long", "a", 0, cdn.VisitorSample{Network: net, RTTs: []float32{1e9}}, 1, 0},
		{"future", "a", time.Minute, cdn.VisitorSample{Network: net, RTTs: []float32{5}}, 1, 0},
		{"old", "a", -time.Hour, cdn.VisitorSample{Network: net, RTTs: []float32{5}}, 1, 0},
		{"more lost than sent", "a", 0, cdn.VisitorSample{Network: net, Packets: 1, Lost: 2}, 1, 0},
		{"more failed than asked", "a", 0, cdn.VisitorSample{Network: net, Requests: 1, Failed: 2}, 1, 0},
		{"too coarse", "a", 0, cdn.VisitorSample{Network: netip.MustParsePrefix("10.0.0.0/8"), RTTs: []float32{5}}, 0, 1},
		{"no network", "a", 0, cdn.VisitorSample{RTTs: []float32{5}}, 0, 1},
		{"no POP", "x", 0, cdn.VisitorSample{Network: net, RTTs: []float32{5}}, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, paths.Config{})
			w.b.Visitors(w.now, test.pop, w.now.Add(test.at), &cdn.VisitorBatch{Samples: []cdn.VisitorSample{test.sample}})
			w.slot()
			if s := w.b.Stats(); s.Refused != test.refused || s.Strange != test.strange {
				t.Errorf("refused %d, strange %d; want %d, %d", s.Refused, s.Strange, test.refused, test.strange)
			}
			for _, g := range w.groups {
				for _, p := range g.Paths {
					if p.N != 0 {
						t.Errorf("it is believed: %+v", p)
					}
				}
			}
		})
	}
}

func TestLinks(t *testing.T) {
	w := newWorld(t, paths.Config{})
	const origin = "https://origin.example"
	for range 20 {
		w.b.Probed(w.now, "a", []paths.Probe{{"b", 20, w.now}, {"hub", 7, w.now}, {origin, 90, w.now}, {"nowhere", 5, w.now}, {"a", 1, w.now}, {"http://x/y", 1, w.now}})
		w.b.Probed(w.now, "b", []paths.Probe{{"a", -1, w.now}, {"hub", 15, w.now}})
		w.b.Probed(w.now, "hub", []paths.Probe{{origin, 50, w.now}, {"https://other.example", 70, w.now}})
		w.slot()
	}
	var names []string
	for name := range w.links {
		names = append(names, name[0]+" "+name[1])
	}
	slices.Sort(names)
	want := []string{"a b", "a " + origin, "a hub", "b a", "b hub", "hub " + origin, "hub https://other.example"}
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("links (-want +got):\n%s", diff)
	}
	if got := w.links[[2]string{"a", "b"}]; !near(got.R50, 20) || got.Failures > 0.1 || got.N < 8 {
		t.Errorf("a to b: %+v", got)
	}
	if got := w.links[[2]string{"b", "a"}]; got.Failures < 0.3 || got.N != 0 || got.R50 < 20 {
		t.Errorf("a link that loses everything is %+v", got)
	}
	if got := w.b.Stats().Strange; got != 60 {
		t.Errorf("%d strange probes, want 60", got)
	}
	behind := w.b.Behind(w.now)
	if math.Abs(behind["a"]-7) > 0.5 || math.Abs(behind["b"]-15) > 0.5 || math.Abs(behind["hub"]-60) > 0.5 {
		t.Errorf("behind %v, want a 7, b 15, hub 60", behind)
	}
	s := snapshot()
	s.Fleet.POPs = s.Fleet.POPs[:2] // c and hub leave
	w.b.SetFleet(s)
	w.slot()
	if _, there := w.links[[2]string{"a", "hub"}]; there || len(w.links) != 3 {
		t.Errorf("after POPs have left there are %v", w.links)
	}
	w.now = w.now.Add(2 * time.Hour)
	if w.slot(); len(w.links) != 0 {
		t.Errorf("links that nobody probes are told of: %v", w.links)
	}
}

// TestFleetChanges: ways to a POP that has left go with it.
func TestFleetChanges(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 10 {
		w.visit("a", "10.0.1.0/24", 8, 1000)
		w.visit("b", "10.0.1.0/24", 20, 1000)
		w.slot()
	}
	s := snapshot()
	s.Fleet.POPs, s.Fleet.Nodes = s.Fleet.POPs[:1], s.Fleet.Nodes[:1]
	w.b.SetFleet(s)
	w.slot()
	if got := w.groups[placeA].Paths; len(got) != 1 || got[0].POP != "a" {
		t.Errorf("paths %v, want one to a", got)
	}
	w.b.SetFleet(snapshot())
	w.slot()
	if got := w.path(placeA, "b"); got.N != 0 || len(w.groups[placeA].Paths) != 3 {
		t.Errorf("a POP that has come anew is %+v, want nothing measured", got)
	}
}

// TestPlacesChange: a network is of the group that the newest index says.
func TestPlacesChange(t *testing.T) {
	w := newWorld(t, paths.Config{})
	w.b.SetPlaces(nil)
	w.visit("a", "10.0.1.0/24", 8, 1000)
	w.slot()
	if diff := cmp.Diff([]cdn.GroupName{"net 10.0.1.0/24"}, w.names()); diff != "" {
		t.Fatalf("groups (-want +got):\n%s", diff)
	}
	w.b.SetPlaces(index(t))
	w.visit("a", "10.0.1.0/24", 8, 1000)
	w.slot()
	if diff := cmp.Diff([]cdn.GroupName{placeA}, w.names()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestSpread: reports of ten seconds are a demand that stands still.
func TestSpread(t *testing.T) {
	w := newWorld(t, paths.Config{})
	rows := 0
	for i := range 60 {
		w.b.Heard(w.now, "a")
		if i%2 == 0 {
			s := cdn.VisitorSample{Network: netip.MustParsePrefix("10.0.1.0/24"), RTTs: []float32{8}, Requests: 100, Octets: 10_000}
			w.b.Visitors(w.now, "a", w.now, &cdn.VisitorBatch{Interval: 10 * time.Second, Samples: []cdn.VisitorSample{s}})
		}
		w.slot()
		if i >= 20 {
			rows += len(w.last.Groups)
		}
	}
	if got := w.groups[placeA].Octets; rows > 0 || got < 950 || got > 1050 {
		t.Errorf("a demand of %v, published %d times; want 1000, once", got, rows)
	}
}

func TestSites(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 3 {
		w.b.Visitors(w.now, "a", w.now, &cdn.VisitorBatch{Sites: []cdn.SiteRate{{Site: "shop", Octets: 1000}, {Site: "video", Octets: 3000}, {Site: "none", Octets: 9000}}})
		w.slot()
	}
	if diff := cmp.Diff([]cdn.SiteShare{{Site: "shop", Share: 0.25}, {Site: "video", Share: 0.75}}, w.last.Sites); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
}

// TestHeldUp: what an aggregator could not tell for a while is not asked for all at once when it can.
func TestHeldUp(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for i := range 60 {
		at := w.now.Add(-time.Duration(60-i) * 10 * time.Second)
		s := cdn.VisitorSample{Network: netip.MustParsePrefix("10.0.1.0/24"), RTTs: []float32{8}, Packets: 1000, Requests: 50, Octets: 10_000}
		w.b.Visitors(w.now, "a", at, &cdn.VisitorBatch{
			At: at, Interval: 10 * time.Second, Samples: []cdn.VisitorSample{s}, Sites: []cdn.SiteRate{{Site: "shop", Octets: 10_000}},
		})
	}
	for range 2 {
		w.slot()
		if got := w.groups[placeA]; got != nil && got.Octets > 2500 {
			t.Errorf("they ask for %v octets a second, want about 1000", got.Octets)
		}
	}
	if got := w.groups[placeA]; got == nil || got.Octets < 500 {
		t.Errorf("their row is %+v, want about 1000 octets a second", got)
	}
	if got := w.path(placeA, "a"); got.N < 10 {
		t.Errorf("the path is known by %v samples, want those that are held up to count", got.N)
	}
}

// TestPlacedRoom: networks that nobody visits any more do not keep the room that others need for their coordinates.
func TestPlacedRoom(t *testing.T) {
	w := newWorld(t, paths.Config{})
	for range 8 {
		w.b.Probed(w.now, "a", []paths.Probe{{To: "b", RTT: 10, At: w.now}})
	}
	visit := func(from, to int) {
		for i := from; i < to; i++ {
			w.visit("a", netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(192 + i>>16), byte(i >> 8), byte(i), 0}), 24).String(), 8, 1)
		}
		w.slot()
	}
	visit(0, 60_000)
	if got := w.b.Stats().Placed; got != 50_000 {
		t.Fatalf("%d groups have coordinates, want as many as there is room for", got)
	}
	for range 6 {
		w.now = w.now.Add(10 * time.Minute)
		w.b.Heard(w.now, "a")
		w.slot()
	}
	visit(60_000, 60_100)
	if got := w.b.Stats().Placed; got != 100 {
		t.Errorf("%d groups have coordinates, want the 100 with visitors", got)
	}
}

// TestDemandMoves: visitors who come to one POP because another one has died do not count twice.
func TestDemandMoves(t *testing.T) {
	for _, network := range []string{"10.0.1.0/24", "192.0.2.0/24"} {
		w := newWorld(t, paths.Config{})
		for range 20 {
			w.visit("a", network, 8, 1_000_000)
			w.slot()
		}
		w.down["a"] = true
		for i := range 20 {
			w.visit("b", network, 20, 1_000_000)
			w.slot()
			for name, g := range w.groups {
				if g.Octets < 0.85e6 || g.Octets > 1.15e6 {
					t.Errorf("slot %d: %s asks for %v octets a second, want about 1,000,000", i, name, g.Octets)
				}
			}
		}
	}
}

// TestLongInterval: a batch of ten minutes is not what is asked for in one.
func TestLongInterval(t *testing.T) {
	w := newWorld(t, paths.Config{})
	sample := cdn.VisitorSample{Network: netip.MustParsePrefix("10.0.1.0/24"), RTTs: []float32{8}, Octets: 600_000}
	w.b.Visitors(w.now, "a", w.now, &cdn.VisitorBatch{At: w.now, Interval: 10 * time.Minute, Samples: []cdn.VisitorSample{sample}})
	w.slot()
	if got := w.groups[placeA]; got == nil || math.Abs(got.Octets-1000) > 10 {
		t.Errorf("they ask for %+v, want 1000 octets a second", got)
	}
}
