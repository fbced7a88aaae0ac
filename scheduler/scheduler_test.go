package scheduler_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snapshot has one POP of three nodes.
func snapshot(generation cdn.Generation) *cdn.Snapshot {
	s := &cdn.Snapshot{Generation: generation, Sites: []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"www.shop.example"}}}}
	s.Fleet.Zone = "cdn.test"
	s.Fleet.POPs = []cdn.POP{{Name: "p1", Tier: cdn.TierEdge}}
	for i, name := range []cdn.NodeName{"e1", "e2", "e3"} {
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{
			Name: name, POP: "p1", Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
		})
	}
	return s
}

func down(version uint64, nodes ...cdn.NodeName) *cdn.RouteTable {
	t := &cdn.RouteTable{Epoch: "e", Version: version}
	for _, n := range nodes {
		t.Nodes = append(t.Nodes, cdn.NodeHealth{Node: n, State: cdn.StateDown})
	}
	return t
}

func config(log *slog.Logger) scheduler.Config {
	return scheduler.Config{Node: "s1", DNSAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Log: log, Registry: prometheus.NewRegistry()}
}

// start runs a scheduler until the test ends.
func start(t *testing.T, cfg scheduler.Config) *scheduler.Server {
	t.Helper()
	s, err := scheduler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// resolve returns the code and the addresses of the site.
func resolve(t *testing.T, s *scheduler.Server) (rcode int, addrs map[string]bool) {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion("www.shop.example.cdn.test.", dns.TypeA)
	r, err := dns.Exchange(q, s.DNSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	addrs = make(map[string]bool)
	for _, rr := range r.Answer {
		addrs[rr.(*dns.A).A.String()] = true //nolint:forcetypeassert // the test may panic
	}
	return r.Rcode, addrs
}

// A node that the table says is down is not in an answer from then on.
func TestHealth(t *testing.T) {
	cfg := config(slog.New(slog.DiscardHandler))
	s := start(t, cfg)
	s.ApplyTable(nil) // nothing
	if rcode, _ := resolve(t, s); rcode != dns.RcodeServerFailure || s.Ready() == nil {
		t.Errorf("before any configuration: code %d, ready %v", rcode, s.Ready())
	}
	s.ApplyTable(down(1, "e2")) // a table may come before the configuration
	if err := s.Apply(snapshot(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("not ready with a configuration: %v", err)
	}
	for _, step := range []struct {
		name  string
		table *cdn.RouteTable
		want  map[string]bool
	}{
		{"early", nil, map[string]bool{"192.0.2.1": true, "192.0.2.3": true}},
		{"moved", down(2, "e1"), map[string]bool{"192.0.2.2": true, "192.0.2.3": true}},
		{"again", down(2, "e1"), map[string]bool{"192.0.2.2": true, "192.0.2.3": true}},
	} {
		s.ApplyTable(step.table)
		if _, got := resolve(t, s); !cmp.Equal(step.want, got) {
			t.Errorf("%s: addresses %v, want %v", step.name, got, step.want)
		}
	}
	s.ApplyTable(down(3, "e1", "e2")) // two of three: not believed
	if err := testutil.GatherAndCompare(cfg.Registry, strings.NewReader(`
# HELP nearcast_scheduler_health_ignored 1 while more than half of the edge nodes look unusable and all are used, else 0.
# TYPE nearcast_scheduler_health_ignored gauge
nearcast_scheduler_health_ignored 1
# HELP nearcast_scheduler_map_generation Generation of the configuration that is answered from.
# TYPE nearcast_scheduler_map_generation gauge
nearcast_scheduler_map_generation 1
# HELP nearcast_scheduler_usable_nodes Edge nodes that visitors are sent to.
# TYPE nearcast_scheduler_usable_nodes gauge
nearcast_scheduler_usable_nodes 3
`), "nearcast_scheduler_health_ignored", "nearcast_scheduler_map_generation", "nearcast_scheduler_usable_nodes"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(cfg.Registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// A configuration that cannot be answered from changes nothing.
func TestRejected(t *testing.T) {
	s := start(t, config(slog.New(slog.DiscardHandler)))
	if err := s.Apply(snapshot(1)); err != nil {
		t.Fatal(err)
	}
	bad := snapshot(2)
	bad.Fleet.Zone = "not a zone"
	if err := s.Apply(bad); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("error %v, want one of kind invalid", err)
	}
	if rcode, addrs := resolve(t, s); rcode != dns.RcodeSuccess || len(addrs) != 2 {
		t.Errorf("after a bad configuration: code %d, addresses %v", rcode, addrs)
	}
}

// Both fronts answer from the same view, and the second is optional.
func TestFronts(t *testing.T) {
	s := start(t, config(slog.New(slog.DiscardHandler)))
	if err := s.Apply(snapshot(1)); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTPAddr().String()+"/a", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.Close = "www.shop.example", true
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusFound || !strings.HasSuffix(got, ".www.shop.example.cdn.test/a") {
		t.Errorf("status %d, Location %q", resp.StatusCode, got)
	}
	cfg := config(slog.New(slog.DiscardHandler))
	cfg.HTTPAddr = ""
	if alone := start(t, cfg); alone.HTTPAddr() != nil {
		t.Errorf("a front that nobody wants listens on %v", alone.HTTPAddr())
	}
}

// A port that is taken shows at once, and leaves nothing open.
func TestTaken(t *testing.T) {
	s := start(t, config(slog.New(slog.DiscardHandler)))
	for _, change := range []func(*scheduler.Config){
		func(c *scheduler.Config) { c.DNSAddr = s.DNSAddr().String() },
		func(c *scheduler.Config) { c.HTTPAddr = s.HTTPAddr().String() },
	} {
		cfg := config(slog.New(slog.DiscardHandler))
		change(&cfg)
		if _, err := scheduler.New(cfg); err == nil {
			t.Error("two schedulers on one port")
		}
	}
}

// output is a log's text.
type output struct {
	mu  sync.Mutex // guards the following
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) has(s string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Contains(o.buf.String(), s)
}

// A table that is confirmed stays believed; of one that is not, loads are believed for a minute and states for a quarter of an hour,
// and it comes back into force with its next confirmation.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log output
		cfg := config(slog.New(slog.NewTextHandler(&log, nil)))
		s, err := scheduler.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.CloseSockets()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.WatchTableAge(ctx) })
		if err := s.Apply(snapshot(1)); err != nil {
			t.Fatal(err)
		}
		const stale = "the route table is too old; taking every node for healthy"
		for range 3 {
			s.ApplyTable(down(1, "e1"))
			<-time.After(50 * time.Second) // of the bubble's clock
			synctest.Wait()
			if s.Usable() != 2 || log.has(stale) {
				t.Errorf("%d usable nodes with a table confirmed 50 s ago, want 2", s.Usable())
			}
		}
		<-time.After(12 * time.Second)
		synctest.Wait()
		if !log.has("its loads are no longer believed") || s.Usable() != 2 {
			t.Errorf("%d usable nodes with a table confirmed 62 s ago, want 2, and a word of its loads", s.Usable())
		}
		<-time.After(14 * time.Minute)
		synctest.Wait()
		if s.Usable() != 3 || !log.has(stale) {
			t.Errorf("%d usable nodes with a table confirmed 15 min ago, want 3", s.Usable())
		}
		s.ApplyTable(down(1, "e1"))
		if s.Usable() != 2 {
			t.Errorf("%d usable nodes with the table confirmed again, want 2", s.Usable())
		}
		cancel()
		wg.Wait()
	})
}
