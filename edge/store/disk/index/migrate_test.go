package index

import (
	"testing"

	"nearcast/internal/racing"
)

// watched is memory that tells when a table that grows or shrinks has got some more of it, or has given some back.
type watched struct {
	memory
	seen func()
}

func (w *watched) back(r *region, from, to int) {
	w.memory.back(r, from, to)
	w.seen()
}

func (w *watched) drop(r *region, from, to int) {
	w.memory.drop(r, from, to)
	w.seen()
}

// TestMidway looks for entries while they are on their way from one table to another: what is there is found all the time, once, whichever table it
// is in.
func TestMidway(t *testing.T) {
	racing.Alone(t)
	const sample = 97
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			there, midway, count := map[uint64]int{}, 0, uint64(8000)
			if hash(0) == hash(7) {
				count = 1500 // all of them are found each time
			}
			mem := &watched{memory: mapped{}}
			x := &Index{memory: mem}
			defer x.Close()
			check := func() {
				for n := uint64(midway) % sample; n < count; n += sample {
					if got := len(x.Find(hash(n), nil)); got != there[hash(n)] {
						t.Fatalf("there are %d of %#x, want %d", got, hash(n), there[hash(n)])
					}
				}
			}
			mem.seen = func() {
				for i := range x.shards {
					if table := x.shards[i].table.Load(); table != nil && table.older.Load() != nil {
						midway++
						check()
					}
				}
			}
			for n := range count {
				x.Insert(hash(n), Entry{Location: locationOf(n)})
				there[hash(n)]++
			}
			check()
			for n := range count {
				there[hash(n)]-- // it is found until it is removed, and a table shrinks after that
				x.Remove(hash(n), locationOf(n))
			}
			if check(); midway < 10 {
				t.Errorf("there were only %d moments to look at", midway)
			}
		})
	}
}
