package gctune_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"nearcast/internal/gctune"
)

func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 10: 10_000, 32 << 20: 100, 64 << 20: 50, 128 << 20: 25, 64 << 30: 25} {
		if got := gctune.Percent(live); got != want {
			t.Errorf("%d octets in use: %d, want %d", live, got, want)
		}
	}
}

// TestStart: GOGC follows what is in use, and is as it was in the end.
func TestStart(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	stop := gctune.Start()
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
	runtime.KeepAlive(keep)
	stop()
	if got := now(); got != 100 {
		t.Errorf("afterwards it is %d, want 100", got)
	}
	t.Setenv("GOGC", "50")
	gctune.Start()()
	if got := now(); got != 100 {
		t.Errorf("with one in the environment it is %d, want it untouched", got)
	}
}
