package control_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/compile"
	"nearcast/control/wire"
)

// big is a fleet with several of everything, as a fleet file says it.
func big() *cdn.Fleet {
	f := fleet()
	for _, name := range []cdn.NodeName{"ams-2", "ams-3"} {
		f.Nodes = append(f.Nodes, cdn.Node{Name: name, POP: "ams", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.9")}, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	f.DNS.Steered = []cdn.Domain{"s1.example", "s2.example", "s3.example"}
	f.Zones = []cdn.Zone{
		{Name: "a.example", Records: []cdn.Record{{Name: "x", Type: "TXT", Data: "1"}, {Name: "y", Type: "TXT", Data: "1"}}},
		{Name: "b.example", Records: []cdn.Record{{Name: "z", Type: "TXT", Data: "1"}}},
		{Name: "c.example"},
	}
	return f
}

// withFleet is a fleet file, and refused the metric that says whether it was refused.
func withFleet(f *cdn.Fleet, registry *prometheus.Registry) option {
	return func(cfg *control.Config) { cfg.Fleet, cfg.Registry = f, registry }
}

func refused(t *testing.T, registry *prometheus.Registry, want string) {
	t.Helper()
	text := "# HELP nearcast_control_fleet_refused 1 if the fleet file is not in force that the control plane was started with.\n# TYPE nearcast_control_fleet_refused gauge\nnearcast_control_fleet_refused " + want + "\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(text), "nearcast_control_fleet_refused"); err != nil {
		t.Error(err)
	}
}

// A fleet file that leaves too little is not put into force at start, and stops nobody from working; somebody can say that it is meant.
func TestFleetFileThatLeavesLittle(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(*cdn.Fleet)
		want string // empty: it is put into force
	}{
		{"nodes", func(f *cdn.Fleet) { f.Nodes = f.Nodes[1:2] }, "this leaves 1 of 4 nodes"},
		{"half of the nodes", func(f *cdn.Fleet) { f.Nodes = f.Nodes[:2] }, ""},
		{"steered names", func(f *cdn.Fleet) { f.DNS.Steered = f.DNS.Steered[:1] }, "this leaves 1 of 3 steered names"},
		{"no steered name", func(f *cdn.Fleet) { f.DNS.Steered = nil }, "this leaves 0 of 3 steered names"},
		{"zones", func(f *cdn.Fleet) { f.Zones = f.Zones[:1] }, "this leaves 1 of 3 zones"},
		{"records", func(f *cdn.Fleet) { f.Zones[0].Records = nil }, "this leaves 1 of 3 records"},
		{"several", func(f *cdn.Fleet) { f.Zones, f.Nodes = nil, f.Nodes[1:2] }, "this leaves 0 of 3 zones, 0 of 3 records, 1 of 4 nodes"},
		{"all nodes", func(f *cdn.Fleet) { f.Nodes = nil }, "the fleet has no node"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, registry := t.TempDir(), prometheus.NewRegistry()
			p := startPlane(t, dir, withFleet(big(), registry))
			p.apply(t, siteText("a"))
			refused(t, registry, "0")
			p.stop()

			small := big()
			test.edit(small)
			registry = prometheus.NewRegistry()
			p = startPlane(t, dir, withFleet(small, registry))
			if test.want == "" {
				refused(t, registry, "0")
				p.at(t, 3, small, "")
				return
			}
			refused(t, registry, "1")
			p.at(t, 2, big(), test.want)
			p.apply(t, siteText("b")) // everything else goes on, in what is in force
			p.at(t, 3, big(), test.want)
			result, err := p.api.AcceptFleet(t.Context())
			if test.name == "all nodes" {
				if cdn.KindOf(err) != cdn.Invalid || result.Generation != 0 {
					t.Errorf("accepted: %+v, %v; that is never meant", result, err)
				}
				return
			}
			if err != nil || result.Generation != 4 {
				t.Fatalf("accepting: %+v, %v; want generation 4", result, err)
			}
			refused(t, registry, "0")
			p.at(t, 4, small, "")
			if st, err := p.api.Status(t.Context()); err != nil || st.Sites != 2 || !strings.HasSuffix(st.By, ", who accepts the fleet file") {
				t.Errorf("afterwards %+v, %v; want both sites, and who has done it", st, err)
			}
			if _, err := p.api.AcceptFleet(t.Context()); cdn.KindOf(err) != cdn.NotFound {
				t.Errorf("accepting again: %v, want not found", err)
			}
			p.stop()
			registry = prometheus.NewRegistry()
			p = startPlane(t, dir, withFleet(small, registry))
			refused(t, registry, "0")
			p.at(t, 4, small, "")
		})
	}
}

