package estimate_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"nearcast/routequality/estimate"
)

// hear lets reports of a clock that is ahead arrive each second, with delays in ms in turn.
func hear(c *estimate.Clock, now time.Time, seconds int, ahead time.Duration, delays ...float64) time.Time {
	for i := range seconds {
		now = now.Add(time.Second)
		c.Hear(now, now.Add(ahead).Add(-ms(delays[i%len(delays)])))
	}
	return now
}

func TestClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour, 1500 * time.Millisecond} {
		var c estimate.Clock
		now := hear(&c, start(), 600, ahead, 80, 20, 900)
		if got := c.Right(now.Add(ahead)).Sub(now); got < 0 || got > ms(20) {
			t.Errorf("a clock %v ahead: what happens now is held for %v from now, want 20 ms at most", ahead, got)
		}
		if want := ahead > 2*time.Second || ahead < -2*time.Second; c.Wrong() != want {
			t.Errorf("a clock %v ahead is wrong: %v", ahead, c.Wrong())
		}
	}
	var c estimate.Clock
	if c.Wrong() || c.Offset() != 0 {
		t.Error("a clock of which nothing was heard is wrong")
	}
}

// TestClockIsSet: when it is set forward that is known at once, and when it is set back after two minutes at most.
func TestClockIsSet(t *testing.T) {
	var c estimate.Clock
	now := hear(&c, start(), 90, 0, 20)
	now = hear(&c, now, 1, time.Hour, 20)
	near(t, "set forward, hours", c.Offset().Hours(), -1, 0.001)
	now = hear(&c, now, 121, 0, 20)
	near(t, "set back, seconds", c.Offset().Seconds(), 0, 0.1)
	hear(&c, now.Add(time.Hour), 1, time.Minute, 20) // after a long silence nothing old counts
	near(t, "after a silence, seconds", c.Offset().Seconds(), -60, 0.1)
}

// TestClockProperties: once it has been heard, nothing that arrives is ever from the future.
func TestClockProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c estimate.Clock
		now := start()
		for range rapid.IntRange(1, 50).Draw(t, "reports") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
			bears := now.Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "ahead")) * time.Second)
			c.Hear(now, bears)
			if c.Right(bears).After(now) {
				t.Fatalf("%v from the future", c.Right(bears).Sub(now))
			}
		}
	})
}
