package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearcast/loadtest/sim/votes"
)

// printed runs the command and returns what it prints.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if err := command(t, args, &out, &errs); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out.String()
}

// TestJSON: a list with one object for each controller and seed, with these keys and no others; and the same each time.
func TestJSON(t *testing.T) {
	args := []string{"--pops", "4", "--seeds", "2", "--scenario", "flash+loss", "-o", "json"}
	first := printed(t, args...)
	var list []map[string]any
	if err := json.Unmarshal([]byte(first), &list); err != nil {
		t.Fatal(err)
	}
	want := []string{"churn_per_min", "controller", "mean_regret_ms", "overload_share", "seed", "share_over_10ms"}
	var who []string
	for _, row := range list {
		if keys := slices.Sorted(maps.Keys(row)); !slices.Equal(keys, want) {
			t.Fatalf("keys %v, want %v", keys, want)
		}
		for _, key := range []string{"overload_share", "share_over_10ms"} {
			if x := row[key].(float64); x < 0 || x > 1 {
				t.Errorf("%s is %v", key, x)
			}
		}
		who = append(who, row["controller"].(string)+string(rune('0'+int(row["seed"].(float64)))))
	}
	if got := strings.Join(who, " "); got != "nearcast1 nearcast2 geo1 geo2 binary1 binary2" {
		t.Errorf("rows of %s", got)
	}
	if again := printed(t, args...); again != first {
		t.Errorf("the same command has printed\n%s\nand\n%s", first, again)
	}
}

func TestTableAndChart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chart.svg")
	out := printed(t, "--pops", "4", "--seeds", "1", "--scenario", "loss", "--schedulers", "2", "--chart", file)
	for _, want := range []string{"scenario loss, 4 POPs, 40 nodes, 1 seeds", "nearcast", "geo", "binary", "regret ms", "failed over s", "2 schedulers", "LAN of a POP", "WAN", "(100 deaths)"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the chart is no XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 9 {
		t.Errorf("the chart has %d lines, want 3 in each of 3 panels", lines)
	}
}

func TestBadFlags(t *testing.T) {
	matrix, sites := written(t, "m.csv", ",a,b,c,d\na,,1,1,1\n"), written(t, "s.csv", fourSites)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"steady"}, `"steady" is no flag`},
		{[]string{"--scenario", "flood"}, `"flood" is none of churn, cold, flash`},
		{[]string{"--scenario", ""}, "--scenario is blank"},
		{[]string{"--matrix", matrix}, "--matrix and --sites go together"},
		{[]string{"--convert", "x"}, "--convert needs --matrix and --sites"},
		{[]string{"-o", "xml"}, "neither table nor json"},
		{[]string{"--pops", "2"}, "--pops: 2 is not from 3 to 300"},
		{[]string{"--pops", "301"}, "--pops: 301"},
		{[]string{"--nodes", "7"}, "--nodes: 7 is not from two for each POP, 120, to 10000"},
		{[]string{"--schedulers", "0"}, "--schedulers: 0"},
		{[]string{"--seeds", "0"}, "--seeds: 0"},
		{[]string{"--pops", "3", "--matrix", matrix, "--sites", sites}, "--pops 3 of 4 sites"},
		{[]string{"--matrix", matrix + "x", "--sites", sites}, "no such file"},
		{[]string{"--pops", "8", "--seeds", "1", "--chart", "/nowhere/at/all.svg"}, "drawing the chart"},
	} {
		err := command(t, tt.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q", tt.args, err, tt.want)
		}
	}
	if err := command(t, []string{"--pops", "many"}, io.Discard, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("a flag that cannot be read: %v", err)
	}
}

// TestScript: parts go together, and may be called by their full names.
func TestScript(t *testing.T) {
	for name, want := range map[string]script{
		"steady":                    {},
		"flash+loss":                {flash: true, loss: true},
		"flash-crowd-and-loss":      {flash: true, loss: true},
		"loss-of-the-biggest-pop":   {loss: true},
		"gray-failure":              {gray: true},
		"partition":                 {partition: true},
		"one-way":                   {partition: true, oneway: true},
		"node-churn":                {churn: true},
		"clock skew":                {skew: true},
		"cold-return":               {loss: true, cold: true},
		"flash_loss_misjudged":      {flash: true, loss: true, misjudged: true},
		"flash,gray,churn,skew,one": {flash: true, gray: true, churn: true, skew: true, partition: true, oneway: true},
	} {
		if got, err := parseScript(name); err != nil || got != want {
			t.Errorf("%s is %+v, error %v", name, got, err)
		}
	}
}

