package decide_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/steer"
	"nearcast/scheduler/view"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// mapped is the fleet of snapshot with two sites, and a table: places have paths as they are far, the network 10.1.9.0/24 is nearer to Paris although it
// is in Berlin, and so is 192.0.2.0/24, of which nobody knows where it is.
func mapped() (*cdn.Snapshot, *cdn.RouteTable) {
	s := snapshot()
	s.Sites = []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"www.shop.example"}}, {Name: "news", Domains: []cdn.Domain{"www.news.example"}}}
	t := &cdn.RouteTable{Epoch: "e", Version: 1, Slot: 1, At: noon}
	for _, n := range s.Fleet.Nodes {
		t.Nodes = append(t.Nodes, cdn.NodeHealth{Node: n.Name, State: cdn.StateReady})
	}
	for _, p := range []cdn.POPName{"berlin", "paris", "tokyo"} {
		t.POPs = append(t.POPs, cdn.POPHealth{POP: p, State: cdn.POPUp, Share: 1, Capacity: 1e9, Load: 0.1})
	}
	add := func(name cdn.GroupName, octets float64, ms ...float32) {
		g := &cdn.VisitorGroup{Name: name, Octets: octets, Requests: 20}
		for i, pop := range []cdn.POPName{"berlin", "paris", "tokyo"} {
			g.Paths = append(g.Paths, cdn.Path{POP: pop, Quality: cdn.Quality{R50: ms[i], R90: ms[i], N: 50, Measured: noon.Unix() - 9}})
		}
		t.Groups = append(t.Groups, g)
	}
	place := func(client int) cdn.GroupName {
		p := locate.Place{Location: s.Fleet.Clients[client].Location, ISP: s.Fleet.Clients[client].ISP, Coordinates: locate.Given}
		return p.Group()
	}
	add(place(0), 1e6, 10, 30, 200)
	add(place(1), 1e6, 30, 10, 200)
	add("net 10.1.9.0/24", 1e6, 60, 20, 200)
	add("net 192.0.2.0/24", 1e6, 60, 20, 200)
	slices.SortFunc(t.Groups, func(a, b *cdn.VisitorGroup) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return s, t
}

func (x *situation) view(t interface{ Fatal(...any) }) *view.View {
	p, err := view.Compile(x.s)
	if err != nil {
		t.Fatal(err)
	}
	m := steer.New()
	m.Configure(p, noon)
	m.Table(noon, x.t)
	for _, change := range x.after { // news between slots
		next := *x.t
		next.Version++
		next.POPs, next.Nodes = slices.Clone(next.POPs), slices.Clone(next.Nodes)
		change(&next)
		x.t = &next
		m.Table(noon, x.t)
	}
	return m.View(noon, nil)
}

// situation is what answers are made in.
type situation struct {
	s     *cdn.Snapshot
	t     *cdn.RouteTable
	after []func(*cdn.RouteTable)
}

func situationOf() *situation {
	s, t := mapped()
	return &situation{s: s, t: t}
}

func (x *situation) policy(p ...cdn.Policy) {
	for i := range p {
		p[i].Name = fmt.Sprintf("policy%d", len(x.s.Fleet.Policies))
		x.s.Fleet.Policies = append(x.s.Fleet.Policies, p[i])
	}
}

