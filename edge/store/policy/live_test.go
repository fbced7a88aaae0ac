package policy

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"nearcast/internal/racing"
)

// user keeps the books of a Live as its user would.
type user struct {
	t        testing.TB
	p        *Live
	budget   int64
	bytes    int64
	most     int // entries at any time
	sizes    map[Handle]int64
	promoted map[Handle]bool
	handles  map[uint64]Handle
	hashes   map[Handle]uint64
}

func newUser(t testing.TB, budget int64) *user {
	t.Helper()
	return &user{
		t: t, p: NewLive(budget), budget: budget, sizes: make(map[Handle]int64), promoted: make(map[Handle]bool),
		handles: make(map[uint64]Handle), hashes: make(map[Handle]uint64),
	}
}

func (u *user) access(hash uint64, size int64) bool {
	if h, ok := u.handles[hash]; ok {
		u.p.Use(h)
		return true
	}
	h, events := u.p.Add(hash, size)
	if _, taken := u.sizes[h]; taken || h == 0 {
		u.t.Fatalf("Add returned handle %d, which is taken", h)
	}
	u.store(h, hash, size)
	u.take(events)
	return false
}

func (u *user) take(events []Event) {
	for _, e := range events {
		if _, ok := u.sizes[e.Handle]; !ok {
			u.t.Fatalf("event %+v is of no entry: it went twice", e)
		}
		switch e.Kind {
		case Promoted:
			if u.promoted[e.Handle] {
				u.t.Fatalf("entry %d is promoted for the second time", e.Handle)
			}
			u.promoted[e.Handle] = true
		case Evicted:
			if e.Proven != u.promoted[e.Handle] {
				u.t.Fatalf("evicted entry %d: proven %v, but promoted %v", e.Handle, e.Proven, u.promoted[e.Handle])
			}
			u.drop(e.Handle)
		default:
			u.t.Fatalf("an event of no kind: %+v", e)
		}
	}
	if u.p.Bytes() != u.bytes || u.p.Len() != len(u.sizes) || u.bytes > u.budget {
		u.t.Fatalf("%d entries of %d octets, want %d of %d, at most %d", u.p.Len(), u.p.Bytes(), len(u.sizes), u.bytes, u.budget)
	}
	u.most = max(u.most, len(u.sizes))
	if ghosts := u.p.ghosts.queue; ghosts.bytes > 4*u.budget || ghosts.count > max(4*u.most, minGhosts) {
		u.t.Fatalf("%d ghosts of %d octets; there were %d entries at most, the budget is %d", ghosts.count, ghosts.bytes, u.most, u.budget)
	}
}

func (u *user) store(h Handle, hash uint64, size int64) {
	u.sizes[h], u.handles[hash], u.hashes[h] = size, h, hash
	u.bytes += size
}

func (u *user) drop(h Handle) {
	delete(u.handles, u.hashes[h])
	delete(u.hashes, h)
	u.bytes -= u.sizes[h]
	delete(u.sizes, h)
	delete(u.promoted, h)
}

// TestLiveBooks does anything to a Live in any order, under every setting.
func TestLiveBooks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		u := newUser(t, rapid.Int64Range(1, 1000).Draw(rt, "budget"))
		sizes := rapid.Int64Range(0, rapid.SampledFrom([]int64{1, 30, 2000}).Draw(rt, "largest"))
		hashes := rapid.Uint64Range(0, 200)
		for range rapid.IntRange(0, 500).Draw(rt, "steps") {
			hash := hashes.Draw(rt, "hash")
			h := u.handles[hash]
			switch rapid.IntRange(0, 20).Draw(rt, "what") {
			case 0:
				if got, want := u.p.Remove(h), h != 0; got != want {
					rt.Fatalf("Remove(%d) = %v, want %v", h, got, want)
				}
				u.drop(h)
			case 1:
				by := sizes.Draw(rt, "size") - u.sizes[h]
				if h != 0 {
					u.sizes[h] += by
					u.bytes += by
				}
				u.take(u.p.Grow(h, by))
			case 2:
				u.p.tuner.best = rapid.IntRange(0, len(settings())-1).Draw(rt, "setting")
				u.p.setting = u.p.tuner.setting()
			default:
				u.access(hash, sizes.Draw(rt, "size"))
			}
		}
	})
}

