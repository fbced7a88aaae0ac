package control_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/feedclient"
	"nearcast/control/wire"
	"nearcast/internal/freeport"
)

func TestStart(t *testing.T) {
	began := time.Now()
	p := startPlane(t, t.TempDir())
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("start took %v, want less than 2 s", d)
	}
	p.stop()
	if p.Ready() == nil {
		t.Error("ready after the end")
	}
}

func TestDeliver(t *testing.T) {
	p := startPlane(t, t.TempDir())
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	eventually(t, "fleet delivered", func() bool { return f.Generation() == 1 && f.CaughtUp() })

	r := p.apply(t, shop)
	eventually(t, "site delivered", func() bool { return f.Generation() == r.Generation })
	if f.Snapshot().SiteOf("www.shop.example") == nil {
		t.Error("the delivered configuration lacks the site")
	}

	began := time.Now()
	purged := p.purge(t, "http://www.shop.example/a")
	eventually(t, "purge delivered", func() bool { return f.Revision() == purged.Revision })
	if d := time.Since(began); d > time.Second {
		t.Errorf("the purge took %v, want far less than 1 s", d)
	}
	eventually(t, "reported", func() bool {
		nodes, err := p.api.Nodes(t.Context())
		report := edgeReport(nodes, err)
		return report != nil && report.PurgeRevision == purged.Revision && report.Generation == r.Generation
	})
}

func TestRefused(t *testing.T) {
	p := startPlane(t, t.TempDir())
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	eventually(t, "fleet delivered", func() bool { return f.Generation() == 1 })
	f.setRefuse(errors.New("out of patience"))
	p.apply(t, shop)
	eventually(t, "refusal reported", func() bool {
		nodes, err := p.api.Nodes(t.Context())
		report := edgeReport(nodes, err)
		return report != nil && report.Rejected == 2 && report.RejectedReason == "out of patience"
	})
	if f.Generation() != 1 {
		t.Errorf("generation %d is in force, want the old one, 1", f.Generation())
	}
	f.setRefuse(nil)
	p.apply(t, shop+"    stale_if_error: 1h\n")
	eventually(t, "the next one", func() bool { return f.Generation() == 3 })
}

// Control comes back on the same address with everything that it had
// acknowledged; a node follows on, and needs nobody in between.
func TestRestart(t *testing.T) {
	dir, address := t.TempDir(), freeport.Addr(t)
	fixed := func(cfg *control.Config) { cfg.NATSAddr = address }
	p := startPlane(t, dir, fixed)
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	eventually(t, "caught up", f.CaughtUp)
	p.apply(t, shop)
	p.purge(t, "http://www.shop.example/1")
	eventually(t, "delivered", func() bool { return f.Generation() == 2 && f.Revision() == 1 })
	p.stop()

	p = startPlane(t, dir, fixed)
	st, err := p.api.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Generation != 2 || st.PurgeHead != 1 || st.Sites != 1 {
		t.Errorf("after the restart: generation %d, purge head %d, %d sites; want 2, 1, 1", st.Generation, st.PurgeHead, st.Sites)
	}
	p.purge(t, "http://www.shop.example/2")
	eventually(t, "followed on", func() bool { return f.Revision() == 2 })
	if purges, gaps := f.seen(); gaps != 0 || !slices.Equal(purges, []cdn.Revision{1, 2}) {
		t.Errorf("purges %v and %d gaps, want [1 2] and none", purges, gaps)
	}
}

// A node boots with the control plane dead.
func TestOffline(t *testing.T) {
	p := startPlane(t, t.TempDir())
	dir := t.TempDir()
	f := startFollower(t, p.NATSURL(), "ams-1", dir)
	eventually(t, "fleet delivered", func() bool { return f.Generation() == 1 })
	p.apply(t, shop)
	eventually(t, "delivered", func() bool { return f.Generation() == 2 })
	want := f.Snapshot()
	f.stop()
	p.stop()

	again := newFollower(t, p.NATSURL(), "ams-1", dir)
	if diff := cmp.Diff(want.Sites, again.Snapshot().Sites); diff != "" {
		t.Errorf("the booted configuration differs (-want +got):\n%s", diff)
	}
	if again.CaughtUp() {
		t.Error("caught up without a control plane")
	}
	damage(t, filepath.Join(dir, "snapshot"))
	if got := newFollower(t, p.NATSURL(), "ams-1", dir).Generation(); got != 1 {
		t.Errorf("with the newest file damaged, generation %d is in force, want the one before, 1", got)
	}
	damage(t, filepath.Join(dir, "snapshot.previous"))
	none := newFollower(t, p.NATSURL(), "ams-1", dir)
	if none.Generation() != 0 || len(none.snapshots) != 0 {
		t.Error("a damaged configuration was put into force")
	}
}

