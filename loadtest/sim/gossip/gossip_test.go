package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m, 5*time.Second) }

func run(t *testing.T, args string) (r result) {
	t.Helper()
	o, err := parseFlags(strings.Fields(args+" -o json"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := command(t, o, &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return r
}

// The dead are found in time and the living left alone, in a short run of what docs/decisions/0014-gossip.md has from long ones.
func TestLAN(t *testing.T) {
	r := run(t, "--kind lan --nodes 8 --minutes 1 --kills 20")
	if r.Last.Count != 20 || r.Missed != 0 || r.Every.P50 > 1.6 || r.Every.P99 > 2.6 {
		t.Errorf("20 deaths: %d found, %d missed, p50 %.2f s, p99 %.2f s; want at most about 1.5 and 2.3", r.Last.Count, r.Missed, r.Every.P50, r.Every.P99)
	}
	if r.FalseAny > 0 || r.OctetsPerSecond > 10e3 {
		t.Errorf("%d false removals, %.0f octets per node and second", r.FalseAny, r.OctetsPerSecond)
	}
}

func TestStarvedLAN(t *testing.T) {
	r := run(t, "--kind lan --nodes 8 --minutes 3 --starve 0.2")
	if r.FalseAll > 0 || r.Accusations < 10 {
		t.Errorf("%d false removals by all and %v accusations in three minutes, want none, and many: then the starving works", r.FalseAll, r.Accusations)
	}
}

func TestWAN(t *testing.T) {
	r := run(t, "--kind wan --nodes 24 --minutes 1 --kills 1")
	if r.Missed != 0 || r.Last.Max > 20 || r.FalseAny > 0 || r.OctetsPerSecond > 30e3 {
		t.Errorf("a death is known to all after %.1f s; %d missed, %d false removals, %.0f octets per node and second", r.Last.Max, r.Missed, r.FalseAny, r.OctetsPerSecond)
	}
}

func TestMatrix(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.csv")
	if err := os.WriteFile(file, []byte("id,a,b\na,0,100\nb,,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	delay, err := matrixDelays(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from, to int
		want     time.Duration
	}{{0, 1, 100 * time.Microsecond}, {0, 2, 50 * time.Millisecond}, {2, 0, unknownRTT / 2 * time.Millisecond}, {3, 5, 75 * time.Millisecond}} {
		if got := delay(nodeAddr(test.from), nodeAddr(test.to)); got != test.want {
			t.Errorf("from %d to %d: %v, want %v", test.from, test.to, got, test.want)
		}
	}
	for _, bad := range []string{"", "id,a\n", "id,a,b\na,0,1\n", "id,a,b\na,0,-1\nb,1,0\n", "id,a,b\na,0,NaN\nb,1,0\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := matrixDelays(file); err == nil {
			t.Errorf("matrix %q was taken", bad)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{
		"--kind man", "--nodes 2", "--minutes 0", "--minutes NaN", "--loss 1", "--loss -0.1", "--starve 1", "--stretch 0s", "--kills -1", "--seeds 0", "-o xml", "surplus",
		"--unknown",
	} {
		if _, err := parseFlags(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

// What is promised of a count of events: Poisson's upper bounds at 95 %.
func TestUpperBound(t *testing.T) {
	for seen, want := range []float64{3.00, 4.74, 6.30, 7.75} {
		if got := upperBound(seen); got < want-0.01 || got > want+0.01 {
			t.Errorf("having seen %d: at most %.2f, want %.2f", seen, got, want)
		}
	}
}
