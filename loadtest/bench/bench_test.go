package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/internal/outside"
	"nearcast/loadtest/labtest"
)

// TestMain lets the test's program be a load generator, as the program itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == clientCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseWrk(t *testing.T) {
	for name, want := range map[string]load{
		"wrk.txt":        {done: 79309, rate: 79038.85, p50: 671 * time.Microsecond, p99: 1380 * time.Microsecond},
		"wrk-errors.txt": {done: 100, bad: 50, rate: 100, p50: 1200 * time.Millisecond, p99: 1900 * time.Millisecond},
	} {
		got, err := parseWrk(testdata(t, name))
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	if _, err := parseWrk("unable to connect"); err == nil {
		t.Error("no error for no output")
	}
}

func TestParseH2load(t *testing.T) {
	got, err := parseH2load(testdata(t, "h2load.txt"))
	if want := (load{done: 19750, bad: 250, rate: 124650.68}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseH2load("finished in 1s"); err == nil {
		t.Error("no error for no output")
	}
}

func TestParseH2log(t *testing.T) {
	var log strings.Builder
	for i := 100; i > 0; i-- {
		fmt.Fprintf(&log, "1795636648656008\t200\t%d\n", i)
	}
	p50, p99, err := parseH2log(strings.NewReader(log.String()))
	if err != nil || p50 != 50*time.Microsecond || p99 != 99*time.Microsecond {
		t.Errorf("got %s, %s, %v", p50, p99, err)
	}
	for _, bad := range []string{"1\t2\n", "1\t200\tx\n"} {
		if _, _, err := parseH2log(strings.NewReader(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
	if p50, _, err := parseH2log(strings.NewReader("")); p50 != 0 || err != nil {
		t.Errorf("of nothing: %s, %v", p50, err)
	}
}

func FuzzParseTools(f *testing.F) {
	for _, name := range []string{"wrk.txt", "wrk-errors.txt", "h2load.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(_ *testing.T, text string) {
		parseWrk(text)
		parseH2load(text)
		parseH2log(strings.NewReader(text))
	})
}

func TestSetRecords(t *testing.T) {
	got := setRecords("CONFIG proxy.config.a INT 1\nCONFIG proxy.config.a.b INT 1\n", map[string]string{"a": "INT 2", "c": "STRING $1"})
	if want := "CONFIG proxy.config.a INT 2\nCONFIG proxy.config.a.b INT 1\nCONFIG proxy.config.c STRING $1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("of %v: got %v, want %v", tt.values, got, tt.want)
		}
	}
}

func results(pairs ...any) []result {
	var list []result
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, result{Server: pairs[i].(string), Value: pairs[i+1].(float64)})
	}
	return list
}

