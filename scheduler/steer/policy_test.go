package steer_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
)

// What policies decide counts as load of the POPs that they decide for, and others make room for it. There are 20 places that ask for 1 MB/s each.
func TestPolicyDemand(t *testing.T) {
	pin := func(match cdn.PolicyMatch) []cdn.Policy { return []cdn.Policy{{Name: "x", Match: match, Pin: "p04"}} }
	shop := cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}
	for _, test := range []struct {
		name     string
		policies []cdn.Policy
		change   func(*cdn.RouteTable)
		want     map[cdn.POPName]float64 // at least, of 1 MB/s
		none     []cdn.POPName           // that get nothing
	}{
		{"pin all", pin(cdn.PolicyMatch{}), nil, map[cdn.POPName]float64{"p04": 20}, []cdn.POPName{"p00", "p03", "p05"}},
		{"pin half", pin(cdn.PolicyMatch{Countries: []string{"BB"}}), nil, map[cdn.POPName]float64{"p04": 10, "p00": 1}, nil},
		{"pin a site", pin(shop), nil, map[cdn.POPName]float64{"p04": 5, "p00": 1.5}, nil},
		{"pin what is down", pin(cdn.PolicyMatch{}), func(t *cdn.RouteTable) { t.POPs[4].State = cdn.POPDown }, map[cdn.POPName]float64{"p00": 2}, []cdn.POPName{"p04"}},
		{"pin what is full", pin(cdn.PolicyMatch{}), func(t *cdn.RouteTable) { t.POPs[4].Capacity = 1e6 }, map[cdn.POPName]float64{"p04": 20}, nil},
		{"others make room", pin(cdn.PolicyMatch{Countries: []string{"BB"}}), func(t *cdn.RouteTable) { t.POPs[4].Capacity = 10e6 / 0.85 }, map[cdn.POPName]float64{"p04": 10}, nil},
		{"weights", []cdn.Policy{{Name: "x", Weights: []cdn.POPWeight{{POP: "p01", Weight: 1}, {POP: "p04", Weight: 3}}}}, nil, map[cdn.POPName]float64{"p01": 5, "p04": 15}, []cdn.POPName{"p00"}},
		{"weights of what is down", []cdn.Policy{{Name: "x", Weights: []cdn.POPWeight{{POP: "p01", Weight: 1}, {POP: "p04", Weight: 3}}}}, func(t *cdn.RouteTable) {
			t.POPs[4].State = cdn.POPDown
		}, map[cdn.POPName]float64{"p01": 20}, []cdn.POPName{"p04"}},
		{"deny a site", []cdn.Policy{{Name: "x", Match: shop, Deny: []cdn.POPName{"p00"}}}, nil, map[cdn.POPName]float64{"p00": 1.5, "p01": 2.5}, nil},
		{"allow", []cdn.Policy{{Name: "x", Allow: []cdn.POPName{"p00", "p01"}}}, nil, map[cdn.POPName]float64{"p00": 2, "p01": 15}, []cdn.POPName{"p02", "p09"}},
		{"nothing is allowed", []cdn.Policy{{Name: "x", Allow: []cdn.POPName{"p00"}}, {Name: "y", Deny: []cdn.POPName{"p00"}}}, nil, nil, []cdn.POPName{"p00", "p09"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 10, 20)
			w.snapshot.Fleet.Policies = test.policies
			w.table.Sites = []cdn.SiteShare{{Site: "shop", Share: 0.25}}
			if test.change != nil {
				test.change(w.table)
			}
			s := status(w.mapper(), begin)
			for _, p := range s.POPs {
				got := math.Round(p.Planned*p.Capacity/1e4) / 100
				if got < test.want[p.POP]-0.01 {
					t.Errorf("%s is given %v MB/s, want %v at least", p.POP, got, test.want[p.POP])
				}
				if got > 0 && slices.Contains(test.none, p.POP) {
					t.Errorf("%s is given %v MB/s, want nothing", p.POP, got)
				}
				if test.name == "others make room" && p.POP == "p04" && got > 10.01 {
					t.Errorf("%s is given %v MB/s, which is more than it takes", p.POP, got)
				}
			}
		})
	}
}