// TestSwell: the crowd comes within two minutes, stays, and goes.
func TestSwell(t *testing.T) {
	for second, want := range map[int]float64{-900: 0, 599: 0, 600: 0, 660: 0.5, 720: 1, 1500: 1, 1650: 0.5, 1800: 0, 2399: 0} {
		if got := swell(second); math.Abs(got-want) > 1e-9 {
			t.Errorf("at %d s the crowd is %v of its peak, want %v", second, got, want)
		}
	}
}

// TestApart: what two divisions do not have in common moves.
func TestApart(t *testing.T) {
	for _, tt := range []struct {
		a, b []share
		want float64
	}{
		{[]share{{1, 1}}, []share{{1, 1}}, 0},
		{[]share{{1, 1}}, []share{{2, 1}}, 1},
		{[]share{{1, 0.7}, {2, 0.3}}, []share{{2, 0.5}, {1, 0.5}}, 0.2},
		{[]share{{1, 0.5}, {2, 0.5}}, []share{{3, 0.5}, {1, 0.5}}, 0.5},
	} {
		if got := apart(tt.a, tt.b); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("from %v to %v moves %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

// small is a world for tests of single scenarios: 10 POPs and 24 sites of visitors.
func small(t *testing.T, scenario string, seed uint64, byPlace bool) *world {
	t.Helper()
	s, err := parseScript(scenario)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(synthetic(34, seed), 10, 100, seed, s, byPlace)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestRivals: the rivals do what they are known for. Geography does not move and is overloaded in a flash crowd; a threshold sends people to and fro.
func TestRivals(t *testing.T) {
	var g, b score
	for seed := range uint64(4) {
		w := small(t, "flash", seed, true)
		for _, x := range []struct {
			sum *score
			of  score
		}{{&g, run(w, newGeo(w))}, {&b, run(w, newBinary(w))}} {
			x.sum.moved, x.sum.overload, x.sum.total = x.sum.moved+x.of.moved, x.sum.overload+x.of.overload, x.sum.total+x.of.total
		}
	}
	if g.moved != 0 {
		t.Errorf("geography has moved %v of the traffic", g.moved)
	}
	if g.overload == 0 || b.overload == 0 || b.overload >= g.overload {
		t.Errorf("overloaded: %v by geography, %v with a threshold; want less, but some", g.overload/g.total, b.overload/b.total)
	}
	if b.moved < 1 {
		t.Errorf("a threshold has moved only %v of the traffic", b.moved)
	}
	w := small(t, "loss", 1, true)
	g, b = run(w, newGeo(w)), run(w, newBinary(w))
	if g.detected < 19 || g.detected > 31 || b.detected < 0 || b.detected > 7 {
		t.Errorf("detected after %d s by geography and %d s by a monitor: want 3 probes of 10 s, and 1 of 6 s", g.detected, b.detected)
	}
}

// TestScenarios: what Nearcast promises in each, in a small world with three schedulers, whose maps are the same at any time.
func TestScenarios(t *testing.T) {
	for _, tt := range []struct {
		scenario string
		regret   float64 // ms
		check    func(t *testing.T, c *nearcast, s score)
	}{
		{"steady", 2, func(t *testing.T, _ *nearcast, s score) { atMost(t, "overload", s.overload/s.total, 0) }}, //nolint:thelper // a test, not a helper
		{"loss", 20, func(t *testing.T, _ *nearcast, s score) { //nolint:thelper // a test, not a helper
			atMost(t, "seconds until the map has left the POP", float64(s.detected), 3)
			atMost(t, "traffic to the dead POP", s.dead/s.total, 0.005)
		}},
		{"gray", 10, func(t *testing.T, _ *nearcast, s score) { //nolint:thelper // a test, not a helper
			atMost(t, "traffic on the POP that loses packets, of all in 40 minutes", s.lossy/s.total, 0.005)
		}},
		{"partition", 2, func(t *testing.T, c *nearcast, s score) { //nolint:thelper // a test, not a helper
			atMost(t, "overload: two fifths of the POPs seem dead and are not", s.overload/s.total, 0)
			if c.frozen == 0 {
				t.Error("the map was never frozen")
			}
		}},
		{"oneway", 2, func(t *testing.T, c *nearcast, s score) { //nolint:thelper // a test, not a helper
			if atMost(t, "overload", s.overload/s.total, 0); c.frozen > 0 {
				t.Error("POPs that report count as dead")
			}
		}},
		{"churn", 3, func(t *testing.T, _ *nearcast, s score) { atMost(t, "overload", s.overload/s.total, 0.002) }}, //nolint:thelper // a test, not a helper
		{"skew", 2, func(t *testing.T, c *nearcast, s score) { //nolint:thelper // a test, not a helper
			if atMost(t, "overload", s.overload/s.total, 0); c.measure.wrongClocks() != len(c.w.names)/5 {
				t.Errorf("%d clocks are known to be wrong", c.measure.wrongClocks())
			}
		}},
		{"cold", 10, func(t *testing.T, _ *nearcast, s score) { atMost(t, "overload", s.overload/s.total, 0.01) }},      //nolint:thelper // a test, not a helper
		{"misjudged", 4, func(t *testing.T, _ *nearcast, s score) { atMost(t, "overload", s.overload/s.total, 0.001) }}, //nolint:thelper // a test, not a helper
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			w := small(t, tt.scenario, 1, false)
			c := newNearcast(w, 3)
			s := run(w, c)
			if c.err != nil {
				t.Fatal(c.err)
			}
			atMost(t, "regret in ms", s.regret/s.placed, tt.regret)
			atMost(t, "churn a minute", s.moved/(duration/60), 0.15)
			tt.check(t, c, s)
		})
	}
}

func atMost(t *testing.T, what string, got, limit float64) {
	t.Helper()
	if !(got <= limit) {
		t.Errorf("%s: %.5f, want %.5f at most", what, got, limit)
	}
}

// TestGossip: the pools of a small fleet cost little, deaths in them are found in time, and without --gossip they are not simulated.
func TestGossip(t *testing.T) {
	var out strings.Builder
	o := options{pops: 4, nodes: 40}
	if err := o.detection(t, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []struct {
		pool, members      string
		octets, p50, cores float64
	}{{"LAN", "10", 30e3, 2, 0.1}, {"WAN", "13", 30e3, 20, 0.1}} {
		f := strings.Fields(strings.NewReplacer("LAN of a POP", "LAN").Replace(lines[2+i]))
		if len(f) != 9 || f[0] != want.pool || f[1] != want.members {
			t.Fatalf("line %q", lines[2+i])
		}
		atMost(t, want.pool+": octets per node and second", above0(t, f[2]), want.octets)
		atMost(t, want.pool+": cores per node", above0(t, f[4]), want.cores)
		atMost(t, want.pool+": seconds until a death is known", above0(t, f[6]), want.p50)
	}
	if all := printed(t, "--pops", "4", "--seeds", "1", "--gossip=false"); strings.Contains(all, "gossip") {
		t.Errorf("with --gossip=false there is gossip:\n%s", all)
	}
}

func above0(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || x < 0 {
		t.Fatalf("%q is no number from zero on: %v", text, err)
	}
	return x
}

// TestDeathLag: what the world assumes about the death of a POP is what the votes on it come to.
func TestDeathLag(t *testing.T) {
	v, err := votes.Run(votes.Options{Loss: gossipLoss}, 1, 0, 0, votedKills)
	if err != nil {
		t.Fatal(err)
	}
	if v.Published.P99 > deathLag || v.Published.P50 < deathLag-1 {
		t.Errorf("a scheduler knows after p50 %.2f s, p99 %.2f s; the world assumes %d s", v.Published.P50, v.Published.P99, deathLag)
	}
	w := small(t, "loss", 1, false)
	if s := run(w, newNearcast(w, 1)); s.detected != deathLag {
		t.Errorf("the map has left the POP after %d s, want %d", s.detected, deathLag)
	}
}