func (x *situation) down(pops ...int) {
	for _, p := range pops {
		x.t.POPs[p].State = cdn.POPDown
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Berlin, Paris and Tokyo are POPs 0, 1 and 2.
func TestMapped(t *testing.T) {
	const berliner, parisian, nearParis, unplaced, nobody, tokyoite = "10.1.2.3", "10.2.2.3", "10.1.9.3", "192.0.2.3", "198.51.100.3", "10.3.2.3"
	type pops = []cdn.POPName
	for _, test := range []struct {
		name   string
		change func(x *situation)
		client string
		pop    cdn.POPName
		reason string
		scope  int
	}{
		{"place", nil, berliner, "berlin", decide.Mapped, 21}, // 10.1.8.0/21 has a network of its own
		{"other place", nil, parisian, "paris", decide.Mapped, 16},
		{"network goes before its place", nil, nearParis, "paris", decide.Mapped, 24},
		{"network without a place", nil, unplaced, "paris", decide.Mapped, 24},
		{"place that the map does not have", nil, tokyoite, "tokyo", decide.Nearest, 16},
		{"nearest is full", func(x *situation) { x.t.POPs[2].Load = 0.95 }, tokyoite, "berlin", decide.Nearest, 16},
		{"all are full", func(x *situation) { x.t.POPs[0].Load, x.t.POPs[1].Load, x.t.POPs[2].Load = 1, 1, 1 }, tokyoite, "tokyo", decide.Nearest, 16},
		{"nearest is drained", func(x *situation) { x.s.Drains = []cdn.Drain{{POP: "tokyo"}} }, tokyoite, "berlin", decide.Nearest, 16},
		{"nearest is down", func(x *situation) { x.down(2) }, tokyoite, "berlin", decide.Nearest, 16},

		{"down", func(x *situation) { x.down(0) }, berliner, "paris", decide.Mapped, 21},
		{"pin of an unplaced network goes down", func(x *situation) {
			x.policy(cdn.Policy{Pin: "paris"})
			x.after = append(x.after, func(t *cdn.RouteTable) { t.POPs[1].State = cdn.POPDown })
		}, unplaced, "berlin", decide.Nearest, 24},
		{"down between slots", func(x *situation) {
			x.after = append(x.after, func(t *cdn.RouteTable) { t.POPs[0].State = cdn.POPDown })
		}, berliner, "paris", decide.Mapped, 21},
		{"its nodes are down", func(x *situation) {
			x.after = append(x.after, func(t *cdn.RouteTable) { t.Nodes[0].State, t.Nodes[1].State = cdn.StateDown, cdn.StateDown })
		}, berliner, "paris", decide.Mapped, 21},
		{"so much down is not believed", func(x *situation) {
			x.after = append(x.after, func(t *cdn.RouteTable) { t.POPs[0].State, t.POPs[1].State = cdn.POPDown, cdn.POPDown })
		}, berliner, "berlin", decide.Mapped, 21},

		{"pin", func(x *situation) { x.policy(cdn.Policy{Pin: "tokyo"}) }, berliner, "tokyo", decide.Pinned, 21},
		{"pin is down", func(x *situation) { x.policy(cdn.Policy{Pin: "tokyo"}); x.down(2) }, berliner, "berlin", decide.Mapped, 21},
		{"pin goes down between slots", func(x *situation) {
			x.policy(cdn.Policy{Pin: "tokyo"})
			x.after = append(x.after, func(t *cdn.RouteTable) { t.POPs[2].State = cdn.POPDown })
		}, berliner, "berlin", decide.Nearest, 21},
		{"pin that another denies", func(x *situation) {
			x.policy(cdn.Policy{Pin: "tokyo"}, cdn.Policy{Deny: pops{"tokyo"}})
		}, berliner, "berlin", decide.Mapped, 21},
		{"first pin decides", func(x *situation) { x.policy(cdn.Policy{Pin: "paris"}, cdn.Policy{Pin: "tokyo"}) }, berliner, "paris", decide.Pinned, 21},
		{"weights", func(x *situation) {
			x.policy(cdn.Policy{Weights: []cdn.POPWeight{{POP: "paris", Weight: 5}}})
		}, berliner, "paris", decide.Weighted, 21},
		{"weights of what is down", func(x *situation) {
			x.policy(cdn.Policy{Weights: []cdn.POPWeight{{POP: "paris", Weight: 5}, {POP: "tokyo", Weight: 1}}})
			x.down(1)
		}, berliner, "tokyo", decide.Weighted, 21},
		{"deny", func(x *situation) { x.policy(cdn.Policy{Deny: pops{"berlin"}}) }, berliner, "paris", decide.Mapped, 21},
		{"deny whatever fails", func(x *situation) {
			x.policy(cdn.Policy{Deny: pops{"berlin"}}, cdn.Policy{Deny: pops{"tokyo"}})
			x.down(1)
		}, berliner, "", decide.Forbidden, 21},
		{"allow", func(x *situation) { x.policy(cdn.Policy{Allow: pops{"tokyo"}}) }, berliner, "tokyo", decide.Mapped, 21},
		{"allow what has no path", func(x *situation) {
			x.policy(cdn.Policy{Allow: pops{"tokyo"}})
			for _, g := range x.t.Groups {
				g.Paths = g.Paths[:2]
			}
		}, berliner, "tokyo", decide.Mapped, 21},
		{"allows that have nothing in common", func(x *situation) {
			x.policy(cdn.Policy{Allow: pops{"tokyo"}}, cdn.Policy{Allow: pops{"paris", "berlin"}})
		}, berliner, "", decide.Forbidden, 21},
		{"allow for who is in no group", func(x *situation) { x.policy(cdn.Policy{Allow: pops{"paris"}}) }, tokyoite, "paris", decide.Nearest, 16},
		{"deny for who is nowhere", func(x *situation) { x.policy(cdn.Policy{Allow: pops{"paris"}}) }, nobody, "paris", decide.Unplaced, 24},
		{"prefer", func(x *situation) { x.policy(cdn.Policy{Prefer: []cdn.POPPreference{{POP: "tokyo", MS: -300}}}) }, berliner, "tokyo", decide.Mapped, 21},
		{"prefers add up", func(x *situation) {
			x.policy(cdn.Policy{Prefer: []cdn.POPPreference{{POP: "berlin", MS: 15}}}, cdn.Policy{Prefer: []cdn.POPPreference{{POP: "berlin", MS: 15}}})
		}, berliner, "paris", decide.Mapped, 21},
		{"prefer for who is in no group", func(x *situation) {
			x.policy(cdn.Policy{Prefer: []cdn.POPPreference{{POP: "tokyo", MS: 900}}})
		}, tokyoite, "berlin", decide.Nearest, 16},

		{"carrier", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{ISPs: []string{"ORANGE"}}, Pin: "tokyo"})
		}, "10.6.2.3", "tokyo", decide.Pinned, 16},
		{"other carrier", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{ISPs: []string{"ORANGE"}}, Pin: "tokyo"})
		}, berliner, "berlin", decide.Mapped, 21},
		{"country", func(x *situation) {
			x.s.Fleet.Clients[0].Location.Country = "DE"
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Countries: []string{"AT", "DE"}}, Deny: pops{"berlin"}})
		}, "10.1.2.3", "paris", decide.Nearest, 21}, // the group is called otherwise
		{"prefix", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Prefixes: prefixes("10.1.2.0/25")}, Deny: pops{"berlin"}})
		}, berliner, "paris", decide.Fallback, 25},
		{"beside the prefix", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Prefixes: prefixes("10.1.2.0/25")}, Deny: pops{"berlin"}})
		}, "10.1.2.200", "berlin", decide.Mapped, 25},
		{"site", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Deny: pops{"berlin"}})
		}, berliner, "paris", decide.Mapped, 21},
		{"other site", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"news"}}, Deny: pops{"berlin"}})
		}, berliner, "berlin", decide.Mapped, 21},
		{"past", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Window: cdn.Window{Until: noon}}, Deny: pops{"berlin"}})
		}, berliner, "berlin", decide.Mapped, 21},
		{"now", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Window: cdn.Window{From: noon}}, Deny: pops{"berlin"}})
		}, berliner, "paris", decide.Mapped, 21},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := situationOf()
			if test.change != nil {
				test.change(x)
			}
			v := x.view(t)
			got := decide.Answer(v, decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr(test.client)})
			if got.POP != test.pop || got.Reason != test.reason || got.Scope != test.scope {
				t.Errorf("%s because %q, scope %d; want %s because %q, scope %d", got.POP, got.Reason, got.Scope, test.pop, test.reason, test.scope)
			}
			if (got.POP == "") != (len(got.Nodes) == 0) {
				t.Errorf("%s has nodes %v", got.POP, got.Nodes)
			}
		})
	}
}

