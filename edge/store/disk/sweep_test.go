package disk_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/edge/store"
	"nearcast/internal/fsys"
)

// odd keeps what has an odd number in its key.
func odd(o *store.Object) bool { return strings.ContainsAny(string(o.Key[len(o.Key)-1]), "13579") }

// TestSweep: what is swept does not come back, neither after Close nor after a power cut; all else stays.
func TestSweep(t *testing.T) {
	for name, cut := range map[string]bool{"closed": false, "power cut": true} {
		t.Run(name, func(t *testing.T) {
			fs := fsys.NewMem(fsys.MemConfig{})
			s := open(t, config(fs))
			const n = 60
			for i := range n {
				put(t, s, thing(keyOf(i), long(keyOf(i), 3000)), "")
			}
			done, err := s.Sweep(context.Background(), 0, odd)
			if err != nil || !done.Whole || done.Looked != n || done.Removed != n/2 || done.Segments != 0 {
				t.Errorf("Sweep: %+v, %v", done, err)
			}
			check := func(when string) {
				t.Helper()
				for i := range n {
					body := nothing
					if i%2 == 1 {
						body = long(keyOf(i), 3000)
					}
					want(t, s, keyOf(i), "", body)
				}
				if d := s.Stats(); d.Objects != n/2 {
					t.Errorf("%s: %d objects", when, d.Objects)
				}
			}
			check("at once")
			if cut {
				fs = fs.Crash(rand.New(rand.NewPCG(1, 2))) //nolint:gosec // a test
			} else {
				closed(t, s)
			}
			s = open(t, config(fs))
			check("afterwards")
			if done, err := s.Sweep(context.Background(), 0, odd); err != nil || done.Looked != n/2 || done.Removed != 0 {
				t.Errorf("Sweep once more: %+v, %v", done, err)
			}
		})
	}
}

// TestSweepGivesRoomBack: a file in which nothing is left is given up at once, and takes nothing else with it.
func TestSweepGivesRoomBack(t *testing.T) {
	fs := fsys.NewMem(fsys.MemConfig{})
	s := open(t, config(fs))
	const n = 100
	for i := range n {
		put(t, s, thing(keyOf(i), long(keyOf(i), 6000)), "")
	}
	put(t, s, thing("stays", "here"), "")
	before := s.Stats().Disks[0]
	done, err := s.Sweep(context.Background(), 0, func(o *store.Object) bool { return o.Key == "stays" })
	after := s.Stats().Disks[0]
	if err != nil || !done.Whole || done.Removed != n || done.Segments < 5 || after.Segments >= before.Segments-4 || after.Swept != n {
		t.Errorf("Sweep: %+v, %v; %d segments before and %d after", done, err, before.Segments, after.Segments)
	}
	closed(t, s)
	s = open(t, config(fs))
	want(t, s, "stays", "", "here")
	if got := s.Stats().Objects; got != 1 {
		t.Errorf("%d objects after a restart, want 1", got)
	}
}

// TestSweepIsHonest: where something cannot be looked at or noted down, the sweep says that it is not whole.
func TestSweepIsHonest(t *testing.T) {
	t.Run("ended", func(t *testing.T) {
		s := open(t, config(fsys.NewMem(fsys.MemConfig{})))
		put(t, s, thing("a", "a"), "")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if done, err := s.Sweep(ctx, 0, odd); !errors.Is(err, context.Canceled) || done.Whole {
			t.Errorf("%+v, %v", done, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s := open(t, config(fsys.NewMem(fsys.MemConfig{})))
		put(t, s, thing("a", "a"), "")
		closed(t, s)
		if done, err := s.Sweep(context.Background(), 0, odd); err == nil && done.Whole {
			t.Errorf("%+v, %v", done, err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		fs := fsys.NewMem(fsys.MemConfig{})
		s := open(t, config(fs))
		for i := range 20 {
			put(t, s, thing(keyOf(i), long(keyOf(i), 6000)), "")
		}
		s.Flush()
		spoil(t, fs)
		done, err := s.Sweep(context.Background(), 0, odd)
		if err != nil || done.Whole {
			t.Errorf("%+v, %v", done, err)
		}
	})
}

// spoil overwrites the heads in all segments.
func spoil(t *testing.T, fs fsys.FS) {
	t.Helper()
	names, err := fs.ReadDir("/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".segment") {
			continue
		}
		f, err := fs.Open("/d/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 2000), 4096); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// TestSweepRate: no faster than is allowed.
func TestSweepRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, config(fsys.NewMem(fsys.MemConfig{})))
		for i := range 20 {
			put(t, s, thing(keyOf(i), long("x", 20_000)), "")
		}
		begin := time.Now()
		done, err := s.Sweep(context.Background(), 8<<10, odd) // of each, a head is read
		if took := time.Since(begin); err != nil || done.Looked != 20 || took < 19*time.Second || took > 21*time.Second {
			t.Errorf("%+v, %v in %v", done, err, took)
		}
		closed(t, s)
	})
}

// TestSweepTogether: while much is written, replaced and given up for room, whole sweeps leave nothing that is to go and was there when they began.
func TestSweepTogether(t *testing.T) {
	c := config(fsys.NewMem(fsys.MemConfig{}))
	c.Disks[0].Size = 20 * segmentSize
	var limit atomic.Uint64 // born before it is gone
	alive := func(o *store.Object) bool { return uint64(o.Born) >= limit.Load() }
	c.Alive = alive
	s := open(t, c)
	var wg sync.WaitGroup
	var filling sync.RWMutex // as purges are not forgotten by which what is on its way is judged
	stop := make(chan struct{})
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				o := thing(keyOf((i*7+g)%150), long(keyOf(i), 2000))
				filling.RLock()
				o.Born = store.Epoch(limit.Load())
				s.Put(o, nil)
				filling.RUnlock()
				get(s, keyOf(i%150), "")
			}
		})
	}
	for range 20 {
		filling.Lock()
		epoch := limit.Add(1)
		filling.Unlock()
		done, err := s.Sweep(context.Background(), 0, alive)
		if err != nil || !done.Whole {
			t.Errorf("Sweep: %+v, %v", done, err)
		}
		for o := range s.All {
			if uint64(o.Born) < epoch {
				t.Errorf("%s was born at %d, and the sweep was at %d", o.Key, o.Born, epoch)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// TestOf: everything of a key, whatever the variant, with its place, whichever keys share the hash.
func TestOf(t *testing.T) {
	fs := fsys.NewMem(fsys.MemConfig{})
	c := pair(fs)
	c.Hash = func(string, [16]byte) uint64 { return 1 }
	s := open(t, c)
	put(t, s, variant("a", "gzip", "one"), "gzip")
	put(t, s, variant("a", "br", "two"), "br")
	put(t, s, thing("b", "other"), "")
	list := s.Of("a")
	if len(list) != 2 || len(s.Of("b")) != 1 || len(s.Of("c")) != 0 {
		t.Fatalf("Of: %+v", list)
	}
	for i, body := range []string{"two", "one"} {
		r := list[i]
		if text(s.Load(r.Object)) != body || r.Disk == "" || r.Segment == 0 || r.Offset < 4096 || r.Size < 256 {
			t.Errorf("%d: %+v, %q", i, r, text(s.Load(r.Object)))
		}
	}
	closed(t, s)
	if len(s.Of("a")) != 0 {
		t.Error("there is something in a closed store")
	}
}
