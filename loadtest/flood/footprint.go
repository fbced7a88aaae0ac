package main

import (
	"bufio"
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"nearcast/loadtest/rig"
)

// footprint is what the edge uses.
type footprint struct {
	RSS        int64 `json:"rss"`
	Files      int   `json:"files"`
	Goroutines int   `json:"goroutines"`
}

// look reads what the edge uses now. The goroutines are of its metrics, which an edge under attack may owe us.
func look(ctx context.Context, e *rig.Edge, withMetrics bool) footprint {
	f := footprint{RSS: e.RSS(), Files: e.Files()}
	if withMetrics {
		if m, err := e.Metrics(ctx); err == nil {
			f.Goroutines = int(m["go_goroutines"])
		}
	}
	return f
}

func (f footprint) most(g footprint) footprint {
	return footprint{max(f.RSS, g.RSS), max(f.Files, g.Files), max(f.Goroutines, g.Goroutines)}
}

// watch looks often until ctx ends, and returns the peak.
func watch(ctx context.Context, e *rig.Edge) footprint {
	var peak footprint
	for i := 0; ; i++ {
		peak = peak.most(look(ctx, e, i%10 == 0))
		if rig.Pause(ctx, 50*time.Millisecond) != nil {
			return peak
		}
	}
}

// settle waits until the edge is about as it was, for some time at most, and returns how it is.
func settle(ctx context.Context, e *rig.Edge, before footprint, longest time.Duration) footprint {
	deadline := time.Now().Add(longest)
	for {
		now := look(ctx, e, true)
		calm := now.Files <= before.Files+20 && now.Goroutines <= before.Goroutines+20
		if calm || time.Now().After(deadline) || rig.Pause(ctx, 50*time.Millisecond) != nil {
			return now
		}
	}
}

// evidence is what the edge says of the attackers.
type evidence struct {
	// Lines of the log name an attacker's address; Example is the first of them.
	Lines   int    `json:"lines"`
	Example string `json:"example"`
	// Metrics that speak of abuse have grown by this.
	Metrics map[string]float64 `json:"metrics"`
	// Panics are lines that speak of one.
	Panics int `json:"panics"`
}

var (
	attackersAddress = regexp.MustCompile(`\b127\.1\.\d+\.\d+`)
	// abuseMetric is of the counters that only those move who do what they should not, or cannot.
	abuseMetric = regexp.MustCompile(`^nearcast_edge_(connections_abused_total|requests_rejected_total|tls_handshakes_total\{result="([^d]|d[^o]))`)
)

// investigate reads the log and compares the metrics.
func investigate(log string, before, after map[string]float64) (evidence, error) {
	e := evidence{Metrics: make(map[string]float64)}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if grown := after[name] - before[name]; grown > 0 && abuseMetric.MatchString(name) {
			e.Metrics[name] = grown
		}
	}
	f, err := os.Open(log)
	if err != nil {
		return e, err
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if attackersAddress.MatchString(lines.Text()) {
			e.Lines++
			if e.Example == "" {
				e.Example = lines.Text()
			}
		}
		if strings.Contains(lines.Text(), "panic") {
			e.Panics++
		}
	}
	return e, lines.Err()
}
