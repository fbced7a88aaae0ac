package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/loadtest/flood/attack"
	"nearcast/loadtest/labtest"
	"nearcast/loadtest/rig"
)

// TestMain lets the test's program be the attackers, as the program itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == attackerCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestEdge makes every attack on a real edge, for a moment each. How late visitors are is not asserted: other tests run at the same
// time. `make test-flood` does that, and takes longer.
func TestEdge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	program := labtest.Program(t)
	for _, a := range attack.All() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			err := run(t.Context(), []string{
				"--program", program, "--attack", a.Name, "--seconds", "0.7", "--quiet", "0.2", "--drip", "100ms",
				"--connections", "8", "--slow-connections", "300", "--max-slower", "0", "--server-core", "-1", "--load-core", "-1",
			}, nil, &out, &errs)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s%s", &out, &errs)
		})
	}
}

// TestAgainstOthers runs the whole program against Go's own server.
func TestAgainstOthers(t *testing.T) {
	origin, err := rig.StartOrigin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Stop()
	secure, plain := httptest.NewUnstartedServer(origin), httptest.NewServer(origin)
	defer plain.Close()
	defer plain.CloseClientConnections()
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	defer secure.CloseClientConnections()
	results := filepath.Join(t.TempDir(), "results.json")
	var out, errs bytes.Buffer
	err = run(t.Context(), []string{
		"--edge", plain.Listener.Addr().String(), "--tls", secure.Listener.Addr().String(), "--attack", "h2-ping,h1-slowloris", "--seconds", "0.5",
		"--quiet", "0.2", "--connections", "2", "--slow-connections", "20", "--max-slower", "0", "--min-share", "0.5", "--json", results,
		"--server-core", "-1", "--load-core", "-1",
	}, nil, &out, &errs)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &errs)
	}
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []outcome
	if err := json.Unmarshal(text, &outcomes); err != nil {
		t.Fatal(err)
	}
	if len(outcomes) != 2 || outcomes[0].Tally.Units == 0 || outcomes[1].Tally.Connections != 20 || outcomes[0].Under.Asked < 100 || !strings.Contains(out.String(), "h1-slowloris") {
		t.Errorf("results %+v\n%s", outcomes, &out)
	}
}

func TestLimits(t *testing.T) {
	l := limits{share: .95, slower: 2, memory: 100, each: 10, named: true}
	fine := outcome{
		Tally: attack.Tally{Connections: 10, Cut: 5}, Quiet: goodput{Asked: 100, P99: time.Millisecond}, Under: goodput{Asked: 100, Failed: 5, P99: 2 * time.Millisecond},
		Peak: footprint{RSS: 100 << 20}, Says: evidence{Lines: 1},
	}
	for _, tt := range []struct {
		want   string
		change func(*outcome)
	}{
		{"", func(*outcome) {}},
		{"94.0 % of the victims' requests succeeded", func(o *outcome) { o.Under.Failed = 6 }},
		{"0.0 % of the victims' requests succeeded", func(o *outcome) { o.Under.Asked = 0 }},
		{"p99 is 3ms, it was 1ms", func(o *outcome) { o.Under.P99 = 3 * time.Millisecond }},
		{"no attacker has come through", func(o *outcome) { o.Tally = attack.Tally{} }},
		{"grown by 101 MiB", func(o *outcome) { o.Peak.RSS = 101 << 20 }},
		{"neither log nor metrics tell of the attackers, of whom 5", func(o *outcome) { o.Says = evidence{} }},
		{"", func(o *outcome) { o.Says = evidence{Metrics: map[string]float64{"refused": 1}} }},
		{"", func(o *outcome) { o.Peak.RSS, o.Attackers = 110<<20, 1024 }},
		{"grown by 111 MiB", func(o *outcome) { o.Peak.RSS, o.Attackers = 111<<20, 1024 }},
		{"panic", func(o *outcome) { o.Says.Panics = 1 }},
	} {
		o := fine
		tt.change(&o)
		got := strings.Join(l.check(o, false, true), "; ")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	fine.Says, fine.Tally.Cut = evidence{}, 0
	if got := l.check(fine, false, true); len(got) != 0 {
		t.Errorf("nobody cut off and nothing said: got %q", got)
	}
	if got := l.check(fine, true, true); len(got) != 1 {
		t.Errorf("abuse that nobody noticed: got %q", got)
	}
}

func TestInvestigate(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	text := "level=INFO msg=ready addr=127.0.0.1:80\nlevel=WARN msg=\"connection closed\" remote=127.1.0.7:4 reason=\"too many resets\"\nlevel=WARN remote=127.1.0.8:5\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := investigate(log, map[string]float64{"nearcast_edge_connections_abused_total": 1}, map[string]float64{
		"nearcast_edge_connections_abused_total": 4, `nearcast_edge_tls_handshakes_total{result="timeout"}`: 2, "nearcast_hits_total": 9,
		`nearcast_edge_tls_handshakes_total{result="done"}`: 5, "go_gc_limit": 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Lines != 2 || !strings.Contains(got.Example, "too many resets") || len(got.Metrics) != 2 || got.Metrics["nearcast_edge_connections_abused_total"] != 3 {
		t.Errorf("got %+v", got)
	}
}

// TestVisit checks that what a server owes is counted as failed, and what it delays as late.
func TestVisit(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++ // one victim: one request at a time
		if n%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write(make([]byte, smallSize))
	}))
	defer s.Close()
	v := newVictim(s.URL, 1)
	defer v.client.CloseIdleConnections()
	got := visit(t.Context(), []*victim{v}, 10*victimPause)
	if got.Asked != 10 || got.Failed != 5 || got.share() != .5 || !strings.Contains(got.Error, "503") || got.P99 <= 0 {
		t.Errorf("got %+v", got)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range [][]string{{"--nonsense"}, {"x"}, {"--seconds", "0"}, {"--connections", "0"}, {"--tls", "127.0.0.1:1"}} {
		if err := run(t.Context(), bad, nil, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: error %v, want one of usage", bad, err)
		}
	}
	if err := run(t.Context(), []string{"--help"}, nil, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	if err := run(t.Context(), []string{"--attack", "nonsense"}, nil, io.Discard, io.Discard); err == nil {
		t.Error("no error for an attack that nobody knows")
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--list"}, nil, &out, io.Discard); err != nil || strings.Count(out.String(), "\n") != len(attack.All()) {
		t.Errorf("--list: %v\n%s", err, &out)
	}
}
