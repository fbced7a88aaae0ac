package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// shadowRatio returns what the shadow of a policy has of the requests and octets; -1 if there is no such shadow.
func shadowRatio(t *testing.T, registry *prometheus.Registry, policy, ram string) (objects, octets float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	objects, octets = -1, -1
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["policy"] != policy || labels["ram"] != ram {
				continue
			}
			switch f.GetName() {
			case "nearcast_edge_shadow_hit_ratio":
				objects = m.GetGauge().GetValue()
			case "nearcast_edge_shadow_byte_hit_ratio":
				octets = m.GetGauge().GetValue()
			}
		}
	}
	return objects, octets
}

// TestShadows: what visitors ask for and may be stored is what the shadows count: a miss when it comes, a hit for whoever asks again, for all of
// it, a part or the head. What may not be stored is nothing to them.
func TestShadows(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", map[bool]string{true: "no-store", false: "max-age=60"}[r.URL.Path == "/private"])
		io.WriteString(w, strings.Repeat("x", 1000))
	})
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.Registry = registry })
	want := func(objects, octets string) {
		t.Helper()
		for _, shadow := range [][2]string{{"live", "1"}, {"live", "8"}, {"lru", "1"}, {"sieve", "1"}, {"s3-fifo", "1"}, {"w-tinylfu", "1"}} {
			gotObjects, gotOctets := shadowRatio(t, registry, shadow[0], shadow[1])
			if shadow[1] == "8" { // it sees a part of the keys only
				if gotObjects < 0 || gotObjects > 1 || gotOctets < 0 || gotOctets > 1 {
					t.Errorf("%q: %v of requests and %v of octets", shadow, gotObjects, gotOctets)
				}
				continue
			}
			if o, b := fmt.Sprintf("%.3f", gotObjects), fmt.Sprintf("%.3f", gotOctets); o != objects || b != octets {
				t.Errorf("%q: %s of requests and %s of octets, want %s and %s", shadow, o, b, objects, octets)
			}
		}
	}
	want("0.000", "0.000")
	r.get(t, addr, "/private")
	r.get(t, addr, "/private")
	r.get(t, addr, "/a")
	want("0.000", "0.000")
	r.get(t, addr, "/a")
	want("0.500", "0.500")
	r.ask(t, http.MethodHead, addr, domain, "/a")
	r.get(t, addr, "/a", "Range", "bytes=0-9")
	want("0.750", "0.750")
	if got := metric(t, registry, "nearcast_edge_ram_largest_body_bytes"); got != -1 {
		t.Errorf("without a disk bodies of %v octets at most stay in RAM", got)
	}
}

// TestLargestBodyIsTold: on a node with a disk.
func TestLargestBodyIsTold(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t, func(cfg *edge.Config) {
		cfg.Registry, cfg.Dir, cfg.Disks = registry, t.TempDir(), []cdn.Disk{{Size: 64 << 20}}
	})
	r.get(t, addr, "/a")
	r.get(t, addr, "/a")
	if got := metric(t, registry, "nearcast_edge_ram_largest_body_bytes"); got != 1<<20 {
		t.Errorf("bodies of %v octets at most stay in RAM, want 1 MiB at first", got)
	}
	if objects, _ := shadowRatio(t, registry, "live-to-64KiB", "1"); objects != 0.5 {
		t.Errorf("the shadow with a cut has %v of the requests", objects)
	}
}
