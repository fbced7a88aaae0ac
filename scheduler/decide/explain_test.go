package decide_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// An explanation has everything that an answer comes of.
func TestExplain(t *testing.T) {
	x := situationOf()
	x.t.POPs[0].Behind, x.t.POPs[0].HitRatio = 40, 0.9
	x.t.POPs[1].Load = -1
	x.t.Groups[slices.IndexFunc(x.t.Groups, func(g *cdn.VisitorGroup) bool { return g.Paths[0].R50 == 10 })].Paths[0].Loss = 0.001
	x.s.Fleet.POPs[0].Price = 2
	x.policy(cdn.Policy{Prefer: []cdn.POPPreference{{POP: "berlin", MS: 1}}}, cdn.Policy{Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"news"}}, Pin: "tokyo"})
	x.t.Alarms = []string{"the clock of x is wrong"}
	v := x.view(t)
	got := decide.Explain(v, decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr("10.1.2.3"), Now: noon.Add(3 * time.Second)})
	if got.Map.Digest == "" || got.Map.Epoch != "e" || got.Map.Version != 1 || got.Map.Slot != 1 || got.Map.Steps != 1 {
		t.Errorf("map %+v", got.Map)
	}
	got.Map = cdn.MapVersion{}
	for i := range got.Candidates {
		c := &got.Candidates[i]
		sum := 0.0
		for j := range c.Terms {
			sum += c.Terms[j].MS
			c.Terms[j].MS = math.Round(100*c.Terms[j].MS) / 100
		}
		if math.Abs(sum-c.Cost) > 0.01 {
			t.Errorf("%s costs %v ms, and its terms are %v", c.POP, c.Cost, sum)
		}
		c.Cost, c.Planned = math.Round(100*c.Cost)/100, math.Round(1e4*c.Planned)/1e4
	}
	slices.Sort(got.Nodes)
	want := cdn.RouteExplanation{
		Name: "www.shop.example", Site: "shop", Client: "10.1.2.3", Group: "place -//52.5,13.4", Place: "52.50 13.40", Scope: 21, POP: "berlin",
		Nodes: []cdn.NodeName{"berlin-1", "berlin-2"}, Reason: decide.Mapped, Policies: []string{"policy0"}, TableAge: 3, Alarms: []string{"the clock of x is wrong"},
		Candidates: []cdn.RouteCandidate{
			{
				POP: "berlin", Cost: 19.5, Terms: []cdn.CostTerm{{Term: "rtt", MS: 10}, {Term: "loss", MS: 2.5}, {Term: "miss", MS: 4}, {Term: "price", MS: 2}, {Term: "policy", MS: 1}},
				Share: 1, State: "up", Planned: 0.001, Load: 0.1, N: 50, Age: 12, Why: "first choice",
			},
			{POP: "paris", Cost: 30, Terms: []cdn.CostTerm{{Term: "rtt", MS: 30}}, State: "up", Planned: 0.003, Load: -1, N: 50, Age: 12, Why: "stand-by"},
			{POP: "tokyo", Cost: 200, Terms: []cdn.CostTerm{{Term: "rtt", MS: 200}}, State: "up", Load: 0.1, N: 50, Age: 12, Why: "costs more"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Who is in no group is explained by geography, and who is pinned by the policy.
func TestExplainOthers(t *testing.T) {
	x := situationOf()
	x.policy(cdn.Policy{Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"news"}}, Pin: "tokyo"}, cdn.Policy{Deny: []cdn.POPName{"paris"}})
	v := x.view(t)
	for _, test := range []struct {
		name   string
		domain cdn.Domain
		client netip.Addr
		reason string
		want   []string
	}{
		{"no group", "www.shop.example", netip.MustParseAddr("10.3.1.1"), decide.Nearest, []string{"tokyo chosen", "berlin farther", "paris forbidden by policy"}},
		{"pinned", "www.news.example", netip.MustParseAddr("10.1.2.3"), decide.Pinned, []string{"berlin farther", "paris forbidden by policy", "tokyo chosen"}},
		{"nobody", "www.news.example", netip.Addr{}, decide.Pinned, []string{"berlin farther", "paris forbidden by policy", "tokyo chosen"}},
	} {
		got := decide.Explain(v, decide.Query{Domain: test.domain, Client: test.client, Now: noon})
		var list []string
		for _, c := range got.Candidates {
			list = append(list, fmt.Sprintf("%s %s", c.POP, c.Why))
		}
		if diff := cmp.Diff(test.want, list); diff != "" || got.Reason != test.reason {
			t.Errorf("%s: %q; candidates (-want +got):\n%s", test.name, got.Reason, diff)
		}
	}
	s, _ := mapped()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	got := decide.Explain(view.Join(p, nil), decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr("10.1.2.3")})
	if got.TableAge != -1 || got.POP != "berlin" || len(got.Candidates) != 3 || got.Map != (cdn.MapVersion{}) {
		t.Errorf("without a map: %+v", got)
	}
}

