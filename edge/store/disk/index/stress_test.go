package index

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestStress has readers look for entries that stay, and for nothing else, while writers have the tables around them change, grow, shrink and be
// left behind, on memory that the race detector sees and on that which would fault.
func TestStress(t *testing.T) {
	for name, mem := range map[string]memory{"heap": heap{}, "mapped": mapped{}} {
		t.Run(name, func(t *testing.T) {
			for _, one := range []bool{false, true} {
				s := &stress{x: &Index{memory: mem}, oneShard: one, rounds: 2}
				if testing.Short() {
					s.rounds = 1
				}
				s.run(t)
			}
		})
	}
}

type stress struct {
	x        *Index
	oneShard bool
	rounds   int
	done     atomic.Bool // the writers
	closed   atomic.Bool // or about to be
	reads    atomic.Int64
}

const (
	stays  = 500  // entries, in segment 0
	passes = 8000 // of each writer, in a segment of its own
)

func (s *stress) hash(segment, n uint32) uint64 {
	h := Hash([16]byte{}, string(little(uint64(segment))), string(little(uint64(n))))
	if s.oneShard {
		h &^= shards - 1
	}
	return h
}

func (s *stress) run(t *testing.T) {
	t.Helper()
	for n := range uint32(stays) {
		s.x.Insert(s.hash(0, n), Entry{Location: Location{0, n}, Expiry: Expiry(n), Flags: Flags(n)})
	}
	var readers, writers sync.WaitGroup
	for seed := range uint64(2) {
		readers.Go(func() { s.find(t, seed) })
	}
	readers.Go(func() { s.all(t) })
	for w := range uint32(2) {
		writers.Go(func() { s.write(t, 1+w) })
	}
	writers.Wait()
	if got := s.x.Len(); got != stays {
		t.Errorf("%d entries are left, want %d", got, stays)
	}
	s.closed.Store(true)
	s.x.Close()
	for range 3 { // what was left behind is unmapped now, if nobody reads it
		runtime.GC()
	}
	s.done.Store(true)
	readers.Wait()
	if s.reads.Load() == 0 {
		t.Error("nothing was read")
	}
}

func (s *stress) find(t *testing.T, seed uint64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 1))
	var buf [8]Entry
	for !s.done.Load() {
		n := chance.Uint32N(stays)
		found := s.x.Find(s.hash(0, n), buf[:0])
		s.x.Touch(s.hash(0, n), Location{0, n})
		if len(found) == 0 && s.closed.Load() {
			continue
		}
		if len(found) != 1 || found[0].Location != (Location{0, n}) || found[0].Expiry != Expiry(n) || found[0].Flags != Flags(n) {
			t.Errorf("of %d there is %+v", n, found)
			return
		}
		s.reads.Add(1)
	}
}

func (s *stress) all(t *testing.T) {
	t.Helper()
	for !s.done.Load() {
		seen := map[Location]int{}
		for hash, e := range s.x.All() {
			if e.Segment == 0 {
				seen[e.Location]++
				if hash != s.hash(0, e.Offset)&^(1<<32-shards) {
					t.Errorf("%v has hash %#x", e, hash)
				}
			}
		}
		for n := range uint32(stays) {
			if times := seen[Location{0, n}]; times != 1 && !s.closed.Load() {
				t.Errorf("%d came %d times", n, times)
				return
			}
		}
	}
}

// write has its own entries come, move and go; nobody else may do anything to them.
func (s *stress) write(t *testing.T, segment uint32) {
	t.Helper()
	for range s.rounds {
		for n := range uint32(passes) {
			if !s.x.Insert(s.hash(segment, n), Entry{Location: Location{segment, n}}) {
				t.Errorf("%d was not inserted", n)
			}
		}
		for n := range uint32(passes) {
			h, from := s.hash(segment, n), Location{segment, n}
			s.x.Touch(h, from)
			if n%3 == 0 {
				to := Location{segment, passes + n}
				if !s.x.Move(h, from, to, 1) {
					t.Errorf("%d was not moved", n)
				}
				from = to
			}
			if n%2 == 0 && !s.x.Remove(h, from) {
				t.Errorf("%d was not removed", n)
			}
		}
		if got := s.x.RemoveSegment(segment); got != passes/2 {
			t.Errorf("%d were removed at the end, want %d", got, passes/2)
		}
	}
}