// Shares hold for visitors, by their networks, and so do an operator's weights; scopes are then no wider than a network.
func TestShares(t *testing.T) {
	for _, byPolicy := range []bool{true, false} {
		x := situationOf()
		want := 1.0 / 3
		if byPolicy {
			x.policy(cdn.Policy{Weights: []cdn.POPWeight{{POP: "paris", Weight: 100}, {POP: "berlin", Weight: 200}}})
		} else {
			for _, g := range x.t.Groups { // one group that Berlin has room for half of
				if g.Paths[0].R50 == 10 {
					g.Octets = 1.6e9
				}
			}
			x.t.POPs[2].State = cdn.POPDown
			want = 0.47
		}
		v := x.view(t)
		paris := 0
		for i := range 256 {
			for j := range 4 {
				q := decide.Query{Domain: cdn.Domain(fmt.Sprintf("s%d.example", j)), Client: netip.AddrFrom4([4]byte{10, 1, byte(i), 7})}
				got := decide.Answer(v, q)
				if got.Scope != 24 && i != 9 {
					t.Fatalf("scope %d", got.Scope)
				}
				q.Client = netip.AddrFrom4([4]byte{10, 1, byte(i), 99})
				if diff := cmp.Diff(got, decide.Answer(v, q)); diff != "" {
					t.Fatal(diff)
				}
				if got.POP == "paris" {
					paris++
				}
			}
		}
		if share := float64(paris) / 1024; share < want-0.05 || share > want+0.05 {
			t.Errorf("policy %t: %.3f of the networks go to Paris, want %.2f", byPolicy, share, want)
		}
	}
}

