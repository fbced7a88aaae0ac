package edge_test

import (
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/edge"
)

// Whoever watches the POP gets an answer from any node, and is no visitor: no record, no request counted.
func TestProbed(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	reg := prometheus.NewRegistry()
	r.start(t, "fra-1", func(c *edge.Config) { c.Registry = reg })
	a := r.ask(t, http.MethodGet, r.addr("fra-1"), cdn.ProbeHost, "/")
	if a.StatusCode != http.StatusNoContent {
		t.Errorf("a probe is answered %s, want 204", a.Status)
	}
	r.get(t, r.addr("fra-1"), "/x")
	expected := func(name string, want int) {
		t.Helper()
		n := 0.0
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == name {
				for _, m := range f.GetMetric() {
					n += m.GetCounter().GetValue()
				}
			}
		}
		if int(n) != want {
			t.Errorf("%s is %v, want %d", name, n, want)
		}
	}
	expected("nearcast_edge_probes_answered_total", 1)
	expected("nearcast_edge_requests_total", 1)
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}