func TestStatus(t *testing.T) {
	s, _ := mapped()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	if none := decide.Status(view.New(p, view.News{}), noon); none.TableAge != -1 || none.Ageing != "static" || none.Capacity != 3*2*view.UnknownCapacity || len(none.POPs) != 3 {
		t.Errorf("without a table: %+v", none)
	}
	x := situationOf()
	x.s.Drains = []cdn.Drain{{POP: "tokyo"}}
	x.t.POPs[0].Octets, x.t.POPs[0].HitRatio = 5e7, 0.9
	got := decide.Status(x.view(t), noon.Add(time.Second))
	if got.TableAge != 1 || got.Ageing != "fresh" || got.Groups != 4 || got.Demand != 4e6 || got.Capacity != 3e9 || len(got.POPs) != 3 {
		t.Errorf("%+v", got)
	}
	want := cdn.MapPOP{
		POP: "berlin", State: cdn.POPUp, Nodes: 2, Usable: 2, Share: 0.25, Planned: 0.001, Load: 0.1, Factor: 1, Capacity: 1e9, Octets: 5e7, HitRatio: 0.9,
	}
	if diff := cmp.Diff(want, got.POPs[0]); diff != "" || !got.POPs[2].Draining {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Where visitors would go if their POP were not there: never where policy forbids it to a part of them.
func TestRelief(t *testing.T) {
	const berliner, parisian, net cdn.GroupName = "place -//52.5,13.4", "place -//48.9,2.4", "net 192.0.2.0/24"
	type groups = map[cdn.GroupName]cdn.POPName
	site := cdn.PolicyMatch{Sites: []cdn.SiteName{"news"}}
	for _, test := range []struct {
		name   string
		change func(*situation)
		pop    cdn.POPName
		want   decide.Relief
	}{
		{"first and stand-by", func(*situation) {}, "berlin", decide.Relief{
			Default: "paris", Groups: groups{berliner: "paris", parisian: "paris", net: "paris", "net 10.1.9.0/24": "paris"},
		}},
		{"second is full", func(x *situation) { x.t.POPs[1].Load = 0.96 }, "berlin", decide.Relief{
			Default: "tokyo", Groups: groups{berliner: "tokyo", parisian: "tokyo", net: "tokyo", "net 10.1.9.0/24": "tokyo"},
		}},
		{"second is denied", func(x *situation) { x.policy(cdn.Policy{Deny: []cdn.POPName{"paris"}}) }, "berlin", decide.Relief{
			Default: "tokyo", Groups: groups{berliner: "tokyo", parisian: "tokyo", net: "tokyo", "net 10.1.9.0/24": "tokyo"},
		}},
		{"to some", func(x *situation) { x.policy(cdn.Policy{Match: site, Deny: []cdn.POPName{"paris"}}) }, "berlin", decide.Relief{
			Default: "tokyo", Groups: groups{berliner: "tokyo", parisian: "tokyo", net: "tokyo", "net 10.1.9.0/24": "tokyo"},
		}},
		{"to few", func(x *situation) {
			x.policy(cdn.Policy{Match: cdn.PolicyMatch{Prefixes: prefixes("10.1.2.0/25")}, Deny: []cdn.POPName{"paris", "tokyo"}})
		}, "berlin", decide.Relief{Groups: groups{berliner: "", parisian: "", net: "", "net 10.1.9.0/24": ""}}},
		{"pinned", func(x *situation) { x.policy(cdn.Policy{Pin: "berlin"}) }, "berlin", decide.Relief{
			Default: "paris", Groups: groups{berliner: "", parisian: "", net: "", "net 10.1.9.0/24": ""},
		}},
		{"nobody there", func(*situation) {}, "tokyo", decide.Relief{Default: "berlin", Groups: groups{}}},
		{"unknown", func(*situation) {}, "nowhere", decide.Relief{Groups: groups{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := situationOf()
			test.change(x)
			v := x.view(t)
			if diff := cmp.Diff(test.want, decide.ReliefOf(v, test.pop)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
