package edge_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// genuineHop lets an edge node ask a stand-in for its regional node, and returns the proof
// that it sent with a request for path.
func genuineHop(t *testing.T, r *rig, path string) string {
	t.Helper()
	hops := make(chan string, 1)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", r.addr("ams-1"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { hops <- req.Header.Get("Nearcast-Hop") })}
	var served sync.WaitGroup
	served.Go(func() { srv.Serve(l) })
	r.start(t, "fra-1", func(cfg *edge.Config) { cfg.Usable = func(n cdn.NodeName) bool { return n == "ams-1" } })
	r.get(t, r.addr("fra-1"), path)
	srv.Close()
	served.Wait()
	return <-hops
}

// TestStolenHop: the proof of one request is worth nothing for another, nor later;
// with it a stranger could name itself as somebody else and see Nearcast-Error.
func TestStolenHop(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, req.Header.Get("X-Forwarded-Proto")+" "+req.Header.Get("X-Forwarded-For")+req.Header.Get("Nearcast-Hop"))
	})
	hop := genuineHop(t, r, "/a")
	if parts := strings.Split(hop, " "); len(parts) != 6 || parts[0] != "fra-1" || parts[2] != "0" || parts[3] != "http" || parts[4] != "-" {
		t.Fatalf("hop %q", hop)
	}
	r.start(t, "ams-1")
	for _, tt := range []struct {
		name, path, client, hop string
		advance                 time.Duration
		trusted                 bool
	}{
		{"genuine", "/a", "127.0.0.1", hop, 0, true},
		{"retargeted", "/b", "127.0.0.1", hop, 0, false},
		{"visitor", "/a", "6.6.6.6", hop, 0, false},
		{"scheme", "/a", "127.0.0.1", strings.Replace(hop, " http ", " https ", 1), 0, false},
		{"node", "/a", "127.0.0.1", strings.Replace(hop, "fra-1", "fra-2", 1), 0, false},
		{"revision", "/a", "127.0.0.1", strings.Replace(hop, " 0 http", " 9 http", 1), 0, false},
		{"country", "/a", "127.0.0.1", strings.Replace(hop, "http - ", "http FR ", 1), 0, false},
		{"expired", "/a", "127.0.0.1", hop, 62 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.clock.advance(tt.advance)
			// From another address than the edge node's: whoever is believed may name the visitor.
			a := r.getFrom(t, "127.9.9.9", r.addr("ams-1"), tt.path, "Nearcast-Hop", tt.hop, "X-Forwarded-For", tt.client)
			want := "http 127.9.9.9"
			if tt.trusted {
				want = "http " + tt.client
			}
			if a.body != want {
				t.Errorf("the origin saw %q, want %q", a.body, want)
			}
		})
	}
}

// getFrom is get from another address of this machine.
func (r *rig) getFrom(t *testing.T, from, addr, path string, fields ...string) answer {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	other := &rig{client: &http.Client{Transport: transport}}
	return other.get(t, addr, path, fields...)
}

// TestForgedRevision: a stranger cannot make a node bypass its cache by a purge from
// the future.
func TestForgedRevision(t *testing.T) {
	r := newRig(t, cacheable)
	r.start(t, "ams-1")
	r.get(t, r.addr("ams-1"), "/a")
	if a := r.get(t, r.addr("ams-1"), "/a", "Nearcast-Hop", "fra-1 1 99 http 00"); a.word() != "HIT" {
		t.Errorf("%s", a.status())
	}
}

// TestNextParent: a body that a dead node never took goes to the next one whole, and the origin
// is the last resort.
func TestNextParent(t *testing.T) {
	for name, alive := range map[string][]string{"one": {"ams-1"}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) { io.Copy(w, req.Body) })
			for _, node := range alive {
				r.start(t, node)
			}
			registry := prometheus.NewRegistry()
			r.start(t, "fra-1", func(cfg *edge.Config) { cfg.Registry = registry })
			for _, path := range []string{"/1", "/2", "/3", "/4", "/5", "/6"} { // homes at both nodes
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr("fra-1")+path, strings.NewReader("a body"))
				if err != nil {
					t.Fatal(err)
				}
				req.Host = domain
				resp, err := r.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				status := strings.Join(resp.Header.Values("Cache-Status"), ", ")
				if string(body) != "a body" || err != nil || strings.Contains(status, "ams-1") != (alive != nil) {
					t.Errorf("%s: %q %v, %s", path, body, err, status)
				}
			}
			if n := metric(t, registry, "nearcast_edge_regional_bypassed_total"); (n == 6) != (alive == nil) {
				t.Errorf("counted %v requests past the regional nodes", n)
			}
		})
	}
}

// TestAllUnusableMeansAll: health checks must not take down the last capacity.
func TestAllUnusableMeansAll(t *testing.T) {
	r := newRig(t, cacheable)
	r.chain(t, func(cfg *edge.Config) { cfg.Usable = func(cdn.NodeName) bool { return false } })
	if a := r.get(t, r.addr("fra-1"), "/a"); !strings.HasPrefix(a.status(), "ams-") {
		t.Errorf("the origin was asked: %s", a.status())
	}
}
