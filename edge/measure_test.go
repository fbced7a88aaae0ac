package edge_test

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// TestNodeLoad: what a node says of itself is what it does.
func TestNodeLoad(t *testing.T) {
	r := neighbourhood(t)
	r.fleet.Nodes[0].Capacity.EgressMbps = 100
	fra := r.start(t, "fra-1", func(cfg *edge.Config) { cfg.Limits.Connections = 10 })
	addr := r.addr("fra-1")
	r.get(t, addr, "/big")
	r.get(t, addr, "/small")
	r.clock.stop()
	fra.Measure()
	r.clock.advance(20 * time.Second) // all of that is forgotten
	fra.Measure()
	r.get(t, addr, "/big")
	for range 8 {
		r.get(t, addr, "/small")
	}
	r.ask(t, http.MethodGet, addr, "unknown.example", "/") // the visitor's fault
	r.clock.advance(time.Second)
	fra.Measure()
	l := fra.Load()
	const settled = 0.632 // of what has been there for a second
	near := func(a, b float64) bool { return math.Abs(a-b) < 0.02*b+1e-9 }
	if octets := float64(2<<20 + 8*100); l.Octets < settled*octets || l.Octets > 1.1*settled*octets || !near(l.Egress, l.Octets*8/100e6) {
		t.Errorf("%+v", l)
	}
	if l.Memory <= 0 || l.Memory > 1000 || l.Connections <= 0 || l.Connections > 1 || l.Requests <= 5 || l.HitRatio < 0.6 || l.HitRatio >= 1 || l.Errors != 0 {
		t.Errorf("%+v", l)
	}
}

// TestVisitorsOnLoopback: what the kernel says of real connections, in cleartext and with TLS, is sane.
func TestVisitorsOnLoopback(t *testing.T) {
	r := neighbourhood(t)
	fra := r.start(t, "fra-1", withTLS(t, domain))
	for proto, v := range r.visitors(t, fra) {
		t.Run(proto, func(t *testing.T) {
			v.get(t, http.MethodGet, domain, "/small")
			fra.Visitors()
			for range 3 {
				v.get(t, http.MethodGet, domain, "/small")
			}
			v.get(t, http.MethodGet, domain, "/big")
			r.clock.advance(11 * time.Second) // the connection lasts, and tells with its next request
			v.get(t, http.MethodGet, domain, "/small")
			v.client.CloseIdleConnections() // the rest it tells at its end
			var sum cdn.VisitorSample
			var sites []cdn.SiteRate
			eventually(t, "told", func() bool {
				b := fra.Visitors()
				for _, s := range b.Samples {
					sum.Network, sum.RTTs = s.Network, append(sum.RTTs, s.RTTs...)
					sum.Packets, sum.Lost, sum.Requests, sum.Failed, sum.Octets = sum.Packets+s.Packets, sum.Lost+s.Lost, sum.Requests+s.Requests, sum.Failed+s.Failed, sum.Octets+s.Octets
				}
				sites = append(sites, b.Sites...)
				return sum.Requests >= 6 // with the first
			})
			if want := uint64(5*100 + 2<<20); sum.Network.String() != "127.0.0.0/24" || sum.Failed != 0 || sum.Octets != want || sum.Packets == 0 {
				t.Errorf("%+v, want %d octets", sum, want)
			}
			for _, ms := range sum.RTTs {
				if ms <= 0 || ms > 1000 {
					t.Errorf("a round trip of %v ms", ms)
				}
			}
			if len(sum.RTTs) == 0 || len(sites) == 0 || sites[0].Site != "shop" {
				t.Errorf("%+v, %+v", sum, sites)
			}
		})
	}
}

// Nodes are no visitors of each other.
func TestNodesAreNoVisitors(t *testing.T) {
	r := newRig(t, cacheable)
	fra, ams := r.start(t, "fra-1"), r.start(t, "ams-1")
	r.start(t, "ams-2")
	for i := range 20 {
		r.get(t, r.addr("fra-1"), "/"+strconv.Itoa(i))
	}
	r.clock.advance(11 * time.Second)
	for i := range 20 {
		r.get(t, r.addr("fra-1"), "/later"+strconv.Itoa(i))
	}
	if b := fra.Visitors(); len(b.Samples) != 1 || b.Samples[0].Requests == 0 {
		t.Errorf("the edge node has seen %+v", b)
	}
	if b := ams.Visitors(); len(b.Samples)+len(b.Sites) != 0 {
		t.Errorf("the regional node has seen %+v", b)
	}
}

// What is sent is counted while it is, and not when a slow visitor has it all.
func TestCountsAsItGoes(t *testing.T) {
	const size = 32 << 20
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(make([]byte, size))
	})
	registry := prometheus.NewRegistry()
	r.start(t, "fra-1", func(cfg *edge.Config) { cfg.RAM, cfg.Registry = 8*size, registry })
	sum := func(name string) (total float64) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "nearcast_edge_"+name {
					total += m.GetCounter().GetValue()
				}
			}
		}
		return total
	}
	if a := r.get(t, r.addr("fra-1"), "/huge"); len(a.body) != size {
		t.Fatalf("%d octets", len(a.body))
	}
	eventually(t, "counted", func() bool { return sum("requests_total") == 1 })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr("fra-1")+"/huge", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = domain
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("X-Cache") != "HIT" {
		t.Fatal(resp.Header)
	}
	eventually(t, "some of it counted", func() bool { return sum("bytes_sent_total") > size+100_000 })
	if n, sent := sum("requests_total"), sum("bytes_sent_total"); n != 1 || sent >= 2*size {
		t.Errorf("%v requests, %v octets, while the second is under way", n, sent)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
	eventually(t, "all counted", func() bool { return sum("requests_total") == 2 && sum("bytes_sent_total") == 2*size })
}
