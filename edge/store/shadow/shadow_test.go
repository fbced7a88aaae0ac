package shadow

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/policy"
	"nearcast/internal/racing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that stands still until the test moves it.
type clock struct{ at atomic.Int64 }

func (k *clock) now() time.Time { return time.Unix(1e9, k.at.Load()) }

func (k *clock) advance(d time.Duration) { k.at.Add(int64(d)) }

func open(t testing.TB, cfg Config) (*Caches, *clock) {
	t.Helper()
	k := new(clock)
	cfg.Now = k.now
	c := New(cfg)
	t.Cleanup(c.Close)
	return c, k
}

// find returns one of the shadows.
func find(t *testing.T, r Report, policy string, ram float64) Cache {
	t.Helper()
	i := slices.IndexFunc(r.Caches, func(c Cache) bool { return c.Policy == policy && c.RAM == ram })
	if i < 0 {
		t.Fatalf("no shadow %s with RAM x %v", policy, ram)
	}
	return r.Caches[i]
}

// TestSampledLRU: a shadow has the hit ratio of a cache that sees everything, to within two points.
func TestSampledLRU(t *testing.T) {
	racing.Alone(t)
	for _, tt := range []struct {
		name   string
		load   func(t *testing.T) []visit
		shift  uint  // of the sample, at first, with RAM of a tenth
		sample int64 // 1 in how many it is at the end, at the least, with RAM of a tenth
	}{
		{"adapt_size_request.trace.xz", func(t *testing.T) []visit { t.Helper(); return trace(t, "adapt_size_request.trace.xz") }, 1, 2},
		{"apache_logs.anon.tr.gz", func(t *testing.T) []visit { t.Helper(); return trace(t, "apache_logs.anon.tr.gz") }, 0, 1},
		{"cloudPhysicsIO.oracleGeneral.bin", func(t *testing.T) []visit { t.Helper(); return trace(t, "cloudPhysicsIO.oracleGeneral.bin") }, 0, 2},
		{"Zipf 0.7", func(*testing.T) []visit { return zipf(200_000, 80_000, 0.7, 10_000) }, 2, 4},
		{"Zipf 0.9", func(*testing.T) []visit { return zipf(200_000, 80_000, 0.9, 10_000) }, 2, 4},
		{"Zipf 1.1", func(*testing.T) []visit { return zipf(200_000, 80_000, 1.1, 10_000) }, 2, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			visits := tt.load(t)
			for _, share := range []int64{100, 10} {
				ram := footprint(visits) / share
				c, _ := open(t, Config{RAM: ram})
				if share == 10 {
					c.resample(tt.shift)
				}
				show(c, visits)
				r := c.Report()
				got := find(t, r, "lru", 1)
				objects, octets := exactly(policy.NewLRU(ram), visits, halfLife*float64(r.Sample))
				t.Logf("RAM 1/%d: sample 1/%d of %d objects: %.4f and %.4f; exactly %.4f and %.4f", share, r.Sample, got.Entries, got.Objects, got.Octets, objects, octets)
				if share == 10 && r.Sample < tt.sample {
					t.Errorf("the sample is 1/%d, want 1/%d or less: nothing is tested", r.Sample, tt.sample)
				}
				if math.Abs(got.Objects-objects) > 0.02 {
					t.Errorf("RAM 1/%d: LRU has %.4f of the requests in a sample of 1/%d, and %.4f of all", share, got.Objects, r.Sample, objects)
				}
				if math.Abs(got.Octets-octets) > 0.05 {
					t.Errorf("RAM 1/%d: LRU has %.4f of the octets in a sample of 1/%d, and %.4f of all", share, got.Octets, r.Sample, octets)
				}
			}
		})
	}
}

// realCache is a cache under the real policy.
type realCache struct {
	live    *policy.Live
	handles map[uint64]policy.Handle
	hashes  map[policy.Handle]uint64
}

func newReal(budget int64) *realCache {
	return &realCache{policy.NewLive(budget), make(map[uint64]policy.Handle), make(map[policy.Handle]uint64)}
}