// TestLiveIsItsShadow: as long as the setting stays, the live policy hits and misses just as the shadow of that setting does.
func TestLiveIsItsShadow(t *testing.T) {
	for i, set := range settings() {
		r := rand.New(rand.NewPCG(1, uint64(i))) //nolint:gosec // a test
		u := newUser(t, 5000)
		u.p.tuner.best, u.p.setting = i, set
		u.p.tuner.mask = math.MaxUint64 // it sees nothing
		shadow := newShadow(5000, newS3FIFO(set))
		for n := range 8000 {
			hash := uint64(math.Exp(r.Float64() * 7))
			size := int64(mix(hash) % 100)
			if hash%50 == 0 {
				size *= 20
			}
			if got, want := u.access(hash, size), shadow.Access(hash, size); got != want {
				t.Fatalf("setting %+v, request %d for %d: hit %v, the shadow says %v", set, n, hash, got, want)
			}
		}
	}
}

func TestLiveEvents(t *testing.T) {
	type step struct {
		hash uint64
		size int64
		want string // what becomes of whom, by the letters of hashes
	}
	for name, steps := range map[string][]step{
		"asked for once goes from the small queue":       {{'a', 10, ""}, {'b', 90, ""}, {'c', 5, "-a"}},
		"asked for again is promoted instead":            {{'a', 10, ""}, {'a', 10, ""}, {'b', 80, ""}, {'c', 5, ""}, {'d', 9, "+a-b"}},
		"a ghost that comes back is promoted":            {{'a', 10, ""}, {'b', 9, ""}, {'c', 85, "-c"}, {'d', 10, ""}, {'c', 50, "+c"}},
		"larger than the budget goes at once":            {{'a', 10, ""}, {'b', 101, "-b"}},
		"and leaves no ghost":                            {{'b', 101, "-b"}, {'b', 10, ""}},
		"large and unknown does not push out the others": {{'a', 5, ""}, {'b', 5, ""}, {'c', 95, "-c"}, {'a', 5, ""}},
		"large and known does":                           {{'a', 10, ""}, {'b', 85, ""}, {'c', 20, "-c"}, {'c', 20, "+c-a-b"}},
		"large is welcome while there is room":           {{'a', 100, ""}, {'a', 100, ""}},
		"of no size at all":                              {{'a', 0, ""}, {'b', 0, ""}, {'c', 100, ""}, {'d', 0, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, 100)
			for i, s := range steps {
				var events []Event
				if h, ok := u.handles[s.hash]; ok {
					u.p.Use(h)
				} else {
					var h Handle
					h, events = u.p.Add(s.hash, s.size)
					u.store(h, s.hash, s.size)
				}
				got := ""
				for _, e := range events {
					got += map[Kind]string{Evicted: "-", Promoted: "+"}[e.Kind] + string(rune(u.hashes[e.Handle]))
				}
				if got != s.want {
					t.Fatalf("step %d, %c of %d: %q, want %q", i, rune(s.hash), s.size, got, s.want)
				}
				u.take(events)
			}
		})
	}
}

// TestLiveAdapts: the small queue becomes large where all is asked for again soon and then never more, and stays small where favourites last.
func TestLiveAdapts(t *testing.T) {
	racing.Alone(t)
	const n = 15_000
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for name, tt := range map[string]struct {
		hash func(i int) uint64
		ok   func(small float64) bool
	}{
		"news":       {func(i int) uint64 { return uint64(i/2 - int(r.ExpFloat64()*250)) }, func(small float64) bool { return small >= 0.6 || small == 0 }},
		"favourites": {func(int) uint64 { return uint64(math.Exp(r.Float64() * 10)) }, func(small float64) bool { return small > 0 && small <= 0.3 }},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, 500)
			for i := range n {
				u.access(tt.hash(i), 1)
			}
			if r := u.p.Report(); !tt.ok(r.Small) {
				t.Errorf("the small queue has %v of the budget: %+v", r.Small, r)
			}
		})
	}
}