// Policies come into force in the map by the table's time, and while there are no tables by the clock.
// What policy decides yields to a drain, in answers at once and in the map with the next step, as long as there is somewhere else.
func TestPolicyDrained(t *testing.T) {
	for name, p := range map[string]cdn.Policy{
		"pin":            {Name: "x", Pin: "p01"},
		"weights":        {Name: "x", Weights: []cdn.POPWeight{{POP: "p01", Weight: 9}, {POP: "p02", Weight: 1}}},
		"no other":       {Name: "x", Pin: "p01", Allow: []cdn.POPName{"p01"}},
		"weight of none": {Name: "x", Weights: []cdn.POPWeight{{POP: "p01", Weight: 1}}},
	} { // who may go nowhere else is answered, but is in no POP's share
		w := newWorld(t, 4, 8)
		w.snapshot.Fleet.Policies = []cdn.Policy{p}
		m := w.mapper()
		w.snapshot.Drains = []cdn.Drain{{POP: "p01", Since: begin}}
		m.Configure(w.plan(), begin)
		now := begin
		for i := range 20 {
			v := m.View(now, nil)
			for c := range w.places {
				d := decide.Answer(v, decide.Query{Domain: "www.shop.example", Client: w.snapshot.Fleet.Clients[c].Prefix.Addr(), Now: now})
				if stays := name == "no other"; (d.POP == "p01") != stays && (i == 0 || i == 19) {
					t.Fatalf("%s, step %d: %+v, although p01 drains", name, i, d)
				}
			}
			now = now.Add(cdn.SlotTime)
			m.Table(now, w.next(nil))
		}
		if share := status(m, now).POPs[1].Share; share > 0 {
			t.Errorf("%s: p01 has %v of the demand", name, share)
		}
	}
}

// However many policies name a site, and whatever groups are called: there is a map, and the others find themselves in it.
func TestNames(t *testing.T) {
	w := newWorld(t, 4, 8)
	for i := range cdn.MaxPolicies {
		w.snapshot.Fleet.Policies = append(w.snapshot.Fleet.Policies, cdn.Policy{
			Name: fmt.Sprint(i), Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Prefer: []cdn.POPPreference{{POP: "p01", MS: 1}},
		})
	}
	for _, name := range []cdn.GroupName{"", "-", "net 10.1.2.3/24", "net ::ffff:10.1.4.0/120", "net 10.1.3.0/24", "net 010.1.3.0/24"} {
		g := *w.table.Groups[0]
		g.Name = name
		w.table.Groups = append(w.table.Groups, &g)
	}
	slices.SortFunc(w.table.Groups, func(a, b *cdn.VisitorGroup) int { return strings.Compare(string(a.Name), string(b.Name)) })
	m := w.mapper()
	s := status(m, begin)
	if s.Map.Digest == "" || alarmed(&s, "the map stays") {
		t.Fatalf("no map: %q", s.Alarms)
	}
	v := m.View(begin, nil)
	for client, want := range map[string]cdn.GroupName{"10.1.3.1": "net 10.1.3.0/24", "10.3.0.1": w.group(3)} {
		x := decide.Explain(v, decide.Query{Domain: "www.shop.example", Client: netip.MustParseAddr(client), Now: begin})
		if x.Group != want || x.Reason != decide.Mapped {
			t.Errorf("%s is in %q and answered because %q, want %q and the map", client, x.Group, x.Reason, want)
		}
	}
}

func TestPolicyWindow(t *testing.T) {
	w := newWorld(t, 10, 20)
	window := cdn.Window{From: begin.Add(time.Minute), Until: begin.Add(time.Hour)}
	w.snapshot.Fleet.Policies = []cdn.Policy{{Name: "x", Match: cdn.PolicyMatch{Window: window}, Weights: []cdn.POPWeight{{POP: "p03", Weight: 1}, {POP: "p04", Weight: 1}}}}
	m := w.mapper()
	share := func(now time.Time) float64 {
		s := status(m, now)
		if s.Frozen != "" {
			t.Errorf("frozen: %s", s.Frozen)
		}
		return math.Round(100 * (s.POPs[3].Share + s.POPs[4].Share))
	}
	now := begin
	for now.Before(begin.Add(55 * time.Second)) {
		now = now.Add(cdn.SlotTime)
		m.Table(now, w.next(nil))
	}
	if got := share(now); got > 30 {
		t.Errorf("before it begins %v %% go there", got)
	}
	now = now.Add(cdn.SlotTime)
	m.Table(now, w.next(nil))
	if got := share(now); got != 100 {
		t.Errorf("when it begins %v %% go there, want all", got)
	}
	for ; now.Before(begin.Add(66 * time.Minute)); now = now.Add(time.Second) {
		m.Tick(now)
	}
	if got := share(now); got > 30 {
		t.Errorf("when it is over %v %% go there", got)
	}
}
