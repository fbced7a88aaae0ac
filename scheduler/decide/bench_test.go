package decide_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/steer"
	"nearcast/scheduler/view"
)

// large is a view of so many POPs of eight nodes, and so many networks with ten paths each, half of which are divided.
func large(tb testing.TB, pops, groups int, policies ...cdn.Policy) *view.View {
	tb.Helper()
	s := &cdn.Snapshot{Generation: 1, Sites: []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"www.shop.example"}}}}
	s.Fleet.Zone, s.Fleet.Policies = "cdn.test", policies
	t := &cdn.RouteTable{Epoch: "e", Version: 1, Slot: 1, At: noon}
	for p := range pops {
		name := cdn.POPName(fmt.Sprintf("p%03d", p))
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(p % 180), Latitude: float64(p % 60)}})
		for n := range 8 {
			node := cdn.NodeName(fmt.Sprintf("%s-%d", name, n))
			s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: node, POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
			t.Nodes = append(t.Nodes, cdn.NodeHealth{Node: node, State: cdn.StateReady, Load: &cdn.NodeLoad{CPU: 0.4 + float64(n)/100}})
		}
		t.POPs = append(t.POPs, cdn.POPHealth{POP: name, State: cdn.POPUp, Share: 1, Capacity: 1e9, Load: 0.4, Octets: 4e8})
	}
	t.Sites = []cdn.SiteShare{{Site: "shop", Share: 0.5}}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range groups {
		g := &cdn.VisitorGroup{Name: locate.NetworkGroup(netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(11 + i>>16), byte(i >> 8), byte(i)}), 24))}
		g.Octets = float64(pops) * 1e9 / 1.3 / float64(groups)
		at := r.IntN(pops - 10)
		for p := range 10 {
			ms := 20 + 100*r.Float32()
			g.Paths = append(g.Paths, cdn.Path{POP: s.Fleet.POPs[at+p].Name, Quality: cdn.Quality{R50: ms, R90: 1.1 * ms, N: 20, Measured: noon.Unix()}})
		}
		t.Groups = append(t.Groups, g)
	}
	slices.SortFunc(t.Groups, func(a, b *cdn.VisitorGroup) int { return strings.Compare(string(a.Name), string(b.Name)) })
	p, err := view.Compile(s)
	if err != nil {
		tb.Fatal(err)
	}
	m := steer.New()
	m.Configure(p, noon)
	m.Table(noon, t)
	return m.View(noon, nil)
}

func BenchmarkMapped(b *testing.B) {
	for _, bench := range []struct {
		name     string
		policies []cdn.Policy
		client   byte
	}{
		{"group", nil, 11},
		{"policies", []cdn.Policy{
			{Name: "a", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Deny: []cdn.POPName{"p001"}},
			{Name: "b", Match: cdn.PolicyMatch{Prefixes: prefixes("11.0.0.0/9")}, Deny: []cdn.POPName{"p002"}},
		}, 11},
		{"unplaced", nil, 99},
	} {
		b.Run(bench.name, func(b *testing.B) {
			v := large(b, 60, 20_000, bench.policies...)
			i := 0
			room := make([]*cdn.Node, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				i++
				q := decide.Query{Domain: "www.shop.example", Client: netip.AddrFrom4([4]byte{bench.client, byte(i >> 8 % 70), byte(i), 1}), Now: noon, Room: room}
				decide.Answer(v, q)
			}
		})
	}
}

func BenchmarkExplain(b *testing.B) {
	v := large(b, 300, 200_000)
	i := 0
	for b.Loop() {
		i++
		decide.Explain(v, decide.Query{Domain: "www.shop.example", Client: netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 1}), Now: noon})
	}
}

func BenchmarkRelief(b *testing.B) {
	v := large(b, 300, 200_000)
	for b.Loop() {
		decide.ReliefOf(v, "p100")
	}
}