// TestSample: a large cache is watched by a sample, and its shadows' hit ratios are near the true ones.
func TestSample(t *testing.T) {
	racing.Alone(t)
	const budget = 20_000
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test
	u := &counting{p: NewLive(budget), handles: make(map[uint64]Handle)}
	whole := NewLRU(budget)
	for range 80_000 {
		hash := mix(uint64(r.ExpFloat64() * 20_000)) // no favourite that a sample could miss
		u.access(hash)
		whole.Access(hash, 1)
	}
	report := u.p.Report()
	if report.Sample < 2 || report.Sample > 16 {
		t.Errorf("1 in %d is watched: of %d entries, %d at most should be", report.Sample, budget, maxWatched)
	}
	for _, rival := range report.Rivals {
		if rival.Stats.Entries > maxWatched {
			t.Errorf("%s has %d entries, want %d at most", rival.Name, rival.Stats.Entries, maxWatched)
		}
		if got, want := rival.Stats.ObjectRatio(), whole.Stats().ObjectRatio(); rival.Name == "LRU" && math.Abs(got-want) > 0.02 {
			t.Errorf("LRU hits %.3f of the sample, %.3f of all", got, want)
		}
	}
}

// counting is a user of entries of one octet that keeps no books.
type counting struct {
	p       *Live
	handles map[uint64]Handle
	hashes  []uint64
}

func (u *counting) access(hash uint64) {
	if h, ok := u.handles[hash]; ok {
		u.p.Use(h)
		return
	}
	h, events := u.p.Add(hash, 1)
	for len(u.hashes) <= int(h) {
		u.hashes = append(u.hashes, 0)
	}
	u.hashes[h], u.handles[hash] = hash, h
	for _, e := range events {
		if e.Kind == Evicted {
			delete(u.handles, u.hashes[e.Handle])
		}
	}
}

// TestUseBeside runs Use beside everything else, for the race detector; what was lost of the sample is counted.
func TestUseBeside(t *testing.T) {
	u := newUser(t, 1000)
	for hash := range uint64(1000) {
		u.access(hash, 1)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				u.p.Use(Handle(1 + i%1000))
			}
		})
	}
	for hash := range uint64(3000) {
		u.access(1000+hash, 1)
	}
	wg.Wait()
	u.access(5000, 1)
	for range 5000 {
		u.p.Use(1)
	}
	if u.p.Report().Lost == 0 {
		t.Error("5000 uses without an Add between them: none was lost, or they are not counted")
	}
}

func BenchmarkUse(b *testing.B) {
	for name, watch := range map[string]bool{"watched": true, "not watched": false} {
		b.Run(name, func(b *testing.B) {
			u := &counting{p: NewLive(1000), handles: make(map[uint64]Handle)}
			if !watch {
				u.p.tuner.mask = math.MaxUint64
			}
			for hash := range uint64(1000) {
				u.access(hash)
			}
			b.RunParallel(func(pb *testing.PB) {
				for i := 1; pb.Next(); i++ {
					u.p.Use(Handle(1 + i%1000))
				}
			})
		})
	}
}

// BenchmarkAdd adds to a full cache, a quarter of whose entries have been used.
func BenchmarkAdd(b *testing.B) {
	for name, entries := range map[string]int64{"5000 entries, all watched": 5000, "1 million entries": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			p := NewLive(entries)
			hash := uint64(0)
			add := func() {
				hash++
				h, _ := p.Add(mix(hash), 1)
				if hash%4 == 0 {
					p.Use(h)
				}
			}
			for range 2 * entries {
				add()
			}
			b.ReportAllocs()
			for b.Loop() {
				add()
			}
			b.ReportMetric(float64(p.tuner.octets())/(1<<20), "MiB-of-shadows")
			b.ReportMetric(float64(p.slab.octets()+p.ghosts.slab.octets()+8*len(p.ghosts.index.places)+4*chunkSize*len(*p.counters.Load()))/float64(entries), "octets/entry")
		})
	}
}

func (t *tuner) octets() (sum int) {
	for _, tr := range append(t.trials, t.rivals...) {
		sum += tr.shadow.slab.octets() + 8*len(tr.shadow.index.places)
		switch o := tr.shadow.order.(type) {
		case *s3fifo:
			sum += o.ghosts.slab.octets() + 8*len(o.ghosts.index.places)
		case *tinyLFU:
			sum += 8 * len(o.sketch.words)
		}
	}
	return sum
}

func (s *slab) octets() int { return len(s.chunks) * chunkSize * 32 }

// BenchmarkShadow is what an access costs a rival.
func BenchmarkShadow(b *testing.B) {
	for name, open := range every() {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a benchmark
			hashes := make([]uint64, 1<<16)
			for i := range hashes {
				hashes[i] = mix(uint64(math.Exp(r.Float64() * 12)))
			}
			s := open(4096)
			for i := 0; b.Loop(); i++ {
				s.Access(hashes[i%len(hashes)], 1)
			}
		})
	}
}
