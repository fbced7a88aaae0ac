package control_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/wire"
)

// wideFleet is fleet with two more edge POPs.
func wideFleet() *cdn.Fleet {
	f := fleet()
	for i, name := range []cdn.POPName{"lon", "par"} {
		f.POPs = append(f.POPs, cdn.POP{Name: name, Region: "eu", Tier: cdn.TierEdge})
		f.Nodes = append(f.Nodes, cdn.Node{
			Name: cdn.NodeName(name) + "-1", POP: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 1, byte(i)})}, Roles: []cdn.Role{cdn.RoleEdge},
		})
	}
	return f
}

func wide(cfg *control.Config) { cfg.Fleet = wideFleet() }

func (p *plane) drain(t *testing.T, pop string) wire.DrainResult {
	t.Helper()
	r, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: pop})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drained returns the names of what is drained.
func (p *plane) drained(t *testing.T) string {
	t.Helper()
	drains, err := p.api.Drains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(drains))
	for i, d := range drains {
		if list[i] = d.Name(); d.Since.IsZero() || !strings.Contains(d.By, " from 127.0.0.1:") {
			t.Errorf("%s began at %s by %q, want when and by whom", d.Name(), d.Since, d.By)
		}
	}
	return strings.Join(list, ", ")
}

// A drain is a version like every other change, reaches the nodes, and is asked for twice in vain.
func TestDrain(t *testing.T) {
	p := startPlane(t, t.TempDir(), wide)
	p.api.Actor = "ann"
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	if got := p.drained(t); got != "" {
		t.Errorf("drained at first: %s", got)
	}
	first := p.drain(t, "par")
	if !first.Changed || first.Generation != 2 || len(first.Drains) != 1 || !strings.HasPrefix(first.Drains[0].By, "ann from ") {
		t.Errorf("the first drain: %+v", first)
	}
	again := p.drain(t, "par")
	if diff := cmp.Diff(wire.DrainResult{Generation: 2, Drains: first.Drains}, again); diff != "" {
		t.Errorf("the same drain again (-want +got):\n%s", diff)
	}
	eventually(t, "the node has it", func() bool { return f.Generation() == 2 && len(f.Snapshot().Drains) == 1 })

	r, err := p.api.EndDrain(t.Context(), "pop", "par")
	if err != nil || !r.Changed || r.Generation != 3 || len(r.Drains) != 0 {
		t.Errorf("the end: %+v, %v", r, err)
	}
	if r, err := p.api.EndDrain(t.Context(), "pop", "par"); err != nil || r.Changed || r.Generation != 3 {
		t.Errorf("the end again: %+v, %v", r, err)
	}
	versions, err := p.api.Versions(t.Context())
	if err != nil || len(versions) != 3 || versions[0].Digest != versions[2].Digest || versions[0].Digest == versions[1].Digest {
		t.Errorf("versions %+v, %v; want the first and the last alike", versions, err)
	}
}

func TestDrainRefused(t *testing.T) {
	p := startPlane(t, t.TempDir(), wide)
	p.drain(t, "par")
	tests := []struct {
		name string
		req  wire.DrainRequest
		kind cdn.Kind
	}{
		{"nothing", wire.DrainRequest{}, cdn.Invalid},
		{"both", wire.DrainRequest{POP: "ams", Node: "ams-1"}, cdn.Invalid},
		{"unknown", wire.DrainRequest{POP: "nyc"}, cdn.NotFound},
		{"unknown by force", wire.DrainRequest{Node: "nyc-1", Force: true}, cdn.NotFound},
		{"regional", wire.DrainRequest{POP: "fra"}, cdn.Invalid},
		{"too much", wire.DrainRequest{POP: "lon"}, cdn.Conflict},
		{"a node that is too much", wire.DrainRequest{Node: "lon-1"}, cdn.Conflict},
	}
	for _, tt := range tests {
		if r, err := p.api.Drain(t.Context(), tt.req); cdn.KindOf(err) != tt.kind {
			t.Errorf("%s: %+v, %v; want kind %s", tt.name, r, err, tt.kind)
		}
	}
	for _, bad := range [][2]string{{"pop", "nyc"}, {"region", "eu"}, {"pop", "N Y C"}} {
		if r, err := p.api.EndDrain(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("ending the drain of %s %s: %+v, want an error", bad[0], bad[1], r)
		}
	}
	if got := p.drained(t); got != "pop par" {
		t.Errorf("drained is %s, want pop par alone", got)
	}
	r, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: "lon", Force: true})
	if err != nil || !r.Changed {
		t.Errorf("by force: %+v, %v", r, err)
	}
	if _, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: "ams"}); cdn.KindOf(err) != cdn.Conflict {
		t.Errorf("the last: %v, want a conflict", err)
	}
}

