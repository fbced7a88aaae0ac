package edge_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/edge"
)

// TestOperatorsAreTold: docs/OPERATIONS.md has every metric and every field of the access log.
func TestOperatorsAreTold(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	registry, log := prometheus.NewRegistry(), filepath.Join(t.TempDir(), "access.ndjson")
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t, withTLS(t), func(cfg *edge.Config) { cfg.Registry, cfg.AccessLog = registry, log })

	metrics := make(chan *prometheus.Desc)
	go func() {
		defer close(metrics)
		registry.Describe(metrics)
	}()
	name, described := regexp.MustCompile(`fqName: "nearcast_edge_([a-z_]+)"`), 0
	for m := range metrics {
		found := name.FindStringSubmatch(m.String())
		if found == nil {
			t.Fatalf("what is %s?", m)
		}
		described++
		if !regexp.MustCompile("`" + found[1] + "[`{]").Match(document) {
			t.Errorf("the metric %s is not there", found[1])
		}
	}
	if described < 20 {
		t.Errorf("%d metrics found, want at least 20", described)
	}

	raw(t, addr, "GET / HTTP/1.1\n\n") // refused: line feeds without CR
	accessLog(t, log, 1)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	line := make(map[string]any)
	if err := json.Unmarshal(text, &line); err != nil || line["rejected"] == nil {
		t.Fatalf("%v, and in the access log is %s", err, text)
	}
	for field := range line {
		if !strings.Contains(string(document), "`"+field+"`") {
			t.Errorf("the field %s of the access log is not there", field)
		}
	}
}