func damage(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A node that was away gets every purge that it missed, in order.
func TestReplay(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, shop)
	dir := t.TempDir()
	f := startFollower(t, p.NATSURL(), "ams-1", dir)
	p.purge(t, "http://www.shop.example/1")
	eventually(t, "delivered", func() bool { return f.Revision() == 1 })
	f.stop()
	var want []cdn.Revision
	for range 600 { // more than one batch
		want = append(want, p.purge(t, "http://www.shop.example/more").Revision)
	}
	again := startFollower(t, p.NATSURL(), "ams-1", dir)
	eventually(t, "caught up", again.CaughtUp)
	if purges, gaps := again.seen(); gaps != 0 || !slices.Equal(purges, want) {
		t.Errorf("got %d purges and %d gaps, want %d and none", len(purges), gaps, len(want))
	}
}

// Another log, although with the same numbers, voids the cursor.
func TestGap(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, shop)
	dir := t.TempDir()
	f := startFollower(t, p.NATSURL(), "ams-1", dir)
	p.purge(t, "http://www.shop.example/1")
	eventually(t, "delivered", func() bool { return f.Revision() == 1 })
	f.stop()
	p.stop()

	other := startPlane(t, t.TempDir())
	other.apply(t, shop)
	other.purge(t, "http://www.shop.example/1")
	again := startFollower(t, other.NATSURL(), "ams-1", dir)
	eventually(t, "caught up", again.CaughtUp)
	if purges, gaps := again.seen(); gaps != 1 || len(purges) != 0 || again.Revision() != 1 {
		t.Errorf("got purges %v, %d gaps and revision %d; want none, 1 and 1", purges, gaps, again.Revision())
	}
	again.stop()
	if err := os.WriteFile(filepath.Join(dir, "purge-cursor.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, gaps := newFollower(t, other.NATSURL(), "ams-1", dir).seen(); gaps != 1 {
		t.Errorf("a damaged cursor made %d gaps, want 1", gaps)
	}
}

func TestStranger(t *testing.T) {
	p := startPlane(t, t.TempDir())
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir(), func(cfg *feedclient.Config) { cfg.Secret = "guessed" })
	known := startFollower(t, p.NATSURL(), "fra-1", t.TempDir())
	eventually(t, "the known node", func() bool { return known.Generation() == 1 })
	if f.Generation() != 0 {
		t.Error("a node with a wrong secret got the configuration")
	}
}

func TestTwice(t *testing.T) {
	dir := t.TempDir()
	startPlane(t, dir)
	_, err := control.New(control.Config{
		Dir: dir, APIAddr: "127.0.0.1:0", NATSAddr: "127.0.0.1:0", APIToken: token, NodeSecret: secret,
		Log: testLog(t), Registry: prometheus.NewRegistry(),
	})
	if cdn.KindOf(err) != cdn.Conflict {
		t.Errorf("a second control plane on the same directory: %v, want a conflict", err)
	}
}

func TestTaken(t *testing.T) {
	p := startPlane(t, t.TempDir())
	for name, change := range map[string]option{
		"api":  func(cfg *control.Config) { cfg.APIAddr = p.APIAddr() },
		"nats": func(cfg *control.Config) { cfg.NATSAddr = p.NATSURL()[len("nats://"):] },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := control.Config{
				Dir: t.TempDir(), APIAddr: "127.0.0.1:0", NATSAddr: "127.0.0.1:0", APIToken: token, NodeSecret: secret,
				Log: testLog(t), Registry: prometheus.NewRegistry(),
			}
			change(&cfg)
			if _, err := control.New(cfg); err == nil {
				t.Error("listening on a taken address succeeded")
			}
		})
	}
}