func (l *realCache) Stats() policy.Stats { return policy.Stats{} }

func (l *realCache) Access(hash uint64, size int64) (hit bool) {
	if h, ok := l.handles[hash]; ok {
		l.live.Use(h)
		return true
	}
	h, events := l.live.Add(hash, size)
	l.handles[hash], l.hashes[h] = h, hash
	for _, e := range events {
		if e.Kind == policy.Evicted {
			delete(l.handles, l.hashes[e.Handle])
		}
	}
	return false
}

// TestCurve: the curve tells what the real policy would make of less RAM, or more.
func TestCurve(t *testing.T) {
	racing.Alone(t)
	visits := zipf(80_000, 40_000, 0.8, 10_000)
	ram := footprint(visits) / 25
	now := newReal(ram)
	c, _ := open(t, Config{RAM: ram, Live: now.live.Report})
	show(c, visits)
	r, before := c.Report(), 0.0
	for _, scale := range []float64{0.25, 1, 4} {
		objects, _ := exactly(newReal(int64(float64(ram)*scale)), visits, halfLife*float64(r.Sample))
		got := find(t, r, live, scale)
		t.Logf("RAM x %v: %.4f, really %.4f", scale, got.Objects, objects)
		if math.Abs(got.Objects-objects) > 0.03 {
			t.Errorf("with RAM x %v it says %.4f, and it is %.4f", scale, got.Objects, objects)
		}
		if got.Objects <= before {
			t.Errorf("with RAM x %v it says %.4f, no more than with a quarter of that", scale, got.Objects)
		}
		before = got.Objects
	}
}

// TestFollow: the models are set as the real policy is.
func TestFollow(t *testing.T) {
	racing.Alone(t)
	visits := zipf(200_000, 20_000, 0.8, 10_000)
	ram := footprint(visits) / 20
	ratio := func(cfg Config) float64 {
		c, _ := open(t, cfg)
		show(c, visits)
		return find(t, c.Report(), live, 1).Objects
	}
	first := ratio(Config{RAM: ram})
	other := ratio(Config{RAM: ram, Live: func() policy.Report { return policy.Report{Small: 0.9, Rounds: 1, Uses: 1} }})
	if other > first-0.01 {
		t.Errorf("with a setting that is bad for favourites the ratio is %.4f, and %.4f with the first one", other, first)
	}
}

// TestSample: the sample has some thousand objects, and the models stay within their memory.
func TestSample(t *testing.T) {
	racing.Alone(t)
	for _, tt := range []struct {
		name    string
		ram     int64
		objects int
		least   int64 // 1 in how many keys, and
		most    int64
	}{
		{"few objects", 64 << 20, 3000, 1, 1},
		{"of a small cache", 64 << 20, 100_000, 2, 4},
		{"of a large cache", 1 << 40, 600_000, 32, 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			c, _ := open(t, Config{RAM: tt.ram, Disk: true})
			for i := range tt.objects {
				c.take(&request{hash: mixed(uint64(i)), size: 10_000, body: 10_000})
			}
			r := c.Report()
			if r.Sample < tt.least || r.Sample > tt.most {
				t.Errorf("the sample is 1 in %d, want %d to %d", r.Sample, tt.least, tt.most)
			}
			if n := r.Caches[0].Entries; n < min(fewEntries/2, int64(tt.objects)/2) || n > 3*fewEntries {
				t.Errorf("the first model has %d objects", n)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			limit := min(max(tt.ram/memoryShare, minMemory), maxMemory)
			used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			t.Logf("1 in %d keys, %d octets, it says %d", r.Sample, used, r.Memory)
			if used > limit || used > r.Memory*5/4 || used < r.Memory/2 {
				t.Errorf("it takes %d octets and says that it takes %d, want %d at most", used, r.Memory, limit)
			}
		})
	}
}

