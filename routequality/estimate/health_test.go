package estimate_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"nearcast/routequality/estimate"
)

// watched is a POP with a clock.
type watched struct {
	estimate.Health
	now time.Time
}

// see lets probes of one second pass: '+' an answer, '-' none.
func (w *watched) see(outcomes string) {
	for _, o := range outcomes {
		w.now = w.now.Add(time.Second)
		w.Observe(w.now, o == '+')
	}
}

func (w *watched) is(t *testing.T, want estimate.State, share float64) {
	t.Helper()
	got, s := w.State(w.now)
	if got != want {
		t.Errorf("state %v, want %v", got, want)
	}
	near(t, "share", s, share, 0.001)
}

func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		name     string
		outcomes string
		want     estimate.State
		share    float64
	}{
		{"nothing known: up, or a new prober took the world down", "", estimate.Up, 1},
		{"two misses are chance", "+++--", estimate.Up, 1},
		{"three in a row are not", "+++---", estimate.Down, 0},
		{"they must be in a row", "--+--+--+", estimate.Up, 1},
		{"four answers are not enough to come back", "---++++", estimate.Down, 0},
		{"five are, with a tenth", "---+++++", estimate.Ramping, 0.1},
		{"a miss begins the count again", "---++++-+", estimate.Down, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := watched{now: start()}
			w.see(tt.outcomes)
			w.is(t, tt.want, tt.share)
		})
	}
}

// TestRamp: from a tenth to all of it, in a minute, since its caches are cold.
func TestRamp(t *testing.T) {
	w := watched{now: start()}
	w.see("---+++++")
	back := w.now
	for _, tt := range []struct {
		after time.Duration
		state estimate.State
		share float64
	}{{0, estimate.Ramping, 0.1}, {30 * time.Second, estimate.Ramping, 0.55}, {59 * time.Second, estimate.Ramping, 0.985}, {time.Minute, estimate.Up, 1}} {
		w.now = back.Add(tt.after)
		w.is(t, tt.state, tt.share)
	}
}

// TestFlaps: three falls within minutes keep it out although it answers, until it has been good for long enough.
func TestFlaps(t *testing.T) {
	w := watched{now: start()}
	w.see("---+++++" + "---+++++")
	w.is(t, estimate.Ramping, 0.1)
	w.see("---+++++")
	w.is(t, estimate.Suppressed, 0)
	fell := w.now
	for state, _ := w.State(w.now); state == estimate.Suppressed; state, _ = w.State(w.now) {
		w.see("+")
	}
	if state, share := w.State(w.now); state != estimate.Ramping || share < 0.1 || share > 0.12 {
		t.Errorf("free again it is %v with a share of %v", state, share)
	}
	if held := w.now.Sub(fell); held < 8*time.Minute || held > 10*time.Minute {
		t.Errorf("a penalty of 3000 was held for %v, want until it is 800: 9m32s", held)
	}
	w.now = w.now.Add(time.Minute)
	w.is(t, estimate.Up, 1)
}

// TestHold: however often it fell, twenty minutes without a fall free it.
func TestHold(t *testing.T) {
	w := watched{now: start()}
	for range 500 {
		w.see("---+++++")
	}
	if p := w.Penalty(w.now); p > 12_800 {
		t.Errorf("penalty %v", p)
	}
	w.is(t, estimate.Suppressed, 0)
	w.now = w.now.Add(20 * time.Minute)
	if state, _ := w.State(w.now); state != estimate.Ramping && state != estimate.Up {
		t.Errorf("after 20 minutes it is %v", state)
	}
}

// TestFall: who says that it goes is down without probes.
func TestFall(t *testing.T) {
	w := watched{now: start()}
	w.Fall(w.now)
	w.is(t, estimate.Down, 0)
	w.Fall(w.now)
	near(t, "saying so twice costs once; the penalty", w.Penalty(w.now), 1000, 0)
}

func TestHealthProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h estimate.Health
		now := start()
		misses := 0
		for range rapid.IntRange(1, 200).Draw(t, "probes") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms")) * time.Millisecond)
			answered := rapid.Bool().Draw(t, "answered")
			h.Observe(now, answered)
			if misses++; answered {
				misses = 0
			}
			state, share := h.State(now)
			if misses >= 3 && state != estimate.Down {
				t.Fatalf("%v after %d misses", state, misses)
			}
			taken := state == estimate.Down || state == estimate.Suppressed
			if share < 0 || share > 1 || taken != (share == 0) || (state == estimate.Up) != (share == 1) {
				t.Fatalf("%v with a share of %v", state, share)
			}
			if p := h.Penalty(now); p < 0 || p > 12_800 {
				t.Fatalf("penalty %v", p)
			}
		}
	})
}
