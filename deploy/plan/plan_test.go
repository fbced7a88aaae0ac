package plan_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/deploy"
	"nearcast/deploy/plan"
)

func labFleet(t *testing.T) cdn.Fleet {
	t.Helper()
	fleet, err := compile.Fleet("lab.yaml", deploy.LabFleet)
	if err != nil {
		t.Fatal(err)
	}
	return *fleet
}

func TestLabFleetHasWhatTheTourShows(t *testing.T) {
	fleet := labFleet(t)
	tiers := map[cdn.Tier]int{}
	pops := map[cdn.Tier]map[cdn.POPName]bool{cdn.TierEdge: {}, cdn.TierRegional: {}}
	for _, n := range fleet.Nodes {
		if n.Has(cdn.RoleEdge) {
			tier := fleet.POP(n.POP).Tier
			tiers[tier]++
			pops[tier][n.POP] = true
		}
	}
	if tiers[cdn.TierEdge] != 4 || len(pops[cdn.TierEdge]) != 3 {
		t.Errorf("%d edge nodes in %d POPs, want 4 in 3", tiers[cdn.TierEdge], len(pops[cdn.TierEdge]))
	}
	if tiers[cdn.TierRegional] != 2 || len(pops[cdn.TierRegional]) != 1 {
		t.Errorf("%d regional nodes in %d POPs, want 2 in 1", tiers[cdn.TierRegional], len(pops[cdn.TierRegional]))
	}
}

func TestEveryRoleIsAProcess(t *testing.T) {
	p, err := plan.Local(labFleet(t), plan.Layout{Dir: "/lab", PortBase: 20000})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, proc := range p.Processes {
		names = append(names, proc.Name+" "+proc.Args[0])
	}
	want := []string{
		"core-1.control control", "core-1.routequality routequality", "core-1.scheduler scheduler",
		"fra-1 edge", "fra-2 edge", "lon-1 edge", "par-1 edge", "ams-1 edge", "ams-2 edge",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	scheduler := strings.Join(p.Processes[2].Args, " ")
	if want := "--tls-listen 127.0.0.1:20058 --cert /lab/secrets/scheduler.pem --key /lab/secrets/scheduler.key"; p.Secure != "127.0.0.1:20058" || !strings.Contains(scheduler, want) {
		t.Errorf("TLS at %s, and the scheduler is started with %s; want %s", p.Secure, scheduler, want)
	}
	if p.DNS != "127.0.0.1:20053" || p.API != "127.0.0.1:20000" || p.Redirect != "127.0.0.1:20054" {
		t.Errorf("DNS %s, API %s, redirect %s", p.DNS, p.API, p.Redirect)
	}
}

// Databases of addresses go to those that ask where a visitor is, in the fleet's order.
func TestGeo(t *testing.T) {
	fleet := labFleet(t)
	fleet.Geo = []string{"/srv/city.mmdb", "/srv/isp.mmdb"}
	p, err := plan.Local(fleet, plan.Layout{Dir: "/lab", PortBase: 20000})
	if err != nil {
		t.Fatal(err)
	}
	for _, proc := range p.Processes {
		want := proc.Role == cdn.RoleScheduler || proc.Role == cdn.RoleEdge || proc.Role == cdn.RoleRouteQuality
		if got := strings.Contains(strings.Join(proc.Args, " "), "--geo /srv/city.mmdb --geo /srv/isp.mmdb"); got != want {
			t.Errorf("%s is started with %q", proc.Name, proc.Args)
		}
	}
}

func TestNoSocketIsUsedTwice(t *testing.T) {
	p, err := plan.Local(labFleet(t), plan.Layout{Dir: "/lab", PortBase: 20000})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, proc := range p.Processes {
		for _, l := range proc.Listens {
			socket := l.Network + " " + l.Addr
			if other, taken := seen[socket]; taken {
				t.Errorf("%s is for %s and for %s", socket, other, l.For)
			}
			seen[socket] = l.For
		}
	}
}

func TestEdgeNodesShareOnePortOnAddressesOfTheirOwn(t *testing.T) {
	p, err := plan.Local(labFleet(t), plan.Layout{Dir: "/lab", PortBase: 20000})
	if err != nil {
		t.Fatal(err)
	}
	if p.Fleet.Port() != 20080 {
		t.Errorf("HTTP port %d, want 20080", p.Fleet.Port())
	}
	addrs := map[netip.Addr]cdn.NodeName{}
	for _, n := range p.Fleet.Nodes {
		a := n.Addresses[0]
		if !a.IsLoopback() || addrs[a] != "" {
			t.Errorf("node %s has address %s (also of %q), want a loopback address of its own", n.Name, a, addrs[a])
		}
		addrs[a] = n.Name
	}
}

func TestRealAddressesMoveToLoopback(t *testing.T) {
	fleet := labFleet(t)
	fleet.HTTPS = &cdn.HTTPS{}
	for i := range fleet.Nodes {
		fleet.Nodes[i].Addresses = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}
	}
	p, err := plan.Local(fleet, plan.Layout{Dir: "/lab", PortBase: 20000})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Fleet.Nodes[1].Addresses; len(got) != 1 || got[0].String() != "127.100.0.2" {
		t.Errorf("second node has %v, want 127.100.0.2 alone", got)
	}
	if p.Fleet.HTTPS != nil || fleet.HTTPS == nil {
		t.Error("visitors are told of TLS on nodes of a lab, which do not speak it; or the caller's fleet was changed")
	}
	if got := fleet.Nodes[1].Addresses[1].String(); got != "192.0.2.1" {
		t.Errorf("the caller's fleet was changed: %s", got)
	}
}

func TestBadFleets(t *testing.T) {
	without := func(role cdn.Role) func(*cdn.Fleet) {
		return func(f *cdn.Fleet) {
			for i := range f.Nodes {
				var kept []cdn.Role
				for _, r := range f.Nodes[i].Roles {
					if r != role {
						kept = append(kept, r)
					}
				}
				f.Nodes[i].Roles = kept
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(*cdn.Fleet)
		base   int
		want   string
	}{
		"nocontrol":    {without(cdn.RoleControl), 20000, "control, routequality and scheduler"},
		"noscheduler":  {without(cdn.RoleScheduler), 20000, "control, routequality and scheduler"},
		"twocontrols":  {func(f *cdn.Fleet) { f.Nodes[1].Roles = append(f.Nodes[1].Roles, cdn.RoleControl) }, 20000, "both have the role control"},
		"highportbase": {func(*cdn.Fleet) {}, 65500, "port base 65500"},
		"zeroportbase": {func(*cdn.Fleet) {}, 0, "port base 0"},
		"toomany":      {func(f *cdn.Fleet) { f.Nodes = make([]cdn.Node, 251) }, 20000, "too large for one machine"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := labFleet(t)
			tt.change(&fleet)
			_, err := plan.Local(fleet, plan.Layout{Dir: "/lab", PortBase: tt.base})
			if err == nil || !strings.Contains(err.Error(), tt.want) || cdn.KindOf(err) != cdn.Invalid {
				t.Errorf("error %v (kind %v), want one of kind invalid that says %q", err, cdn.KindOf(err), tt.want)
			}
		})
	}
}
