package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"nearcast/internal/leaktest"
	"nearcast/loadtest/sim/pools"
	"nearcast/loadtest/sim/votes"
)

func TestMain(m *testing.M) { leaktest.Main(m, 5*time.Second) }

func run(t *testing.T, args string) (r pools.Result) {
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

// TestPOP: two hours of a POP, in every case; docs/scheduling.md has what came of months.
func TestPOP(t *testing.T) {
	o, err := parseFlags(strings.Fields("--kind pop --minutes 120 --kills 10 -o json"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := command(t, o, &out); err != nil {
		t.Fatal(err)
	}
	var all []votes.Result
	if err := json.Unmarshal([]byte(out.String()), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 4 {
		t.Fatalf("%d cases", len(all))
	}
	for _, r := range all {
		if r.Removals > 0 || r.Misses == 0 || r.Seconds != 7200 || r.Detected.Count != 10 || r.Published.Max > 5 {
			t.Errorf("%+v", r)
		}
	}
	o.output = "table"
	out.Reset()
	if err := command(t, o, &out); err != nil || strings.Count(out.String(), "\n") != 5 {
		t.Errorf("a title and a line for each case are wanted: %v\n%s", err, out.String())
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{
		"--kind man", "--nodes 2", "--minutes 0", "--minutes NaN", "--loss 1", "--loss -0.1", "--starve 1", "--stretch 0s", "--kills -1", "--seeds 0", "-o xml", "surplus",
		"--unknown", "--kind pop --nodes 8", "--kind pop --matrix M.csv",
	} {
		if _, err := parseFlags(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
