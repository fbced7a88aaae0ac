package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"nearcast/internal/testcert"
	"nearcast/loadtest/labtest"
)

// schedulerMetrics are the metrics that a scheduler with all of its parts registers: their labels by name.
func schedulerMetrics(t *testing.T) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("a secret of sixteen and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := testcert.Write(t, "127.0.0.1")
	var f schedulerFlags
	cmd := new(cobra.Command)
	f.register(cmd)
	f.registerFronts(cmd)
	f.registerOthers(cmd)
	if err := cmd.ParseFlags([]string{
		"--node", "core-1", "--dir", dir, "--control", "nats://127.0.0.1:1", "--secret-file", secret, "--log-level", "error",
		"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--cert", cert, "--key", key, "--query-log", filepath.Join(dir, "queries"),
		"--api", "127.0.0.1:0", "--peer", "core-2=http://127.0.0.1:1", "--gossip", "127.0.0.1:0", "--routequality", "http://127.0.0.1:1", "--geo", filepath.Join(dir, "none.mmdb"),
	}); err != nil {
		t.Fatal(err)
	}
	r, err := f.beginScheduler(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := f.config(r)
	if err != nil {
		t.Fatal(err)
	}
	server, parts, err := f.parts(r, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.runAll(ended, "", server.Ready, parts...); err != nil { // so that all is closed
		t.Fatal(err)
	}
	return described(t, r.registry)
}

// described are the labels of what is registered under the program's name.
func described(t *testing.T, registry *prometheus.Registry) map[string][]string {
	t.Helper()
	descs := make(chan *prometheus.Desc, 1000)
	registry.Describe(descs)
	close(descs)
	parts := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", .* constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	all := map[string][]string{}
	for d := range descs {
		found := parts.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s: is not understood", d)
		}
		if !strings.HasPrefix(found[1], "nearcast_") {
			continue
		}
		labels := strings.FieldsFunc(found[3], func(r rune) bool { return r == ',' })
		for _, constant := range strings.FieldsFunc(found[2], func(r rune) bool { return r == ',' }) {
			name, _, _ := strings.Cut(constant, "=")
			labels = append(labels, name)
		}
		slices.Sort(labels)
		all[found[1]] = labels
	}
	return all
}

// TestSchedulerMetricsAreDocumented: docs/OPERATIONS.md has every metric of a scheduler, with its labels, and none beside.
func TestSchedulerMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### Metrics of a scheduler\n")
	section, _, _ = strings.Cut(section, "\n#")
	documented := map[string][]string{}
	for line := range strings.Lines(section) {
		names, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, m := range regexp.MustCompile("`([a-z0-9_]+)(?:\\{([a-z_,]+)\\})?`").FindAllStringSubmatch(names, -1) {
			if !strings.HasPrefix(line, "| `") {
				continue
			}
			labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
			slices.Sort(labels)
			name := m[1]
			if !strings.HasPrefix(name, "nearcast_") {
				name = "nearcast_scheduler_" + name
			}
			documented[name] = labels
		}
	}
	registered := schedulerMetrics(t)
	if len(registered) < 30 {
		t.Errorf("only %d metrics are registered", len(registered))
	}
	for name, labels := range registered {
		if got, ok := documented[name]; !ok || !slices.Equal(got, labels) {
			t.Errorf("%s{%s}: is not in docs/OPERATIONS.md, or with %q", name, strings.Join(labels, ","), got)
		}
	}
	for name := range documented {
		if _, ok := registered[name]; !ok {
			t.Errorf("%s is in docs/OPERATIONS.md, and no scheduler has it", name)
		}
	}
}
