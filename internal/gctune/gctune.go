// Package gctune chooses how far the heap may grow before garbage is collected.
//
// Go's default lets it double. For a program that keeps much, such as a cache or a server of many idle connections, that
// is as much memory again for nothing; for one that keeps little it means a collection every few megabytes. And a program that has
// promised how much memory it takes has to collect more often when it comes near that, but never so often that it does little else.
package gctune

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	percent   = 25       // of what is kept may be added
	minGrowth = 32 << 20 // octets that may be added in any case
	slack     = 40       // a 40th of the target is left to pages that are free between objects
	leastPart = 10       // however near or far beyond the target, a tenth of what is kept may be added,
	leastRoom = 16 << 20 // or so many octets
)

// Memory is what a process has of the runtime's memory, in octets.
type Memory struct {
	Live  uint64 // what the last collection left on the heap
	Other uint64 // stacks, the runtime's own, and what is lost between objects: neither objects nor free
}

// Percent is the GOGC that lets the heap grow by a quarter, or by 32 MiB if that is more, but not beyond target octets in all, as long as that
// leaves room for a tenth, or for 16 MiB if that is more. A target of zero is none.
func (m Memory) Percent(target uint64) int {
	if m.Live == 0 {
		return 100
	}
	room := max(m.Live*percent/100, minGrowth)
	if target > 0 {
		room = min(room, max(target-min(target, target/slack+m.Other+m.Live), m.least()))
	}
	return int(min(room*100/m.Live, 10_000))
}

// Limit is the GOMEMLIMIT that goes with Percent: a little above it, for what that does not see. The runtime gives memory back to the system to keep
// to it, which costs more than to collect in time.
func (m Memory) Limit(target uint64) int64 {
	if target == 0 {
		return math.MaxInt64
	}
	goal := m.Live + m.least()
	goal += goal / 32 // the runtime stops that much earlier
	return int64(min(max(target, goal+m.Other), math.MaxInt64))
}

// least is the room for garbage that there is in any case.
func (m Memory) least() uint64 { return max(m.Live/leastPart, leastRoom) }

// Start sets GOGC and GOMEMLIMIT after each collection from now on, until stop is called, which sets them back. The memory of the process stays
// within target octets, if what it keeps leaves any room for garbage there; zero is no target. The target is for what the runtime knows: the program's text is
// not in it, nor what the program maps by itself. Start does nothing where the environment has a GOGC, and
// has no target where that has a GOMEMLIMIT.
func Start(target uint64) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		target = 0
	}
	t := &tuner{target: target, before: debug.SetGCPercent(100), limitBefore: debug.SetMemoryLimit(-1)}
	t.set, t.limit = 100, t.limitBefore
	t.tune()
	t.arm()
	return func() {
		t.stopped.Store(true)
		debug.SetGCPercent(t.before)
		debug.SetMemoryLimit(t.limitBefore)
	}
}

// tuner belongs to the goroutine that runs finalizers, once it is armed.
type tuner struct {
	target      uint64
	before, set int
	limitBefore int64
	limit       int64
	stopped     atomic.Bool
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

// tune sets GOGC and GOMEMLIMIT, unless they are nearly right: setting them stops the world for a moment.
func (t *tuner) tune() {
	m := measure()
	want := m.Percent(t.target)
	if diff := want - t.set; 10*max(diff, -diff) > t.set {
		t.set = want
		debug.SetGCPercent(want)
	}
	if t.target == 0 {
		return
	}
	limit := m.Limit(t.target)
	if diff := limit - t.limit; max(diff, -diff) > t.limit/100 {
		t.limit = limit
		debug.SetMemoryLimit(limit)
	}
}

func measure() Memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	other := samples[1].Value.Uint64()
	for _, s := range samples[2:] {
		other -= min(other, s.Value.Uint64())
	}
	return Memory{Live: samples[0].Value.Uint64(), Other: other}
}
