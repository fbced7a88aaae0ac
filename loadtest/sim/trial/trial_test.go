package trial

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// What is promised of a count of events: Poisson's upper bounds at 95 %.
func TestUpperBound(t *testing.T) {
	for seen, want := range []float64{3.00, 4.74, 6.30, 7.75} {
		if got := UpperBound(seen); got < want-0.01 || got > want+0.01 {
			t.Errorf("having seen %d: at most %.2f, want %.2f", seen, got, want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := SpreadOf(nil); got != (Spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
	var all []time.Duration
	for i := 200; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Second)
	}
	if got, want := SpreadOf(all), (Spread{200, 100, 198, 200}); got != want {
		t.Errorf("of 1 to 200 s: %+v, want %+v", got, want)
	}
}

// TestStarving: it stands still for its share of the time, less what the longest stretches are cut by, and never long.
func TestStarving(t *testing.T) {
	s := Starving{Share: 0.2, Stretch: 100 * time.Millisecond}
	dice := rand.New(rand.NewPCG(1, 1))
	var ran, stood time.Duration
	for range 100_000 {
		r, d := s.Next(dice)
		if d > 500*time.Millisecond {
			t.Fatalf("it stands still for %v", d)
		}
		ran, stood = ran+r, stood+d
	}
	if share := float64(stood) / float64(ran+stood); math.Abs(share-0.2) > 0.005 {
		t.Errorf("it stands still for %.3f of the time, want 0.2", share)
	}
}