// One answer in a hundred goes to a POP of which little is known, if that may be as good and has room; not to one that would be shared too widely.
func TestExplore(t *testing.T) {
	x := situationOf()
	thin := func(n float32) {
		for _, g := range x.t.Groups {
			g.Paths[1].N = n
		}
	}
	explored := func(q decide.Query) (n int) {
		v := x.view(t)
		for i := range 20_000 {
			q.Client, q.Now = netip.AddrFrom4([4]byte{10, 1, byte(i % 8), 7}), noon.Add(time.Duration(i/8)*time.Minute)
			if d := decide.Answer(v, q); d.Reason == decide.Explored {
				if d.POP != "paris" || d.Scope != 24 {
					t.Fatalf("explored %+v", d)
				}
				n++
			}
		}
		return n
	}
	q := decide.Query{Domain: "www.shop.example", Alone: true}
	for _, test := range []struct {
		name   string
		change func()
		want   int
	}{
		{"well known", func() { thin(50) }, 0},
		{"little known", func() { thin(3) }, 200},
		{"forbidden", func() { x.policy(cdn.Policy{Deny: []cdn.POPName{"paris"}}) }, 0},
		{"down", func() { x.s.Fleet.Policies, x.t.POPs[1].State = nil, cdn.POPDown }, 0},
		{"full", func() { x.t.POPs[1].State, x.t.POPs[1].Capacity = cdn.POPUp, 3e6 }, 0},
		{"hardly any traffic", func() {
			x.t.POPs[1].Capacity = 1e9
			for _, g := range x.t.Groups {
				g.Requests = 0.9
			}
		}, 0},
		{"some", func() {
			for _, g := range x.t.Groups {
				g.Requests = 1
			}
		}, 200},
		{"far", func() {
			for _, g := range x.t.Groups {
				g.Paths[1].R50 += 60
			}
		}, 0},
	} {
		test.change()
		if got := explored(q); got < test.want*7/10 || got > test.want*13/10 {
			t.Errorf("%s: %d of 20000 answers explore, want %d", test.name, got, test.want)
		}
	}
	x = situationOf()
	thin(3)
	q.Alone = false
	if got := explored(q); got != 0 {
		t.Errorf("%d answers that hold for more than a network explore", got)
	}
}

// What operators drain serves when nothing else works: it is better than what does not.
func TestOnlyDrainedWork(t *testing.T) {
	for name, states := range map[string][2]cdn.NodeState{ // of berlin-1 and of all others
		"the others are down":    {cdn.StateReady, cdn.StateDown},
		"the others stop":        {cdn.StateReady, cdn.StateDraining},
		"nothing works":          {cdn.StateDown, cdn.StateDown},
		"all work":               {cdn.StateReady, cdn.StateReady},
		"the drained one is off": {cdn.StateDown, cdn.StateReady},
	} {
		x := situationOf()
		x.s.Drains = []cdn.Drain{{Node: x.s.Fleet.Nodes[0].Name}}
		for i := range x.t.Nodes {
			x.t.Nodes[i].State = states[min(i, 1)]
		}
		d := decide.Answer(x.view(t), decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr("10.1.2.3"), Now: noon})
		drained := states[0] == cdn.StateReady && states[1] != cdn.StateReady
		if got := len(d.Nodes) > 0 && d.Nodes[0].Name == x.s.Fleet.Nodes[0].Name; got != drained || len(d.Nodes) == 0 {
			t.Errorf("%s: %v at %s (%s), want the drained node: %t", name, names(d.Nodes), d.POP, d.Reason, drained)
		}
	}
}

