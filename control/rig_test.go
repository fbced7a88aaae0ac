package control_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/apiclient"
	"nearcast/control/feedclient"
	"nearcast/control/wire"
	"nearcast/internal/waitfor"
)

const (
	token  = "the-token"
	secret = "the-secret"
)

// deadline is far beyond anything that is expected; a test that reaches it fails.
const deadline = 20 * time.Second

func fleet() *cdn.Fleet {
	return &cdn.Fleet{
		Zone: "cdn.test",
		POPs: []cdn.POP{
			{Name: "ams", Region: "eu", Tier: cdn.TierEdge, Location: cdn.Location{Latitude: 52, Longitude: 5}},
			{Name: "fra", Region: "eu", Tier: cdn.TierRegional, Location: cdn.Location{Latitude: 50, Longitude: 9}},
		},
		Nodes: []cdn.Node{
			{Name: "ams-1", POP: "ams", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.2")}, Roles: []cdn.Role{cdn.RoleEdge}},
			{Name: "fra-1", POP: "fra", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.3")}, Roles: []cdn.Role{cdn.RoleEdge}},
		},
	}
}

// plane is a running control plane that a test can stop before its end.
type plane struct {
	*control.Server
	api  *apiclient.Client
	stop func() // stops and waits; may be called twice
}

type option func(*control.Config)

func startPlane(t *testing.T, dir string, options ...option) *plane {
	t.Helper()
	cfg := control.Config{
		Dir: dir, APIAddr: "127.0.0.1:0", NATSAddr: "127.0.0.1:0", APIToken: token, NodeSecret: secret,
		Fleet: fleet(), Log: testLog(t), Registry: prometheus.NewRegistry(), Version: "test",
	}
	for _, o := range options {
		o(&cfg)
	}
	srv, err := control.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{Server: srv, api: apiclient.New(srv.APIURL(), token)}
	p.stop = run(t, "control plane", srv.Run)
	t.Cleanup(p.api.Close)
	eventually(t, "ready", func() bool { return srv.Ready() == nil })
	return p
}

// run runs a Run method until the returned func is called or the test ends.
func run(t *testing.T, what string, method func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- method(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(deadline):
			t.Errorf("%s did not stop", what)
		}
	})
	t.Cleanup(stop)
	return stop
}

// follower is a node's feed client and what it was told.
type follower struct {
	*feedclient.Client
	stop func()

	mu        sync.Mutex // guards the following
	snapshots []*cdn.Snapshot
	purges    []cdn.Revision
	gaps      int
	refuse    error // what OnSnapshot returns
}

func newFollower(t *testing.T, url string, node cdn.NodeName, dir string, options ...func(*feedclient.Config)) *follower {
	t.Helper()
	f := &follower{}
	cfg := feedclient.Config{
		URL: url, Secret: secret, Node: node, Role: cdn.RoleEdge, Version: "test", Dir: dir,
		Log: testLog(t), Registry: prometheus.NewRegistry(),
		OnSnapshot: func(s *cdn.Snapshot) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.refuse == nil {
				f.snapshots = append(f.snapshots, s)
			}
			return f.refuse
		},
		OnPurge: func(p cdn.Purge) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.purges = append(f.purges, p.Revision)
		},
		OnPurgeGap: func(cdn.Revision) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.gaps++
		},
	}
	for _, o := range options {
		o(&cfg)
	}
	c, err := feedclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Client = c
	return f
}

func startFollower(t *testing.T, url string, node cdn.NodeName, dir string, options ...func(*feedclient.Config)) *follower {
	t.Helper()
	f := newFollower(t, url, node, dir, options...)
	f.stop = run(t, string(node), f.Run)
	return f
}

func (f *follower) seen() (purges []cdn.Revision, gaps int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]cdn.Revision(nil), f.purges...), f.gaps
}

func (f *follower) setRefuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = err
}

// eventually polls another process-like thing until it is as it should be.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waitfor.That(t, deadline, what, ok)
}

func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

const shop = `
site: shop
domains: [www.shop.example]
origin:
  urls: ["http://127.0.0.1:9000"]
routes:
  - match: {path_prefix: /static/}
    ttl: 7d
`

func (p *plane) apply(t *testing.T, content string) wire.ApplyResult {
	t.Helper()
	r, err := p.api.Apply(t.Context(), wire.ApplyRequest{Files: []wire.File{{Name: "site.yaml", Content: content}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p *plane) purge(t *testing.T, urls ...string) wire.PurgeResult {
	t.Helper()
	r, err := p.api.Purge(t.Context(), wire.PurgeRequest{URLs: urls})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