// TestMemoryIsBounded: whatever the objects are like, one after the other, there are never more entries than there is room for.
func TestMemoryIsBounded(t *testing.T) {
	c, _ := open(t, Config{RAM: 1 << 30, Disk: true})
	id := uint64(0)
	for _, size := range []int64{1 << 20, 700, 200_000, 1500, 30_000} {
		for range 60_000 {
			id++
			c.take(&request{hash: mixed(id), size: size, body: size})
		}
		over := checkEvery * int64(len(c.models))
		if n, memory := c.entries(); n > c.room+over || memory > c.room*3/2+over {
			t.Errorf("after objects of %d octets: %d entries, memory for %d, room for %d", size, n, memory, c.room)
		}
	}
}

// mixed is a hash that is the same each time.
func mixed(id uint64) uint64 {
	id = (id ^ id>>30) * 0xbf58476d1ce4e5b9
	id = (id ^ id>>27) * 0x94d049bb133111eb
	return id ^ id>>31
}

// TestLoad: a great many requests make the sample smaller; when there are few again it grows, if it has too few objects.
func TestLoad(t *testing.T) {
	c, clock := open(t, Config{RAM: 10 << 20})
	ask := func(requests, objects int) {
		for i := range requests {
			c.take(&request{hash: mixed(uint64(i % objects)), size: 10_000, body: 10_000})
		}
		clock.advance(time.Second)
		c.drain()
	}
	for range 4 {
		ask(120_000, 2000)
	}
	if r := c.Report(); r.Sample != 8 {
		t.Errorf("with 120,000 requests a second the sample is 1 in %d, want 8", r.Sample)
	}
	for range 20 {
		ask(4000, 2000)
	}
	r := c.Report()
	if r.Sample != 1 {
		t.Errorf("with 4000 requests a second the sample is 1 in %d, want 1", r.Sample)
	}
	if n := r.Caches[0].Entries; n < 900 {
		t.Errorf("the model has %d objects, want those that find room", n)
	}
}

// TestLargest: the cut is where the hits are, unless octets are lost for it, and is not moved all the time.
func TestLargest(t *testing.T) {
	const ram = 32 << 20 // so that the cuts are 32 KiB, 128 KiB and 512 KiB
	small := zipf(20_000, 4000, 0.8, 9000)
	// among the small ones come large ones that nobody asks for again, or favourites that are asked for all the time
	mix := func(large func(i int) visit) (visits []visit) {
		for i, v := range small {
			visits = append(visits, v)
			if i%10 == 0 {
				visits = append(visits, large(i))
			}
		}
		return visits
	}
	seldom := mix(func(i int) visit { return visit{uint64(1e6 + i), 400 << 10} })
	favourites := mix(func(i int) visit { return visit{uint64(1e6 + i/10%25), 400 << 10} })
	for _, tt := range []struct {
		name  string
		disk  bool
		first []visit
		want  int64
	}{
		{"large ones in the way", true, seldom, 128 << 10},
		{"without a disk", false, seldom, 512 << 10},
		{"large ones give the octets", true, favourites, 512 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, clock := open(t, Config{RAM: ram, Disk: tt.disk})
			first := c.Largest()
			show(c, tt.first)
			clock.advance(patience - 1)
			c.drain()
			if got := c.Largest(); got != first {
				t.Errorf("before a minute is over it is %d, and was %d", got, first)
			}
			clock.advance(1)
			c.drain()
			if got := c.Largest(); tt.want == 512<<10 && got < tt.want || tt.want < 512<<10 && got > tt.want {
				t.Errorf("it is %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("and back", func(t *testing.T) {
		c, clock := open(t, Config{RAM: ram, Disk: true})
		changes, last := 0, c.Largest()
		for round := range 20 {
			if round < 10 {
				show(c, seldom)
			} else {
				show(c, favourites)
			}
			clock.advance(20 * time.Second)
			c.drain()
			if now := c.Largest(); now != last {
				changes, last = changes+1, now
			}
		}
		if last < 512<<10 || changes < 2 || changes > 6 {
			t.Errorf("%d changes in 400 s, and at the end it is %d", changes, last)
		}
	})
}

// object makes one; its response varies by Accept-Language if that is not empty.
func object(key, variant, language string, body int) *store.Object {
	h, fields := http.Header{}, http.Header{}
	if language != "" {
		h.Set("Vary", "Accept-Language")
		fields.Set("Accept-Language", language)
	}
	now := time.Unix(1e9, 0)
	r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet, Header: fields}, http.StatusOK, h, now, now)
	return &store.Object{Key: cdn.CacheKey(key), Variant: variant, Response: r, Body: store.NewBody(make([]byte, body))}
}