// The same fleet again is no new version; another one is.
func TestFleet(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		fleet *cdn.Fleet
		want  cdn.Generation
	}{
		{fleet(), 1},
		{fleet(), 1},
		{nil, 1},
		{func() *cdn.Fleet { f := fleet(); f.HTTPPort = 8080; return f }(), 2},
	} {
		p := startPlane(t, dir, func(cfg *control.Config) { cfg.Fleet = step.fleet })
		st, err := p.api.Status(t.Context())
		if err != nil || st.Generation != step.want {
			t.Errorf("generation %d (%v), want %d", st.Generation, err, step.want)
		}
		p.stop()
	}
}

func TestExplain(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, shop)
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir(), func(cfg *feedclient.Config) {
		cfg.Explain = func(q cdn.Question) cdn.Explanation {
			return cdn.Explanation{
				Site: "shop", Key: "the node's key", Route: "routes[0]", Decision: "miss",
				Reason: q.Target.String() + " " + strings.Join(q.Header["Accept-Language"], "+"),
			}
		}
	})
	eventually(t, "caught up", f.CaughtUp)
	var got wire.Explanation
	eventually(t, "the node listens", func() (ok bool) {
		var err error
		got, err = p.api.Explain(context.WithoutCancel(t.Context()), "https://WWW.shop.example/static/%7ea", "accept-language: de", "Accept-Language:fr")
		return err == nil && got.Nodes[0].Error == ""
	})
	want := wire.Explanation{
		URL: "https://www.shop.example/static/~a", Site: "shop", Route: "routes[0]",
		Key: "the node's key", CNAME: "www.shop.example.cdn.test",
		Nodes: []wire.NodeExplanation{
			{Node: "ams-1", Explanation: &cdn.Explanation{
				Node: "ams-1", Site: "shop", Key: "the node's key", Route: "routes[0]", Decision: "miss",
				Reason: "https://www.shop.example/static/~a de+fr",
			}},
			{Node: "fra-1", Error: "the node is not connected to the control plane"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("explanation differs (-want +got):\n%s", diff)
	}
}

// edgeReport is the first node's report as a cache, or nil.
func edgeReport(nodes []wire.Node, err error) *wire.Report {
	if err != nil || len(nodes) == 0 {
		return nil
	}
	return nodes[0].Report(cdn.RoleEdge)
}

// A node has what does not change in the same memory, version after version, a refused one and a restart between.
func TestUnchangedSitesAreShared(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, siteText("a")+"---\n"+siteText("b")) // 2
	dir := t.TempDir()
	f := startFollower(t, p.NATSURL(), "ams-1", dir)
	at := func(g cdn.Generation) *cdn.Snapshot {
		eventually(t, "the version is in force", func() bool { return f.Generation() == g })
		return f.Snapshot()
	}
	first := at(2)
	p.apply(t, siteText("c")) // 3
	second := at(3)
	f.setRefuse(errors.New("no"))
	p.apply(t, siteText("d")) // 4
	eventually(t, "it is refused", func() bool {
		nodes, err := p.api.Nodes(t.Context())
		return err == nil && slices.ContainsFunc(nodes, func(n wire.Node) bool {
			r := n.Report(cdn.RoleEdge)
			return r != nil && r.Rejected == 4
		})
	})
	f.setRefuse(nil)
	p.apply(t, siteText("e")) // 5
	third := at(5)
	for _, later := range []*cdn.Snapshot{second, third} {
		for _, name := range []cdn.SiteName{"a", "b"} {
			if &first.Site(name).Domains[0] != &later.Site(name).Domains[0] {
				t.Errorf("generation %d has site %s in other memory", later.Generation, name)
			}
		}
	}
	f.stop()
	f = newFollower(t, p.NATSURL(), "ams-1", dir)
	restarted := f.Snapshot()
	f.stop = run(t, "again", f.Run)
	p.apply(t, siteText("g")) // 6
	if later := at(6); &restarted.Site("a").Domains[0] != &later.Site("a").Domains[0] || len(later.Sites) != 6 {
		t.Errorf("after a restart nothing is shared, or sites are missing: %d", len(later.Sites))
	}
}