// A POP of which the others are down is the last, whatever is configured.
func TestDrainMindsHealth(t *testing.T) {
	p := startPlane(t, t.TempDir(), wide, func(cfg *control.Config) {
		cfg.Health = func() *cdn.RouteTable {
			return &cdn.RouteTable{POPs: []cdn.POPHealth{{POP: "ams", State: cdn.POPDown}, {POP: "lon", State: cdn.POPSuppressed}}}
		}
	})
	if _, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: "par"}); cdn.KindOf(err) != cdn.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	if r, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: "lon"}); err != nil {
		t.Errorf("one that is down anyway: %+v, %v", r, err)
	}
}

// Sites change, are deleted and are rolled back; what is drained stays drained.
func TestDrainStays(t *testing.T) {
	dir := t.TempDir()
	p := startPlane(t, dir, wide)
	p.apply(t, siteText("a")+"---\n"+siteText("b")) // 2
	p.drain(t, "par")                               // 3
	p.apply(t, siteText("a")+"routes: [{ttl: 1h}]") // 4
	if _, err := p.api.DeleteSite(t.Context(), "b", false); err != nil {
		t.Fatal(err)
	}
	if got := p.drained(t); got != "pop par" {
		t.Errorf("after changes of sites: %q is drained", got)
	}
	if r, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 2}); err != nil || r.Generation != 6 {
		t.Errorf("rollback: %+v, %v", r, err)
	}
	if got := p.drained(t); got != "pop par" {
		t.Errorf("after a rollback to before the drain: %q is drained", got)
	}
	if r, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 2}); err != nil || r.Generation != 6 {
		t.Errorf("the same rollback: %+v, %v; want no new version", r, err)
	}
	p.stop()

	p = startPlane(t, dir, wide)
	if st, err := p.api.Status(t.Context()); err != nil || st.Generation != 6 {
		t.Errorf("after a restart with the same fleet file: %+v, %v; want no new version", st, err)
	}
	p.stop()

	p = startPlane(t, dir, wide, func(cfg *control.Config) { cfg.Fleet.HTTPPort = 8080 })
	if got := p.drained(t); got != "pop par" {
		t.Errorf("after a restart with another fleet file: %q is drained", got)
	}
	p.stop()

	p = startPlane(t, dir) // a fleet file without par
	if got := p.drained(t); got != "" {
		t.Errorf("after a restart with a fleet file without the POP: %q is drained", got)
	}
	if r, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 7, Force: true}); err != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := p.drained(t); got != "" {
		t.Errorf("a rollback to a drained POP: %q is drained, want only what is drained now", got)
	}
}

// Two operators who empty half of the fleet each at the same moment do not empty all of it.
func TestDrainsAtOnce(t *testing.T) {
	p := startPlane(t, t.TempDir(), wide)
	results := make(chan error)
	for _, pop := range []string{"ams", "lon", "par"} {
		go func() {
			_, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: pop})
			results <- err
		}()
	}
	refused := 0
	for range 3 {
		if err := <-results; err != nil {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d of 3 were refused, want 2: %s", refused, p.drained(t))
	}
}