// TestObjects: what may be stored side by side is counted each on its own, and sampled by its key.
func TestObjects(t *testing.T) {
	c, _ := open(t, Config{RAM: 1 << 20})
	seen := make(map[uint64]string)
	for _, o := range []*store.Object{
		object("a", "", "", 1), object("b", "", "", 1), object("a", "v", "", 1), object("a", "", "de", 1), object("a", "", "en", 1), object("a", "v", "en", 1),
		object(string(store.SliceKey(1, 0)), "", "", 1), object(string(store.SliceKey(1, 1)), "", "", 1), object(string(store.CodedKey(1, "gzip")), "", "", 1),
	} {
		name := fmt.Sprintf("%q %q %v", o.Key, o.Variant, o.Response.Selecting())
		h := c.hash(o)
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s are one", name, other)
		}
		seen[h] = name
		again := *o
		again.ID = 99
		if c.hash(&again) != h {
			t.Errorf("%s becomes another with other content", name)
		}
		if o.Key == "a" && h&maskOf(keyBits) != c.hash(object("a", "", "", 1))&maskOf(keyBits) {
			t.Errorf("%s is sampled otherwise than its key", name)
		}
	}
	for range 3 {
		for _, o := range []*store.Object{object("a", "", "de", 1000), object("a", "", "en", 3000)} {
			c.Asked(o)
		}
	}
	if got := find(t, c.Report(), "lru", 1); got.Entries != 2 || math.Abs(got.Objects-4.0/6) > 1e-9 || math.Abs(got.Octets-8.0/12) > 1e-9 {
		t.Errorf("after three requests for each of two: %+v", got)
	}
}

// TestSizes: an object takes what it would take in RAM, also if its body is in a file.
func TestSizes(t *testing.T) {
	c, _ := open(t, Config{RAM: 100_000})
	inFile := object("a", "", "", 0)
	inFile.Body = store.NewExtentBody(new(extent), 60_000)
	for range 2 {
		for _, o := range []*store.Object{inFile, object("b", "", "", 60_000)} {
			c.Asked(o)
		}
	}
	if got := find(t, c.Report(), "lru", 1); got.Entries != 1 || got.Objects != 0 {
		t.Errorf("two that have no room together: %+v", got)
	}
	if got := find(t, c.Report(), live, 2); got.Entries > 2 {
		t.Errorf("two that have room together: %+v", got)
	}
}

type extent struct{ store.Extent }

// TestLineup: the rivals are there, and what has to do with a disk only if there is one.
func TestLineup(t *testing.T) {
	names := func(disk bool) string {
		c, _ := open(t, Config{RAM: 1 << 30, Disk: disk})
		set := make(map[string]bool)
		for _, one := range c.Report().Caches {
			set[one.Policy] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(set)), " ")
	}
	if got, want := names(false), "live lru lru-to-1MiB lru-to-256KiB lru-to-64KiB s3-fifo sieve w-tinylfu"; got != want {
		t.Errorf("without a disk: %s, want %s", got, want)
	}
	if got, want := names(true), "live live-to-1MiB live-to-256KiB live-to-64KiB lru lru-to-1MiB lru-to-256KiB lru-to-64KiB s3-fifo sieve w-tinylfu"; got != want {
		t.Errorf("with a disk: %s, want %s", got, want)
	}
	for _, ram := range []int64{1, 1 << 20, 5 << 20, 64 << 20, 1 << 40} {
		if all := cuts(ram); !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) || all[0] < 4<<10 {
			t.Errorf("cuts of %d octets: %v", ram, all)
		}
	}
}