// Networks of which nothing is known stay with their POP for ten minutes and then try another, each at its turn.
func TestTurns(t *testing.T) {
	v := situationOf().view(t)
	seen := make(map[cdn.POPName]int)
	for i := range 60 {
		q := decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr("198.51.100.3"), Now: noon.Add(time.Duration(i) * 10 * time.Minute)}
		got := decide.Answer(v, q)
		q.Now = q.Now.Add(9 * time.Minute)
		if again := decide.Answer(v, q); again.POP != got.POP || got.Scope != 24 || got.Reason != decide.Unplaced {
			t.Errorf("%+v and nine minutes later %+v", got, again)
		}
		seen[got.POP]++
	}
	if len(seen) != 3 {
		t.Errorf("in ten hours only %v", seen)
	}
}

// Nodes: few own a domain; more if it is hot; who has too much to do is passed over.
func TestNodes(t *testing.T) {
	x := situationOf()
	for i := range 14 {
		n := cdn.Node{Name: cdn.NodeName(fmt.Sprintf("berlin-%d", i+3)), POP: "berlin", Roles: []cdn.Role{cdn.RoleEdge}}
		x.s.Fleet.Nodes = append(x.s.Fleet.Nodes, n)
		x.t.Nodes = append(x.t.Nodes, cdn.NodeHealth{Node: n.Name, State: cdn.StateReady})
	}
	x.t.POPs[0].Octets = 1.2e9
	x.t.Sites = []cdn.SiteShare{{Site: "news", Share: 0.01}, {Site: "shop", Share: 0.3}}
	firsts := func(domain cdn.Domain) map[cdn.NodeName]int {
		v := x.view(t)
		seen := make(map[cdn.NodeName]int)
		for i := range 200 {
			d := decide.Answer(v, decide.Query{Domain: domain, Client: netip.AddrFrom4([4]byte{10, 1, byte(i), 7})})
			if d.POP != "berlin" {
				continue
			}
			names := make(map[cdn.NodeName]bool)
			for _, n := range d.Nodes {
				names[n.Name] = true
			}
			if len(names) != 16 {
				t.Fatalf("%d different nodes, want 16", len(names))
			}
			seen[d.Nodes[0].Name]++
		}
		return seen
	}
	cold, hot := firsts("www.news.example"), firsts("www.shop.example") // 0.36 GB/s, of which an owner is to have 62.5 MB/s
	if len(cold) != 2 || len(hot) != 6 {
		t.Errorf("%d owners of what is little asked for, and %d of what is much, want 2 and 6", len(cold), len(hot))
	}
	busy := slices.Sorted(maps.Keys(cold))[0]
	for i := range x.t.Nodes {
		x.t.Nodes[i].Load = &cdn.NodeLoad{CPU: 0.4}
		if x.t.Nodes[i].Node == busy {
			x.t.Nodes[i].Load.CPU = 0.7
		}
	}
	if now := firsts("www.news.example"); len(now) != 2 || now[busy] != 0 {
		t.Errorf("first nodes %v although %s has too much to do", now, busy)
	}
	if now := firsts("www.shop.example"); now[busy] != 0 {
		t.Errorf("first nodes %v although %s has too much to do", now, busy)
	}
}

