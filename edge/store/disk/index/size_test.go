package index

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"nearcast/internal/racing"
)

var large = flag.Int("large", 1_000_000, "entries of TestSize")

// metered is memory that remembers the most that was in use.
type metered struct {
	memory
	now, most int64
}

func (m *metered) back(r *region, from, to int) {
	m.now += int64(to - from)
	m.most = max(m.most, m.now)
	m.memory.back(r, from, to)
}

func (m *metered) drop(r *region, from, to int) {
	m.now -= int64(to - from)
	m.memory.drop(r, from, to)
}

// TestSize holds memory to 20 octets an entry, what both tables of a shard that grows take included.
func TestSize(t *testing.T) {
	racing.Alone(t)
	const perEntry, from = 20, 100_000
	mem := &metered{memory: mapped{}}
	x, chance := &Index{memory: mem}, rand.New(rand.NewPCG(1, 2))
	defer x.Close()
	if empty := x.Bytes(); empty > 100<<10 {
		t.Errorf("empty it takes %d octets", empty)
	}
	worst, at := 0.0, 0
	for n := range *large {
		before := x.Bytes() - mem.now
		mem.most = mem.now
		if !x.Insert(chance.Uint64(), Entry{Location: Location{uint32(n >> 20), uint32(n) & MaxOffset}}) {
			t.Fatal("there is no memory")
		}
		if each := float64(mem.most+before) / float64(n+1); n >= from && each > worst {
			worst, at = each, n+1
		}
		if n == 1000 && x.Bytes() > 400<<10 {
			t.Errorf("with 1000 entries it takes %d octets", x.Bytes())
		}
	}
	t.Logf("at most %.2f octets an entry, with %d; %.2f with %d", worst, at, float64(x.Bytes())/float64(x.Len()), x.Len())
	if worst > perEntry {
		t.Errorf("it takes %.2f octets an entry with %d, want at most %d", worst, at, perEntry)
	}
	mem.most = mem.now
	x.RemoveFunc(func(hash uint64, _ Entry) bool { return hash>>32%100 == 0 })
	if each := float64(mem.most) / float64(x.Len()); each > perEntry {
		t.Errorf("while a hundredth is removed, it takes %.2f octets an entry", each)
	}
	x.RemoveFunc(func(hash uint64, _ Entry) bool { return hash>>32%16 > 0 })
	if each := float64(x.Bytes()) / float64(x.Len()); each > 30 {
		t.Errorf("when most are gone, it takes %.2f octets for each of %d", each, x.Len())
	}
}

func TestAllocations(t *testing.T) {
	x := New()
	defer x.Close()
	for n := range uint32(10_000) {
		x.Insert(uint64(n)<<40|uint64(n), Entry{Location: Location{1, n}})
	}
	var buf [4]Entry
	n, key := uint32(0), "/a/key/of/some/length"
	if got := testing.AllocsPerRun(1000, func() {
		hash := uint64(n)<<40 | uint64(n)
		if len(x.Find(hash, buf[:0])) == 0 {
			t.Fatal("it is not there")
		}
		x.Touch(hash, Location{1, n})
		x.Find(Hash([16]byte{1}, key, "br"), buf[:0])
		n++
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestUnmapped waits for the collector to give back the addresses of what was left behind.
func TestUnmapped(t *testing.T) {
	gone := make(chan struct{})
	func() {
		x := New()
		x.Insert(0, Entry{})
		runtime.AddCleanup(x.shards[0].table.Load().region, func(c chan struct{}) { close(c) }, gone)
		x.Close()
	}()
	for deadline := time.After(30 * time.Second); ; {
		runtime.GC()
		select {
		case <-gone:
			return
		case <-deadline:
			t.Fatal("the region is still held")
		default:
			runtime.Gosched()
		}
	}
}
