package policy

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naive is a cache by a list, oldest first, as slow and as plain as can be.
type naive struct {
	budget  int64
	entries []naiveEntry
	hand    int
	kind    string
}

type naiveEntry struct {
	hash uint64
	size int64
	used bool
}

func (c *naive) bytes() (sum int64) {
	for _, e := range c.entries {
		sum += e.size
	}
	return sum
}

func (c *naive) access(hash uint64, size int64) bool {
	i := slices.IndexFunc(c.entries, func(e naiveEntry) bool { return e.hash == hash })
	switch {
	case i >= 0 && c.kind == "LRU":
		c.entries = append(slices.Delete(c.entries, i, i+1), naiveEntry{hash: hash, size: size})
	case i >= 0:
		c.entries[i].size, c.entries[i].used = size, true
	case size <= c.budget:
		c.entries = append(c.entries, naiveEntry{hash: hash, size: size})
	}
	for c.bytes() > c.budget {
		c.evict()
	}
	return i >= 0
}

func (c *naive) evict() {
	if c.kind != "SIEVE" {
		c.entries = c.entries[1:]
		return
	}
	for c.hand %= len(c.entries); c.entries[c.hand].used; c.hand = (c.hand + 1) % len(c.entries) {
		c.entries[c.hand].used = false
	}
	c.remove(c.hand)
}

// remove keeps the hand where it is: at the one after, if it was at that which goes.
func (c *naive) remove(i int) {
	c.entries = slices.Delete(c.entries, i, i+1)
	if i < c.hand {
		c.hand--
	}
	if c.hand == len(c.entries) {
		c.hand = 0
	}
}

func (c *naive) forget(hash uint64) bool {
	i := slices.IndexFunc(c.entries, func(e naiveEntry) bool { return e.hash == hash })
	if i >= 0 {
		c.remove(i)
	}
	return i >= 0
}

// TestModels holds the simple policies against naive ones, request by request.
func TestModels(t *testing.T) {
	for kind, open := range map[string]func(int64) *Shadow{"FIFO": NewFIFO, "LRU": NewLRU, "SIEVE": NewSIEVE} {
		t.Run(kind, rapid.MakeCheck(func(t *rapid.T) {
			budget := rapid.Int64Range(1, 60).Draw(t, "budget")
			model, shadow := &naive{budget: budget, kind: kind}, open(budget)
			sizes := rapid.Int64Range(0, 20)
			hashes := rapid.Uint64Range(0, 30)
			for i := range rapid.IntRange(0, 300).Draw(t, "requests") {
				hash := hashes.Draw(t, "hash")
				if rapid.IntRange(0, 9).Draw(t, "remove") == 0 {
					if got, want := shadow.Remove(hash), model.forget(hash); got != want {
						t.Fatalf("request %d: Remove(%d) = %v, the model says %v", i, hash, got, want)
					}
					continue
				}
				size := sizes.Draw(t, "size")
				if got, want := shadow.Access(hash, size), model.access(hash, size); got != want {
					t.Fatalf("request %d for %d of %d: hit %v, the model says %v", i, hash, size, got, want)
				}
			}
			if st := shadow.Stats(); st.Bytes != model.bytes() || st.Entries != int64(len(model.entries)) {
				t.Fatalf("%d entries of %d octets, the model has %d of %d", st.Entries, st.Bytes, len(model.entries), model.bytes())
			}
		}))
	}
}

// every is all rivals.
func every() map[string]func(int64) *Shadow {
	return map[string]func(int64) *Shadow{
		"FIFO": NewFIFO, "LRU": NewLRU, "SIEVE": NewSIEVE, "CLOCK": NewCLOCK,
		"S3-FIFO":          func(b int64) *Shadow { return NewS3FIFO(b, 1) },
		"S3-FIFO, 2 uses":  func(b int64) *Shadow { return NewS3FIFO(b, 2) },
		"with bypass":      func(b int64) *Shadow { return newShadow(b, newS3FIFO(settings()[0])) },
		"W-TinyLFU":        func(b int64) *Shadow { return NewWTinyLFU(b, 10, false) },
		"W-TinyLFU, climb": func(b int64) *Shadow { return NewWTinyLFU(b, 10, true) },
		"threshold":        func(b int64) *Shadow { return NewThreshold(b, b/2) },
	}
}

// TestShadows checks what holds for every rival: the budget, the books, the ghosts, and that who was just counted as there is there.
func TestShadows(t *testing.T) {
	for name, open := range every() {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			budget := rapid.Int64Range(1, 2000).Draw(t, "budget")
			s := open(budget)
			sizes := rapid.Int64Range(0, rapid.SampledFrom([]int64{1, 20, 3000}).Draw(t, "largest"))
			hashes := rapid.Uint64Range(0, rapid.Uint64Range(1, 300).Draw(t, "hashes"))
			for range rapid.IntRange(0, 400).Draw(t, "requests") {
				hash := hashes.Draw(t, "hash")
				switch rapid.IntRange(0, 40).Draw(t, "what") {
				case 0:
					if there := s.Has(hash); s.Remove(hash) != there {
						t.Fatalf("Remove(%d) does not report what Has reported: %v", hash, there)
					}
				case 1:
					budget /= 2
					s.halve(func(hash uint64) bool { return hash%2 == 0 })
				default:
					there := s.Has(hash)
					if s.Access(hash, sizes.Draw(t, "size")) != there {
						t.Fatalf("Access(%d) does not report what Has reported: %v", hash, there)
					}
				}
				checkBooks(t, s, budget)
			}
		}))
	}
}

func checkBooks(t *rapid.T, s *Shadow, budget int64) {
	entries, bytes := 0, int64(0)
	for n := uint32(1); n <= s.slab.top; n++ {
		if e := s.slab.at(n); e.queue != none {
			entries++
			bytes += e.size
			if s.index.find(&s.slab, e.hash) != n {
				t.Fatalf("entry %d is not found by its hash %d", n, e.hash)
			}
		}
	}
	st := s.Stats()
	if st.Entries != int64(entries) || st.Bytes != bytes || s.index.count != entries {
		t.Fatalf("counted are %d entries of %d octets, %d in the index; there are %d of %d", st.Entries, st.Bytes, s.index.count, entries, bytes)
	}
	if bytes > budget {
		t.Fatalf("%d octets with a budget of %d", bytes, budget)
	}
	if o, ok := s.order.(*s3fifo); ok && o.ghosts.queue.count > max(minGhosts, int(s.slab.top)) {
		t.Fatalf("%d ghosts of %d entries at most", o.ghosts.queue.count, s.slab.top)
	}
}

// TestIndexOfCollisions fills an index whose hashes all have the same place.
func TestIndexOfCollisions(t *testing.T) {
	var hashes []uint64
	for h := uint64(0); len(hashes) < 40; h++ {
		if mix(h)>>32&63 == 63 { // the last place: the row wraps round
			hashes = append(hashes, h)
		}
	}
	var s slab
	x := newIndex()
	nodes := make(map[uint64]uint32)
	for _, h := range hashes {
		nodes[h] = s.take(h, 1)
		x.insert(&s, nodes[h])
	}
	for i, gone := range hashes {
		x.remove(&s, nodes[gone])
		for j, h := range hashes {
			want := nodes[h]
			if j <= i {
				want = none
			}
			if got := x.find(&s, h); got != want {
				t.Fatalf("after %d removals hash %d is found at %d, want %d", i+1, h, got, want)
			}
		}
	}
}
