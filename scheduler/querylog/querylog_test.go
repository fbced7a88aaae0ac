package querylog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/scheduler/querylog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a log, its file, its metrics, and what it says to the operator.
type rig struct {
	*querylog.Log

	path string
	reg  *prometheus.Registry
	said bytes.Buffer
}

func open(t *testing.T, path string, every int) *rig {
	t.Helper()
	return openSized(t, path, every, 0)
}

func openSized(t *testing.T, path string, every int, size cdn.Size) *rig {
	t.Helper()
	r := &rig{path: path, reg: prometheus.NewRegistry()}
	var err error
	r.Log, err = querylog.Open(querylog.Config{Path: path, Every: every, Size: size, Log: slog.New(slog.NewTextHandler(&r.said, nil)), Registry: r.reg})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// end lets the log write what waits, and close.
func (r *rig) end(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	close(ended)
	r.until(t, ended)
}

// until lets the log write until it is stopped.
func (r *rig) until(t *testing.T, stop <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stopped sync.WaitGroup
	stopped.Go(func() {
		<-stop
		cancel()
	})
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
	stopped.Wait()
}

func (r *rig) count(t *testing.T, name string) float64 {
	t.Helper()
	all, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "nearcast_scheduler_query_log_"+name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func (r *rig) lines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// A line is an object that says what the entry does, and no more; what was in the file stays.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.ndjson")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, path, 1)
	steered := querylog.Entry{
		At: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), Front: "udp", Peer: netip.MustParseAddr("192.0.2.53"), Client: "10.1.2.0/24", Name: "d1.cdn.test.", Type: "A",
		Code: "NOERROR", POP: "p1", Reason: "map", Scope: 24, Octets: 77, Micros: 3,
	}
	r.Add(steered)
	r.Add(querylog.Entry{Name: "\"\n"})
	r.end(t)
	lines := r.lines(t)
	if len(lines) != 3 || lines[0] != "before" {
		t.Fatalf("%q", lines)
	}
	var got querylog.Entry
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steered, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(lines[2], "pop") || strings.Contains(lines[2], "client") {
		t.Errorf("%s tells what nobody has said", lines[2])
	}
	if n := r.count(t, "lines_total"); n != 2 {
		t.Errorf("%g lines counted", n)
	}
	if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// One in so many is exactly that, and a log that is not there has none.
func TestSampled(t *testing.T) {
	for _, every := range []int{1, 3, 100} {
		r := open(t, filepath.Join(t.TempDir(), "queries"), every)
		n := 0
		for i := range 10 * every {
			if r.Sampled() {
				n++
			}
			if want := (i + 1) / every; n != want {
				t.Fatalf("one in %d: %d of the first %d", every, n, i+1)
			}
		}
		r.end(t)
	}
	if (*querylog.Log)(nil).Sampled() {
		t.Error("a log that is not there takes a question")
	}
}

// When nobody writes, as many wait as there is room for; the others are counted. The end writes all that waits.
func TestFull(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "queries"), 1)
	const waiting, more = 4096, 10
	for range waiting + more {
		r.Add(querylog.Entry{Name: "d1."})
	}
	if n := r.count(t, "dropped_total"); n != more {
		t.Errorf("%g dropped, want %d", n, more)
	}
	r.end(t)
	if n := len(r.lines(t)); n != waiting {
		t.Errorf("%d lines, want %d", n, waiting)
	}
}

// Lines are written as they come, not at the end only.
func TestRun(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "queries"), 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.Add(querylog.Entry{Name: "d1."})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.count(t, "lines_total") < 1 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("nothing is written")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A file that cannot be written loses lines, which are counted; that is said once.
func TestUnwritable(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	r := open(t, "/dev/full", 1)
	for range 3 {
		r.Add(querylog.Entry{Name: "d1."})
	}
	r.end(t)
	if n := r.count(t, "dropped_total"); n != 3 {
		t.Errorf("%g dropped, want 3", n)
	}
	if n := strings.Count(r.said.String(), "cannot be written"); n != 1 {
		t.Errorf("said %d times: %s", n, r.said.String())
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		path  string
		every int
		size  cdn.Size
		want  string
	}{
		{filepath.Join(t.TempDir(), "queries"), 0, 0, "one in 1 or more"},
		{filepath.Join(t.TempDir(), "queries"), 1, 4095, "may have 4095 octets; want 4096 or more, or 0 for no bound"},
		{filepath.Join(t.TempDir(), "queries"), 1, -1, "may have -1 octets"},
		{filepath.Join(t.TempDir(), "missing", "queries"), 1, 0, "missing"},
	} {
		_, err := querylog.Open(querylog.Config{Path: test.path, Every: test.every, Size: test.size, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
