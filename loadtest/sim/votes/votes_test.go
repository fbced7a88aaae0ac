package votes

import (
	"slices"
	"testing"
	"time"

	"nearcast/loadtest/sim/trial"
)

func starved(share float64) trial.Starving {
	return trial.Starving{Share: share, Stretch: 100 * time.Millisecond}
}

// TestLiving: a day in the life of a POP. That it was never taken for dead says something only if probes did fail.
func TestLiving(t *testing.T) {
	for _, tt := range []struct {
		o            Options
		least, most  float64 // of the probes are missed
		mayDoubtOnce bool
	}{
		{Options{}, 0, 0, false},
		{Options{Loss: 0.01}, 2e-4, 8e-4, false},                         // two nodes, a packet each way: 0.02 squared
		{Options{Loss: 0.05, Starving: starved(0.2)}, 8e-3, 12e-3, true}, // 0.0975 squared
	} {
		r, err := Run(tt.o, 1, 1, 24*time.Hour, 0)
		if err != nil {
			t.Fatal(err)
		}
		if missed := float64(r.Misses) / float64(r.Probes); missed < tt.least || missed > tt.most || r.Probes < 690_000 {
			t.Errorf("%+v: %.5f of %d probes missed, want %v to %v", tt.o, missed, r.Probes, tt.least, tt.most)
		}
		if r.Removals > 0 || r.Doubts > 0 && !tt.mayDoubtOnce {
			t.Errorf("%+v: %d false removals, %d doubts", tt.o, r.Removals, r.Doubts)
		}
	}
}

// TestUnbearable: with a network that is bad enough a living POP is removed, so that the simulation can tell.
func TestUnbearable(t *testing.T) {
	r, err := Run(Options{Loss: 0.4, Starving: starved(0.3)}, 1, 1, time.Hour, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Removals == 0 || r.MostDoubting < 2 || r.PerMonth < 1 || r.PerMonthMax <= r.PerMonth {
		t.Errorf("%+v: want false removals", r)
	}
}

// TestDeath: three misses of a second, half a second apart, for three of four voters; then a scheduler is told.
func TestDeath(t *testing.T) {
	for _, starve := range []float64{0, 0.2} {
		r, err := Run(Options{Loss: 0.01, Starving: starved(starve)}, 1, 0, 0, 50)
		if err != nil {
			t.Fatal(err)
		}
		if d, p := r.Detected, r.Published; d.Count != 50 || d.P50 < 2 || d.P50 > 3 || d.P99 > 5 || p.P50 <= d.P50 || p.P99 > 5 {
			t.Errorf("starved %v: known after %+v, published after %+v", starve, d, p)
		}
	}
}

// TestAwake: whoever stands still wakes at the end of the stretch, and the answer does not depend on the order of the questions.
func TestAwake(t *testing.T) {
	w := newWorld(Options{Starving: starved(0.3)}, 1)
	m := &w.nodes[0]
	still := 0
	var ends []time.Duration
	for at := time.Duration(0); at < 5*time.Second; at += 7 * time.Millisecond {
		end := m.awake(at)
		if ends = append(ends, end); end > at {
			still++
		}
		if end < at || end > at+500*time.Millisecond || m.awake(end) != end {
			t.Fatalf("at %v it wakes at %v", at, end)
		}
	}
	for i, end := range slices.Backward(ends) {
		if at := time.Duration(i) * 7 * time.Millisecond; m.awake(at) != end {
			t.Fatalf("at %v it wakes at %v, and at %v when asked again", at, end, m.awake(at))
		}
	}
	if still < len(ends)/6 || still > len(ends)/2 {
		t.Errorf("it stood still at %d of %d moments", still, len(ends))
	}
}
