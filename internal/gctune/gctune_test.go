package gctune_test

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"nearcast/internal/gctune"
)

const mib = 1 << 20

func TestPercent(t *testing.T) {
	tests := []struct {
		name                string
		target, live, other uint64 // MiB
		want                int
	}{
		{"nothing", 0, 0, 10, 100},
		{"little", 0, 1, 10, 3200},
		{"32 MiB at least", 0, 64, 10, 50},
		{"a quarter", 0, 128, 10, 25},
		{"a quarter of much", 0, 64 << 10, 10, 25},
		{"far from the target", 1274, 500, 20, 25},
		{"near the target", 1240, 1024, 25, 15},
		{"nearer: a tenth is left", 1240, 1150, 25, 10},
		{"beyond: a tenth is left", 1240, 3000, 500, 10},
		{"little and beyond: 16 MiB are left", 100, 90, 50, 17},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := gctune.Memory{Live: tt.live * mib, Other: tt.other * mib}
			if got := m.Percent(tt.target * mib); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
	if got := (gctune.Memory{Live: 1 << 10}).Percent(0); got != 10_000 {
		t.Errorf("1 KiB in use: %d, want no more than 10,000", got)
	}
}

// TestLimit: the limit is the target, or lies above what GOGC asks for, so that the runtime never collects without end.
func TestLimit(t *testing.T) {
	if got := (gctune.Memory{Live: mib}).Limit(0); got != math.MaxInt64 {
		t.Errorf("without a target: %d", got)
	}
	if got := (gctune.Memory{Live: 1000 * mib, Other: 30 * mib}).Limit(1240 * mib); got != 1240*mib {
		t.Errorf("below the target: %d MiB, want the target", got/mib)
	}
	m := gctune.Memory{Live: 3000 * mib, Other: 500 * mib}
	goal := int64(m.Live)*int64(100+m.Percent(1240*mib))/100 + int64(m.Other)
	if got := m.Limit(1240 * mib); got <= goal {
		t.Errorf("beyond the target: %d MiB, want more than the %d that GOGC asks for", got/mib, goal/mib)
	}
}

// TestStart: GOGC follows what is in use, and is as it was in the end.
func TestStart(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	limit := debug.SetMemoryLimit(-1)
	const target = 600 * mib
	stop := gctune.Start(target)
	keep := make([]byte, 400<<20)
	now := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	for range 100 {
		runtime.GC() // finalizers run some time after it
		if now() == 25 {
			break
		}
		runtime.Gosched()
	}
	if got := now(); got != 25 {
		t.Errorf("with 400 MiB in use GOGC is %d, want 25", got)
	}
	if got := debug.SetMemoryLimit(-1); got != target {
		t.Errorf("GOMEMLIMIT is %d, want the target", got)
	}
	runtime.KeepAlive(keep)
	stop()
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("afterwards GOMEMLIMIT is %d, want %d", got, limit)
	}
	if got := now(); got != 100 {
		t.Errorf("afterwards it is %d, want 100", got)
	}
	t.Setenv("GOGC", "50")
	gctune.Start(0)()
	if got := now(); got != 100 {
		t.Errorf("with one in the environment it is %d, want it untouched", got)
	}
}
