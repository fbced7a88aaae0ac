package lograte_test

import (
	"testing"
	"time"

	"nearcast/internal/lograte"
)

func TestAllow(t *testing.T) {
	var l lograte.Limiter
	start := time.Now()
	for _, row := range []struct {
		after  time.Duration
		others int
		ok     bool
	}{
		{0, 0, true},
		{1, 0, false},
		{time.Second - 1, 0, false},
		{time.Second, 2, true},
		{time.Second + 1, 0, false},
		{5 * time.Second, 1, true},
		{6 * time.Second, 0, true},
	} {
		if others, ok := l.Allow(start.Add(row.after)); others != row.others || ok != row.ok {
			t.Errorf("after %s: %d others, %v; want %d, %v", row.after, others, ok, row.others, row.ok)
		}
	}
}
