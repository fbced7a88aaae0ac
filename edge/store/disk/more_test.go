package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

// TestAlive: what a purge covers is not served, and not written again.
func TestAlive(t *testing.T) {
	var purged atomic.Bool
	c := config(fsys.NewMem(fsys.MemConfig{}))
	c.Alive = func(o *store.Object) bool { return !purged.Load() || o.Born > 7 }
	s := open(t, c)
	put(t, s, thing("a", "old"), "")
	put(t, s, thing("b", "old"), "")
	purged.Store(true)
	want(t, s, "a", "", nothing)
	if o, known := s.Get(store.Lookup{Key: "a"}); o != nil || known {
		t.Error("what has been purged is known")
	}
	o := thing("a", "new")
	o.Born = 8
	put(t, s, o, "")
	want(t, s, "a", "", "new")
	if got := s.Stats().Disks[0].Purged; got != 2 {
		t.Errorf("%d purged, want one for each time that it was asked for", got)
	}
}

func TestAllAndHas(t *testing.T) {
	s := open(t, pair(fsys.NewMem(fsys.MemConfig{})))
	bodies := make(map[string]bool)
	for i := range 50 {
		put(t, s, thing(keyOf(i), "old"), "")
	}
	for i := range 50 {
		put(t, s, thing(keyOf(i), keyOf(i)), "")
		bodies[keyOf(i)] = true
		if !s.Has(store.Lookup{Key: cdn.CacheKey(keyOf(i))}) || s.Has(store.Lookup{Key: cdn.CacheKey(keyOf(i) + " never")}) {
			t.Errorf("Has(%q) is wrong", keyOf(i))
		}
	}
	seen := 0
	for o := range s.All {
		if !bodies[string(o.Key)] || o.Length != int64(len(o.Key)) {
			t.Errorf("All yields %q of %d octets", o.Key, o.Length)
		}
		seen++
	}
	if seen != 50 {
		t.Errorf("All yields %d objects, want 50", seen)
	}
	for range s.All { // who has enough is not called again
		break
	}
}

// TestVerifyRate: no faster than is allowed.
func TestVerifyRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(fsys.NewMem(fsys.MemConfig{}))
		c.Now = func() time.Time { return epoch.Add(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))) }
		s := open(t, c)
		for i := range 20 {
			put(t, s, thing(keyOf(i), long("x", 9000)), "")
		}
		begin := time.Now()
		r, err := s.Verify(context.Background(), 10_000)
		took := time.Since(begin)
		if err != nil || r.Records != 20 || took < time.Duration(r.Octets/10_000)*time.Second || took > time.Duration(r.Octets/10_000+2)*time.Second {
			t.Errorf("Verify: %+v, %v in %v", r, err, took)
		}
		closed(t, s)
	})
}

// TestTogether: many do everything at once, on little room and two disks; what comes is always the body of its key.
func TestTogether(t *testing.T) {
	c := pair(fsys.NewMem(fsys.MemConfig{}))
	c.Disks[0].Size, c.Disks[1].Size = 16*segmentSize, 20*segmentSize
	s := open(t, c)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 9)) //nolint:gosec // small
			for i := range 800 {
				key := keyOf(rng.IntN(200))
				switch n := rng.IntN(100); {
				case n < 40:
					s.Put(thing(key, long(key, rng.IntN(6000))), nil)
				case n < 45:
					s.Forget(store.Lookup{Key: cdn.CacheKey(key)})
				case n == 45 && g == 0 && i%4 == 0:
					s.Clear()
				case n == 46 && g < 2:
					if _, err := s.Verify(context.Background(), 0); err != nil {
						t.Error(err)
					}
				case n == 47:
					s.Stats()
					s.Roomy()
				default:
					if o := get(s, key, ""); o != nil && text(o) != long(key, int(o.Length)) {
						t.Errorf("Get(%q) = %.40q", key, text(o))
					}
				}
			}
		})
	}
	wg.Wait()
	for _, d := range s.Stats().Disks {
		if d.Damaged > 0 || d.Errors > 0 || d.Failed != "" || d.Used > d.Size {
			t.Errorf("%+v", d)
		}
	}
}

// TestSpread: objects go to the disks by their size, and where one is does not depend on the others.
func TestSpread(t *testing.T) {
	c := pair(fsys.NewMem(fsys.MemConfig{}))
	c.Disks[1].Size *= 3
	s := open(t, c)
	for i := range 2000 {
		put(t, s, thing(keyOf(i), ""), "")
	}
	if st := s.Stats(); st.Disks[0].Objects < 400 || st.Disks[0].Objects > 600 {
		t.Errorf("%d and %d objects on disks of 1 : 3", st.Disks[0].Objects, st.Disks[1].Objects)
	}
}

func TestConfig(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{})
	for _, tt := range []struct {
		name   string
		change func(c *disk.Config)
	}{
		{"no disks", func(c *disk.Config) { c.Disks = nil }},
		{"no path", func(c *disk.Config) { c.Disks[0].Path = "" }},
		{"twice", func(c *disk.Config) { c.Disks = append(c.Disks, c.Disks[0]) }},
		{"too small", func(c *disk.Config) { c.Disks[0].Size = 1000 }},
		{"odd segments", func(c *disk.Config) { c.SegmentSize = 100_000 }},
		{"large segments", func(c *disk.Config) { c.SegmentSize = 512 << 20 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config(m)
			tt.change(&c)
			if _, err := disk.Open(c); err == nil {
				t.Error("Open accepts it")
			}
		})
	}
}

// FuzzSegment: whatever is in a segment file, the store opens, and serves nothing but what was put.
func FuzzSegment(f *testing.F) {
	f.Add([]byte("x"), uint32(4096), true)
	f.Add(make([]byte, 64), uint32(segmentSize-64), true)
	f.Add([]byte{0, 1, 2}, uint32(segmentSize-64-48), false)
	f.Fuzz(func(t *testing.T, b []byte, at uint32, clean bool) {
		m := fsys.NewMem(fsys.MemConfig{})
		s := open(t, config(m))
		for i := range 12 {
			put(t, s, thing(keyOf(i), long(keyOf(i), 1000*i)), "")
		}
		s.Flush()
		if clean {
			closed(t, s)
		}
		killed := m.Kill()
		closed(t, s)
		names, err := killed.ReadDir("/d")
		if err != nil {
			t.Fatal(err)
		}
		file, err := killed.Open(fmt.Sprint("/d/", names[0]))
		if err != nil {
			t.Fatal(err)
		}
		off := int64(at % segmentSize)
		if _, err := file.WriteAt(b[:min(int64(len(b)), segmentSize-off)], off); err != nil {
			t.Fatal(err)
		}
		s = open(t, config(killed))
		for i := range 12 {
			if o := get(s, keyOf(i), ""); o != nil && text(o) != long(keyOf(i), 1000*i) {
				t.Errorf("Get(%q) = %.40q", keyOf(i), text(o))
			}
		}
		put(t, s, thing("more", "body"), "")
		want(t, s, "more", "", "body")
		closed(t, s)
	})
}