// Whatever happens, nobody is sent where policy forbids it, nor to a POP that is down or drained while another that is allowed is not; the same question has the same
// answer, and an answer holds for everybody in its scope.
func TestNever(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := situationOf()
		all := []cdn.POPName{"berlin", "paris", "tokyo"}
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 2, rapid.ID[cdn.POPName])
		for i := range rapid.IntRange(0, 4).Draw(rt, "policies") {
			p := cdn.Policy{Name: fmt.Sprint(i), Allow: some.Draw(rt, "allow"), Deny: some.Draw(rt, "deny"), Prefer: []cdn.POPPreference{{POP: "paris", MS: -5}}}
			p.Match.Prefixes = rapid.SampledFrom([][]netip.Prefix{nil, prefixes("10.1.0.0/16"), prefixes("10.1.2.0/25", "192.0.0.0/8")}).Draw(rt, "prefixes")
			p.Match.Sites = rapid.SampledFrom([][]cdn.SiteName{nil, {"shop"}, {"news"}}).Draw(rt, "sites")
			if rapid.Bool().Draw(rt, "pinned") {
				p.Pin = rapid.SampledFrom(all).Draw(rt, "pin")
			} else if rapid.Bool().Draw(rt, "weighted") {
				p.Weights = []cdn.POPWeight{{POP: rapid.SampledFrom(all).Draw(rt, "of"), Weight: 3}}
			}
			x.s.Fleet.Policies = append(x.s.Fleet.Policies, p)
		}
		for _, pop := range some.Draw(rt, "drained") {
			x.s.Drains = append(x.s.Drains, cdn.Drain{POP: pop})
		}
		for range rapid.IntRange(0, 4).Draw(rt, "events") {
			pop, node, down := rapid.IntRange(0, 2).Draw(rt, "pop"), rapid.IntRange(0, 5).Draw(rt, "node"), rapid.Bool().Draw(rt, "down")
			x.after = append(x.after, func(t *cdn.RouteTable) {
				t.POPs[pop].Load *= 4
				t.POPs[pop].State = map[bool]cdn.POPState{true: cdn.POPDown, false: cdn.POPUp}[down]
				t.Nodes[node].State = map[bool]cdn.NodeState{true: cdn.StateDown, false: cdn.StateReady}[!down]
			})
		}
		v := x.view(rt)
		client := rapid.SampledFrom([]string{"10.1.2.3", "10.1.2.200", "10.1.9.3", "10.2.2.3", "10.3.1.1", "192.0.2.3", "198.51.100.3"}).Draw(rt, "client")
		q := decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr(client), Now: noon.Add(time.Duration(rapid.IntRange(0, 9999).Draw(rt, "minute")) * time.Minute)}
		d := decide.Answer(v, q)
		allowed := func(pop cdn.POPName) bool {
			for _, p := range x.s.Fleet.Policies {
				if len(p.Match.Sites) > 0 && p.Match.Sites[0] != "shop" {
					continue
				}
				if len(p.Match.Prefixes) > 0 && !slices.ContainsFunc(p.Match.Prefixes, func(n netip.Prefix) bool { return n.Contains(q.Client) }) {
					continue
				}
				if len(p.Allow) > 0 && !slices.Contains(p.Allow, pop) || slices.Contains(p.Deny, pop) {
					return false
				}
			}
			return true
		}
		if d.POP != "" && !allowed(d.POP) {
			rt.Fatalf("%s is sent to %s because %q, which is forbidden", client, d.POP, d.Reason)
		}
		for i, pop := range all {
			drains := func(pop cdn.POPName) bool {
				return slices.ContainsFunc(x.s.Drains, func(d cdn.Drain) bool { return d.POP == pop })
			}
			if room := len(v.Usable[i].Nodes) > 0 && v.Load[i] < 0.92 && allowed(pop) && !drains(pop); room && d.POP != "" && drains(d.POP) {
				rt.Fatalf("%s is sent to %s because %q, which drains; %s does not", client, d.POP, d.Reason, pop)
			}
			if usable := len(v.Usable[i].Nodes) > 0; d.POP == pop && !usable || d.POP == "" && usable && allowed(pop) {
				rt.Fatalf("%s is sent to %q because %q; %s has %d usable nodes", client, d.POP, d.Reason, pop, len(v.Usable[i].Nodes))
			}
		}
		if x := decide.Explain(v, q); x.POP != d.POP || x.Reason != d.Reason || x.Scope != d.Scope || len(x.Nodes) != len(d.Nodes) {
			rt.Fatalf("answered %+v, explained %+v", d, x)
		}
		within := netip.PrefixFrom(q.Client, d.Scope).Masked().Addr()
		if d.Scope < 24 { // somewhere else in it
			b := within.As4()
			b[2] |= byte(rapid.IntRange(0, 1<<(24-max(d.Scope, 16))-1).Draw(rt, "beside"))
			within = netip.AddrFrom4(b)
		}
		if q.Client = within; decide.Answer(v, q).POP != d.POP || decide.Answer(v, q).Scope != d.Scope {
			rt.Fatalf("%s gets %+v, and %s in its scope %+v", client, d, within, decide.Answer(v, q))
		}
	})
}
