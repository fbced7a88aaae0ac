package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]edge.Config{
		"origin": {Node: "fra-1", Secret: "x"},
		"secret": {Node: "fra-1", Origin: broken{}},
		"memory": {Origin: broken{}, RAM: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := edge.New(cfg); err == nil || s != nil {
				t.Errorf("New made %v, error %v", s, err)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, cfg := range map[string]edge.Config{
		"address": {Addr: taken.Addr().String()},
		"log":     {Addr: "127.0.0.1:0", AccessLog: filepath.Join(t.TempDir(), "none", "access.ndjson")},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Origin = broken{}
			s, err := edge.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "edge: ") {
				t.Errorf("Run ended with %v", err)
			}
		})
	}
}

// TestReady: a node without a configuration says so, and a bad one leaves it as it was.
func TestReady(t *testing.T) {
	r := newRig(t, cacheable)
	s, err := edge.New(edge.Config{Node: "ams-1", Addr: "127.0.0.1:0", Secret: "x", Origin: broken{}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Ready() == nil || s.Addr() != nil {
		t.Error("ready before it runs")
	}
	if err := s.Apply(&cdn.Snapshot{Fleet: r.fleet, Sites: r.sites}); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "listening") {
		t.Errorf("not listening yet, but Ready() = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("Run with an ended context: %v", err)
	}
	running := r.startConfig(t, edge.Config{Addr: "127.0.0.1:0"})
	eventually(t, "listening", func() bool { return running.Addr() != nil })
	if running.Ready() == nil {
		t.Error("ready without a configuration")
	}
	if a := r.get(t, running.Addr().String(), "/a"); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, "configuration") {
		t.Errorf("without a configuration: %s %q", a.Status, a.body)
	}
}

func TestApplyRefuses(t *testing.T) {
	r := newRig(t, cacheable)
	node := r.start(t, "ams-1")
	lost := r.fleet
	lost.POPs = lost.POPs[:1]
	stranger := r.fleet
	stranger.Nodes = []cdn.Node{{Name: "fra-1", POP: "fra", Addresses: []netip.Addr{netip.MustParseAddr("127.9.1.1")}}}
	twice := []cdn.Site{r.sites[0], {Name: "other", Domains: []cdn.Domain{domain}}}
	for name, tt := range map[string]struct {
		snapshot cdn.Snapshot
		kind     cdn.Kind
	}{
		"pop":    {cdn.Snapshot{Fleet: lost, Sites: r.sites}, cdn.NotFound},
		"node":   {cdn.Snapshot{Fleet: stranger, Sites: r.sites}, cdn.NotFound},
		"domain": {cdn.Snapshot{Fleet: r.fleet, Sites: twice}, cdn.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := node.Apply(&tt.snapshot); cdn.KindOf(err) != tt.kind {
				t.Errorf("Apply: %v, want kind %v", err, tt.kind)
			}
			if a := r.get(t, r.addr("ams-1"), "/a"); a.StatusCode != http.StatusOK {
				t.Errorf("the node does not serve its old configuration: %s", a.Status)
			}
		})
	}
	if err := node.ApplyStandalone(new(cdn.Origin)); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("an origin without a URL: %v", err)
	}
}

// TestApplyReplaces: a new configuration rules the next request, and a site that is gone is gone
// although its content is still stored.
func TestApplyReplaces(t *testing.T) {
	r := newRig(t, cacheable)
	node := r.start(t, "ams-1")
	r.get(t, r.addr("ams-1"), "/a")
	if err := node.Apply(&cdn.Snapshot{Generation: 2, Fleet: r.fleet}); err != nil {
		t.Fatal(err)
	}
	if a := r.get(t, r.addr("ams-1"), "/a"); a.StatusCode != http.StatusNotFound {
		t.Errorf("the site is gone, but: %s", a.Status)
	}
}

// TestDrain: a request that is being answered when the node is stopped gets its whole answer,
// and its record is written.
func TestDrain(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "first ")
		http.NewResponseController(w).Flush()
		close(arrived)
		<-release
		io.WriteString(w, "last")
	})
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	name := filepath.Join(t.TempDir(), "access.ndjson")
	s, err := edge.New(edge.Config{Addr: "127.0.0.1:0", Origin: fetcher{transport}, AccessLog: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	addr := s.Addr().String()
	got := make(chan answer, 1)
	go func() { got <- r.get(t, addr, "/a") }()
	<-arrived
	stop()
	eventually(t, "nobody is let in any more", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if a := <-got; a.body != "first last" || a.err != nil {
		t.Errorf("%q, %v", a.body, a.err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run ended with %v", err)
	}
	if log, err := os.ReadFile(name); err != nil || !bytes.Contains(log, []byte(`"bytes":10`)) {
		t.Errorf("access log %q, %v", log, err)
	}
	if s.Ready() == nil {
		t.Error("ready after its end")
	}
}

// TestVisitorOfAStream: the head of a response of unknown length comes at once, and the fetch of
// one that is not stored ends with its visitor.
func TestVisitorOfAStream(t *testing.T) {
	for _, method := range []string{"GET", "OPTIONS"} {
		t.Run(strings.ToLower(method), func(t *testing.T) { visitStream(t, method) })
	}
}

func visitStream(t *testing.T, method string) {
	t.Helper()
	left := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
		close(left)
	})
	_, addr := r.startAlone(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "%s /a HTTP/1.1\r\nHost: %s\r\n\r\n", method, domain)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	c.Close()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the origin still serves a visitor that is gone")
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t, cacheable)
	registry := prometheus.NewRegistry()
	node := r.start(t, "ams-1", func(cfg *edge.Config) { cfg.Registry = registry })
	r.get(t, r.addr("ams-1"), "/a")
	r.get(t, r.addr("ams-1"), "/a")
	r.ask(t, http.MethodGet, r.addr("ams-1"), "nobody.example", "/a")
	node.Purge(cdn.Purge{Revision: 7})
	eventually(t, "three requests are counted", func() bool { return metric(t, registry, "nearcast_edge_requests_total") == 3 })
	got := map[string]float64{}
	for _, name := range []string{
		"upstream_requests_total", "upstream_errors_total", "regional_bypassed_total", "store_refused_total", "store_objects", "store_evictions_total",
		"panics_total", "purge_revision", "configuration_generation", "fills_running", "fill_readers", "access_records_dropped_total",
	} {
		got[name] = metric(t, registry, "nearcast_edge_"+name)
	}
	want := map[string]float64{
		"upstream_requests_total": 1, "upstream_errors_total": -1, "regional_bypassed_total": 0, "store_refused_total": 0, "store_objects": 1,
		"store_evictions_total": 0, "panics_total": 0, "purge_revision": 7, "configuration_generation": 1, "fills_running": 0, "fill_readers": 0,
		"access_records_dropped_total": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if metric(t, registry, "nearcast_edge_bytes_sent_total") < 20 || metric(t, registry, "nearcast_edge_store_bytes") < 10 {
		t.Error("octets are not counted")
	}
}
