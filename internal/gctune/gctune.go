// Package gctune chooses how far the heap may grow before garbage is collected.
//
// Go's default lets it double. For a program that keeps much, such as a cache or a server of many idle connections, that
// is as much memory again for nothing; for one that keeps little it means a collection every few megabytes.
package gctune

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	minPercent = 25       // of what is kept may be added
	minGrowth  = 32 << 20 // octets that may be added in any case
)

// Percent is the GOGC that lets a heap of which so many octets are in use grow by a quarter, or by 32 MiB if that is more.
func Percent(live uint64) int {
	if live == 0 {
		return 100
	}
	return int(min(max(minPercent, minGrowth*100/live), 10_000))
}

// Start sets GOGC after each collection from now on, until stop is called, which sets it back. It does
// nothing where the environment has a GOGC.
func Start() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	t := &tuner{before: debug.SetGCPercent(100)}
	t.set = 100
	t.tune()
	t.arm()
	return func() {
		t.stopped.Store(true)
		debug.SetGCPercent(t.before)
	}
}

// tuner belongs to the goroutine that runs finalizers, once it is armed.
type tuner struct {
	before  int
	set     int
	stopped atomic.Bool
}

// sentinel dies in each collection, of which its finalizer tells.
type sentinel struct{ t *tuner }

func (t *tuner) arm() {
	s := &sentinel{t}
	runtime.SetFinalizer(s, func(s *sentinel) {
		if s.t.stopped.Load() {
			return
		}
		s.t.tune()
		s.t.arm()
	})
}

// tune sets GOGC, unless it is nearly right: setting it stops the world for a moment.
func (t *tuner) tune() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	want := Percent(sample[0].Value.Uint64())
	if diff := want - t.set; 10*max(diff, -diff) > t.set {
		t.set = want
		debug.SetGCPercent(want)
	}
}