// TestDropped: what nobody comes to look at is lost, and counted.
func TestDropped(t *testing.T) {
	c, _ := open(t, Config{RAM: 1 << 20})
	c.Close()
	c.drain()
	o := object("a", "", "", 1)
	for range buffered + 7 {
		c.Asked(o)
	}
	if r := c.Report(); r.Dropped != 7 || r.Caches[0].Objects < 0.99 {
		t.Errorf("%d dropped, want 7; hit ratio %v", r.Dropped, r.Caches[0].Objects)
	}
}

// TestAlways: everything may happen at any time.
func TestAlways(t *testing.T) {
	c := New(Config{RAM: 1 << 20, Disk: true})
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 20_000 {
				o := object(fmt.Sprint(i%(1000*(n+1))), "", "", 300)
				if c.Samples(o.Key) {
					c.Asked(o)
				}
				if i%4000 == 0 {
					c.Report()
					c.Largest()
				}
			}
		})
	}
	all.Wait()
	c.Close()
	c.Close()
	if r := c.Report(); r.Caches[0].Objects < 0.2 || r.Caches[0].Objects > 1 {
		t.Errorf("hit ratio %v", r.Caches[0].Objects)
	}
}

// TestSamples: 1 in 64 keys is shown at all times, and 1 in 64 requests whatever their key.
func TestSamples(t *testing.T) {
	c, _ := open(t, Config{RAM: 1 << 30})
	c.Close()
	c.resample(usualShift)
	const n = 100_000
	keys, counted := 0, 0
	for i := range n {
		o := object(fmt.Sprint(i), "", "", 1)
		if c.hash(o)&maskOf(usualShift) == 0 {
			keys++
			if !c.Samples(o.Key) {
				t.Fatalf("%s is not always in the sample", o.Key)
			}
		} else if c.Samples(o.Key) {
			counted++
			c.Asked(o)
		}
		if i%1000 == 0 {
			c.drain()
		}
	}
	c.drain()
	if keys < n/64*8/10 || keys > n/64*12/10 || counted < n/64*8/10 || counted > n/64*12/10 {
		t.Errorf("%d keys and %d requests of %d, want 1 in 64 of both", keys, counted, n)
	}
	if c.taken != 0 || c.counted.requests != float64(counted) || c.models[0].counted.requests != float64(counted) {
		t.Errorf("%d of others are in the sample, and %v of %d were counted", c.taken, c.counted.requests, counted)
	}
}

// TestHitsAreCheap: nobody who asks allocates anything.
func TestHitsAreCheap(t *testing.T) {
	c, _ := open(t, Config{RAM: 1 << 30})
	c.Close()
	o := object("https://example.org/some/path/of/a/usual/length.html", "", "", 1000)
	if n := testing.AllocsPerRun(1000, func() {
		if c.Samples(o.Key) {
			c.Asked(o)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkHit is what a hit costs those who ask.
func BenchmarkHit(b *testing.B) {
	for _, sampled := range []bool{false, true} {
		b.Run(map[bool]string{false: "others", true: "sampled"}[sampled], func(b *testing.B) {
			c, _ := open(b, Config{RAM: 1 << 30, Disk: true})
			c.Close() // it would take the processor's time as well
			c.mu.Lock()
			c.resample(usualShift)
			c.mu.Unlock()
			var objects []*store.Object
			for i := 0; len(objects) < 1024; i++ {
				o := object(fmt.Sprintf("https://example.org/some/path/of/a/usual/length/%08d.html", i), "", "", 100)
				if (c.hash(o)&maskOf(usualShift) == 0) == sampled {
					objects = append(objects, o)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if o := objects[i%len(objects)]; c.Samples(o.Key) {
					c.Asked(o)
				}
				if i%buffered == 0 {
					c.spare = c.buffer.swap(c.spare)[:0]
				}
			}
		})
	}
}

// BenchmarkModels is what the goroutine has to do for one request of the sample.
func BenchmarkModels(b *testing.B) {
	c, _ := open(b, Config{RAM: 1 << 30, Disk: true})
	visits := zipf(1<<17, 1<<16, 0.9, 10_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v := visits[i%len(visits)]
		c.take(&request{hash: mixed(v.id) << 20, size: v.size, body: v.size, counted: i%2 == 0})
	}
}