func TestVerdict(t *testing.T) {
	ahead, nginx := limit{Ratio: 1, Of: bestPeer}, limit{Ratio: 1.5, Of: theNginx}
	for _, tt := range []struct {
		name string
		row  row
		want verdict
	}{
		{"ahead", row{Limit: ahead, Results: results("nearcast", 9., "nginx", 12., "haproxy", 10.)}, verdict{ours: 9, best: "haproxy", bestIs: 10, ratio: .9, asked: true, holds: true, measured: true}},
		{"behind", row{Limit: ahead, Results: results("nearcast", 15., "nginx", 12., "haproxy", 10.)}, verdict{ours: 15, best: "haproxy", bestIs: 10, ratio: 1.5, asked: true, measured: true}},
		{"beside nginx", row{Limit: nginx, Results: results("nearcast", 15., "nginx", 12., "haproxy", 5.)}, verdict{ours: 15, best: "haproxy", bestIs: 5, ratio: 1.25, asked: true, holds: true, measured: true}},
		{"no nginx", row{Limit: nginx, Results: results("nearcast", 15., "haproxy", 5.)}, verdict{ours: 15, best: "haproxy", bestIs: 5, measured: true}},
		{"no peer", row{Limit: ahead, Results: results("nearcast", 15.)}, verdict{ours: 15, measured: true}},
		{"shown", row{Results: results("nearcast", 20., "nginx", 10.)}, verdict{ours: 20, best: "nginx", bestIs: 10, ratio: 2, measured: true}},
		{"without us", row{Limit: ahead, Results: results("nginx", 12.)}, verdict{best: "nginx", bestIs: 12}},
		{"a figure", row{Limit: limit{Max: 16}, Results: results("nearcast", 17., "nginx", 34.)}, verdict{ours: 17, best: "nginx", bestIs: 34, ratio: .5, asked: true, measured: true}},
	} {
		if got := tt.row.verdict(); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	r := report{
		Versions: []version{{"nearcast", "v1"}, {"nginx", "1.22.1"}},
		Missing:  []string{"varnish is not installed (Debian: apt-get install varnish)"},
		Rows: []row{
			{ID: "a", Title: "small hit", Unit: "µs", Limit: limit{Ratio: 1, Of: bestPeer}, Results: []result{
				{Server: "nearcast", Value: 9.5, Rate: 100, P50: 1500, P99: 2500}, {Server: "nginx", Value: 123.4, Rate: 50, P50: 10, P99: 20, Bad: 3, Origin: 2},
			}},
			{ID: "b", Title: "idle", Unit: "KiB", Limit: limit{Max: 8}, Results: results("nearcast", 12.34)},
		},
	}
	got := r.markdown("## By hand\n\nHonest words.\n")
	for _, want := range []string{
		"| missing | varnish is not installed (Debian: apt-get install varnish) |\n",
		"| | unit | nearcast | nginx | best peer | ratio | limit | holds |\n|---|---|---|---|---|---|---|---|\n",
		"| small hit | µs | **9.50** | 123 | nginx | 0.08 | <= 1.00 x best peer | yes |\n",
		"| idle | KiB | **12.3** |  |  |  | <= 8.00 | **no** |\n",
		"| small hit | 100/s, 1.50, 2.50 | 50/s, 0.01, 0.02 |\n",
		"* small hit, nginx: 3 responses were errors or did not come.\n",
		"* small hit, nginx: the origin was asked 2 times.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not in the page: %q", want)
		}
	}
	if !strings.HasSuffix(got, "\n\n## By hand\n\nHonest words.\n") {
		t.Error("the page does not end with what was written by hand")
	}
	if diff := cmp.Diff([]string{"b"}, r.missed()); diff != "" {
		t.Errorf("missed limits (-want +got):\n%s", diff)
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestPage holds the committed page to the committed results.
func TestPage(t *testing.T) {
	docs := filepath.Join(labtest.Root(t), "docs")
	want, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no docs/performance.md yet; `make bench` writes it")
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	args := []string{"--render", filepath.Join(docs, "performance.json"), "--notes", filepath.Join(docs, "performance.notes.md")}
	if err := run(t.Context(), args, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("docs/performance.md is not of docs/performance.json and performance.notes.md; `make bench-page` writes it (-want +got):\n%s", diff)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range [][]string{{"--nonsense"}, {"x"}, {"--rounds", "0"}, {"--idle", "-1"}} {
		if err := run(t.Context(), bad, nil, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: error %v, want one of usage", bad, err)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, nil, io.Discard, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "tls-128k") {
		t.Errorf("--help: error %v, text %q", err, help.String())
	}
	for _, tt := range []struct {
		list, id string
		want     bool
	}{{"h1", "h1-1k", true}, {"h1-1", "h1-1k", false}, {"h2,h1-1k", "h1-1k", true}, {"h1-1k", "h1-128k", false}} {
		if got := matches(tt.list, tt.id); got != tt.want {
			t.Errorf("matches(%q, %q) = %t", tt.list, tt.id, got)
		}
	}
}

// TestHandshakes checks that full handshakes are full and resumed ones resumed, against somebody else's server.
func TestHandshakes(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	server.TLS = &tls.Config{}
	server.StartTLS()
	defer server.Close()
	for _, resume := range []bool{false, true} {
		first, second := work(t, clientJob{Addr: server.Listener.Addr().String(), Path: "/", TLS: true, Resume: resume, Duration: 100 * time.Millisecond})
		if first.Connections != workers || second.Connections == 0 || second.Failed != 0 {
			t.Errorf("resume %t: first %+v, then %+v", resume, first, second)
		}
		if want := map[bool]int64{true: second.Connections}[resume]; second.Resumed != want {
			t.Errorf("resume %t: %d of %d connections were resumed", resume, second.Resumed, second.Connections)
		}
	}
}

// TestIdle checks that idle connections are held, kept and counted.
func TestIdle(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer server.Close()
	first, second := work(t, clientJob{Addr: server.Listener.Addr().String(), Path: "/", Idle: 100, Refresh: time.Millisecond})
	if first.Connections != 100 || second.Connections != 100 || second.Failed != 0 {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

// work runs a load generator within the test.
func work(t *testing.T, job clientJob) (first, second clientReport) {
	t.Helper()
	line, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := runClient(t.Context(), strings.NewReader(string(line)+"\ngo\n"), &out); err != nil {
		t.Fatal(err)
	}
	replies := json.NewDecoder(&out)
	if err := errors.Join(replies.Decode(&first), replies.Decode(&second)); err != nil {
		t.Fatal(err)
	}
	return first, second
}

// TestSmoke runs the whole program, as short as it can be, with the edge alone.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	outside.Program(t, "wrk", "wrk")
	if runtime.NumCPU() < 2 {
		t.Skip("the servers and the load need a core each")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "results.json")
	var out, errs bytes.Buffer
	err := run(ctx, []string{
		"--program", labtest.Program(t), "--servers", "nearcast", "--only", "h1-1k,idle-plain", "--seconds", "1", "--rounds", "1",
		"--idle", "50", "--idle-wait", "10ms", "--json", file,
	}, nil, &out, &errs)
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	r, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, w := range r.Rows {
		ids = append(ids, w.ID)
		if len(w.Results) != 1 || w.Results[0].Bad != 0 || w.Results[0].Origin != 0 {
			t.Errorf("%s: %+v", w.ID, w.Results)
		}
	}
	if want := []string{"h1-1k", "h1-1k-p99", "idle-plain"}; !slices.Equal(ids, want) || r.Rows[0].Results[0].Value <= 0 {
		t.Errorf("rows %q, want %q, and a cost\n%s", ids, want, &out)
	}
}
