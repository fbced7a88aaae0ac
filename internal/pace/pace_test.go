package pace_test

import (
	"testing"
	"time"

	"nearcast/internal/pace"
)

func TestPatience(t *testing.T) {
	const stall, rate = time.Minute, 500
	for _, row := range []struct {
		octets int
		waited time.Duration
		want   time.Duration
	}{
		{0, 0, stall},
		{1, 59 * time.Second, time.Second + 2*time.Millisecond},
		{0, stall, 0},
		{0, 2 * stall, 0},
		{30_000, time.Minute, stall},
		{15_000, time.Minute, stall / 2},
		{1 << 40, 1000 * time.Hour, stall},
	} {
		var p pace.Pace
		p.Add(row.octets, row.waited)
		if got := p.Patience(stall, rate); got != row.want {
			t.Errorf("%d octets in %v: patience %v, want %v", row.octets, row.waited, got, row.want)
		}
	}
}

// TestPatienceWithGiants: however much has come, it is no reason for less patience.
func TestPatienceWithGiants(t *testing.T) {
	for _, rate := range []int{1, 500} {
		var p pace.Pace
		p.Add(1<<40, time.Second)
		p.Add(1<<60, time.Second)
		if got := p.Patience(time.Minute, rate); got != time.Minute {
			t.Errorf("at %d octets a second: patience %v, want a minute", rate, got)
		}
	}
}