// at fails the test unless a version with a fleet is in force, and the fleet file refused for a reason.
func (p *plane) at(t *testing.T, generation cdn.Generation, fleet *cdn.Fleet, why string) {
	t.Helper()
	st, err := p.api.Status(t.Context())
	if err != nil || st.Generation != generation || (st.FleetRefused == "") != (why == "") || !strings.Contains(st.FleetRefused, why) {
		t.Errorf("status %+v, %v; want generation %d and refused %q", st, err, generation, why)
	}
	if strings.Contains(why, "leaves") && !strings.Contains(st.FleetRefused, "nearcast fleet accept") {
		t.Errorf("%q does not say how to insist", st.FleetRefused)
	}
	nodes, err := p.api.Nodes(t.Context())
	if err != nil || len(nodes) != len(fleet.Nodes) {
		t.Errorf("%d nodes, %v; want %d", len(nodes), err, len(fleet.Nodes))
	}
}

// A fleet file that does not fit the sites that there are is refused as well, and cannot be accepted while it does not.
func TestFleetFileThatDoesNotFit(t *testing.T) {
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	p := startPlane(t, dir)
	p.apply(t, siteText("a"))
	p.stop()
	taken := fleet()
	taken.DNS.Steered = []cdn.Domain{"a.example"}
	if compile.Snapshot(*taken, []cdn.Site{{Name: "a", Domains: []cdn.Domain{"a.example"}}}) == nil {
		t.Fatal("the fleet fits")
	}
	p = startPlane(t, dir, withFleet(taken, registry))
	refused(t, registry, "1")
	p.at(t, 2, fleet(), "the fleet does not fit the sites")
	if _, err := p.api.AcceptFleet(t.Context()); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("accepted: %v", err)
	}
	if _, err := p.api.DeleteSite(t.Context(), "a", true); err != nil {
		t.Fatal(err)
	}
	if r, err := p.api.AcceptFleet(t.Context()); err != nil || r.Generation != 4 {
		t.Errorf("accepting once it fits: %+v, %v", r, err)
	}
	refused(t, registry, "0")
}

// many is a site with many domains.
func many(domains ...string) string {
	text := "site: many\norigin:\n  urls: [http://o.example]\ndomains:\n"
	for _, d := range domains {
		text += "  - " + d + "\n"
	}
	return text
}

// What leaves too little is refused wherever it is asked for, with what it leaves of what, and how to insist; with force it is done.
func TestTooLittleIsLeft(t *testing.T) {
	dir := t.TempDir()
	p := startPlane(t, dir) // 1: two nodes
	p.stop()
	p = startPlane(t, dir, withFleet(big(), prometheus.NewRegistry()))   // 2: four
	p.apply(t, many("a.example", "b.example", "c.example", "d.example")) // 3
	p.apply(t, siteText("other"))                                        // 4
	one := files(many("a.example"))
	for _, test := range []struct {
		name string
		do   func(force bool) (wire.ApplyResult, error)
		want string
	}{
		{"apply", func(force bool) (wire.ApplyResult, error) {
			return p.api.Apply(t.Context(), wire.ApplyRequest{Files: one, Force: force})
		}, "this leaves 2 of 5 domains of sites"},
		{"dry run", func(force bool) (wire.ApplyResult, error) {
			return p.api.Apply(t.Context(), wire.ApplyRequest{Files: one, Force: force, DryRun: true})
		}, "this leaves 2 of 5 domains of sites"},
		{"delete", func(force bool) (wire.ApplyResult, error) { return p.api.DeleteSite(t.Context(), "many", force) }, "this leaves 1 of 5 domains of sites"},
		{"rollback", func(force bool) (wire.ApplyResult, error) {
			return p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 1, Force: force})
		}, "this leaves 0 of 2 sites, 0 of 5 domains of sites, 0 of 3 steered names, 0 of 3 zones, 0 of 3 records"},
	} {
		before, err := p.api.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = test.do(false)
		if cdn.KindOf(err) != cdn.Invalid || err.Error() != test.want+`; if that is meant, say so with --force ("force": true in a request)` {
			t.Errorf("%s: %v, want %s, and how to insist", test.name, err, test.want)
		}
		if after, err := p.api.Status(t.Context()); err != nil || after.Generation != before.Generation {
			t.Errorf("%s: generation %d, %v; want still %d", test.name, after.Generation, err, before.Generation)
		}
		if _, err := test.do(true); err != nil {
			t.Errorf("%s with force: %v", test.name, err)
		}
		if test.name == "dry run" {
			continue
		}
		if _, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 4, Force: true}); err != nil {
			t.Fatal(err)
		}
	}
}
