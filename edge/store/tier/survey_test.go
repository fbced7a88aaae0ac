package tier_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/tier"
	"nearcast/internal/fsys"
)

// aged is an object of a key that was born at an epoch; with a language it varies by that.
func aged(key, language string, born store.Epoch, size int) *store.Object {
	h := http.Header{"Cache-Control": {"max-age=60"}}
	req := httpcache.Request{Method: http.MethodGet, Header: http.Header{}}
	if language != "" {
		h.Set("Vary", "Accept-Language")
		req.Header.Set("Accept-Language", language)
	}
	r := httpcache.NewResponse(req, http.StatusOK, h, now(), now())
	return &store.Object{ID: store.ID(len(key)*1000 + size), Key: cdn.CacheKey(key), Born: born, Response: r, Body: store.NewBody(make([]byte, size)), Length: int64(size)}
}

func all(*store.Object) bool { return true }

// TestSurvey: everything is found once, and where it is; whatever the variant, under its key.
func TestSurvey(t *testing.T) {
	s := open(t, fsys.NewMem(fsys.MemConfig{}), 64<<10, 4<<20) // memory has room for a few
	defer s.Close()
	const n = 60
	for i := range n {
		if !s.Put(aged(fmt.Sprint("key ", i), "", 1, 2000), nil) {
			t.Fatal("refused")
		}
	}
	for i, language := range []string{"de", "en"} {
		s.Put(aged("varies", language, 1, 100+i), http.Header{"Accept-Language": {language}})
	}
	seen, inMemory := map[string]int{}, 0
	s.All(all, func(h tier.Held) bool {
		seen[string(h.Object.Key)]++
		if !h.OnDisk {
			t.Errorf("%s is not on disk", h.Object.Key)
		}
		if h.Memory {
			inMemory++
		}
		return true
	})
	if len(seen) != n+1 || seen["varies"] != 2 || seen["key 7"] != 1 || inMemory == 0 || inMemory > 32 {
		t.Errorf("%d keys, %d in memory: %v", len(seen), inMemory, seen)
	}
	count := 0
	s.All(func(o *store.Object) bool { return o.Key == "key 3" || o.Key == "key 59" }, func(tier.Held) bool { count++; return true })
	s.All(all, func(tier.Held) bool { count++; return false })
	if count != 3 {
		t.Errorf("%d are wanted or looked at, want 2 and 1", count)
	}
	for key, want := range map[cdn.CacheKey]int{"varies": 2, "key 0": 1, "key 59": 1, "nothing": 0} {
		list := s.Of(key)
		if len(list) != want {
			t.Errorf("%d of %s, want %d", len(list), key, want)
		}
		for _, h := range list {
			if h.Object.Key != key || h.Disk == nil || !h.OnDisk || h.Disk.Object.ID != h.Object.ID {
				t.Errorf("%+v", h)
			}
		}
	}
}

// TestSweepTogether: while everything moves between memory and disk, a whole sweep leaves nothing in either that is to go and was there when it began.
func TestSweepTogether(t *testing.T) {
	var limit atomic.Uint64
	alive := func(o *store.Object) bool { return uint64(o.Born) >= limit.Load() }
	d, err := disk.Open(disk.Config{Disks: []disk.Disk{{Path: "/cache", Size: 4 << 20}}, FS: fsys.NewMem(fsys.MemConfig{}), SegmentSize: 256 << 10, Now: now, Alive: alive})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tier.New(tier.Config{RAM: 256 << 10, Disk: d, Alive: alive})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	<-s.Warm()
	var filling sync.RWMutex
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprint("key ", (i*13+g)%120)
				if o, _ := s.Get(store.Lookup{Key: cdn.CacheKey(key), File: i%2 == 0}); o != nil {
					continue
				}
				filling.RLock()
				s.Put(aged(key, "", store.Epoch(limit.Load()), 1000+(i%100)*1000), nil)
				filling.RUnlock()
			}
		})
	}
	whole := 0
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		filling.Lock()
		epoch := limit.Add(1)
		filling.Unlock()
		done, err := s.Sweep(context.Background(), 0, alive)
		if err != nil {
			t.Error(err)
		}
		if !done.Whole {
			continue
		}
		whole++
		s.All(all, func(h tier.Held) bool {
			if uint64(h.Object.Born) < epoch {
				t.Errorf("%s was born at %d, and the sweep was at %d: %+v", h.Object.Key, h.Object.Born, epoch, h)
			}
			return true
		})
	}
	close(stop)
	wg.Wait()
	if whole < 3 {
		t.Errorf("%d whole sweeps", whole)
	}
	if s.Dropped() != 0 {
		t.Logf("%d dropped", s.Dropped())
	}
}
