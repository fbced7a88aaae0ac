package disk_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

// model is what a store may answer.
type model struct {
	now  map[string]string          // what is stored last, by key and coding
	ever map[string]map[string]bool // all bodies there were
}

func newModel() *model {
	return &model{now: make(map[string]string), ever: make(map[string]map[string]bool)}
}

func (m *model) put(key, coding, body string) {
	m.now[key+"|"+coding] = body
	if m.ever[key+"|"+coding] == nil {
		m.ever[key+"|"+coding] = make(map[string]bool)
	}
	m.ever[key+"|"+coding][body] = true
}

// world is a store in a random life.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	m      *fsys.Mem
	config func(fs fsys.FS) disk.Config
	s      *disk.Store
	model  *model
	lossy  bool // objects may have gone for room
	serial int
}

func (w *world) key() (key, coding string) {
	n := w.rng.IntN(60)
	if n%3 == 0 {
		coding = []string{"gzip", "br", "zstd"}[w.rng.IntN(3)]
	}
	return keyOf(n), coding
}

// step does one random thing.
func (w *world) step() {
	key, coding := w.key()
	switch n := w.rng.IntN(100); {
	case n < 55:
		w.serial++
		body := long(fmt.Sprint(key, coding, w.serial), w.rng.IntN(3000))
		if w.rng.IntN(20) == 0 {
			body = long(fmt.Sprint(key, coding, w.serial), w.rng.IntN(50_000))
		}
		put(w.t, w.s, variant(key, coding, body), coding)
		w.model.put(key, coding, body)
	case n < 70:
		w.s.Forget(store.Lookup{Key: cdn.CacheKey(key), Fields: accepting(coding)})
		delete(w.model.now, key+"|"+coding)
	case n < 97:
		w.check(key, coding)
	case n < 99:
		w.restart()
	case w.rng.IntN(5) == 0:
		w.s.Clear()
		clear(w.model.now)
	}
}

func (w *world) check(key, coding string) {
	w.t.Helper()
	want, ok := w.model.now[key+"|"+coding]
	if !ok {
		want = nothing
	}
	got := text(get(w.s, key, coding))
	if got != want && (!w.lossy || got != nothing) {
		w.t.Errorf("Get(%q, %q) = %.40q, want %.40q", key, coding, got, want)
	}
}

func (w *world) checkAll() {
	w.t.Helper()
	for n := range 60 {
		codings := []string{""}
		if n%3 == 0 {
			codings = []string{"gzip", "br", "zstd"}
		}
		for _, c := range codings {
			w.check(keyOf(n), c)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// restart ends the process, in order or not, and checks everything. Half of the time it does not wait until the store is warm.
func (w *world) restart() {
	if w.rng.IntN(2) == 0 {
		closed(w.t, w.s)
	} else {
		w.s.Flush()
		m := w.m.Kill()
		closed(w.t, w.s)
		w.m = m
	}
	w.open(w.rng.IntN(2) == 0)
}

func (w *world) open(warm bool) {
	s, err := disk.Open(w.config(w.m))
	if err != nil {
		w.t.Fatalf("Open: %v", err)
	}
	w.s = s
	if warm {
		<-s.Warm()
		w.checkAll()
		return
	}
	for range 5 { // these meet what is still being read
		key, coding := w.key()
		w.serial++
		body := fmt.Sprint(key, coding, w.serial)
		put(w.t, s, variant(key, coding, body), coding)
		w.model.put(key, coding, body)
	}
	<-s.Warm()
	w.checkAll()
}

func weak(string, [16]byte) uint64 { return 42 }

// TestModel: whatever is done in whatever order, over restarts too, Get returns what was put last, or nothing if that has been
// removed, or has gone for room where there is little.
func TestModel(t *testing.T) {
	plenty := func(fs fsys.FS) disk.Config {
		c := config(fs)
		c.Disks[0].Size = 4096 * segmentSize
		return c
	}
	for _, tt := range []struct {
		name   string
		lossy  bool
		config func(fs fsys.FS) disk.Config
	}{
		{"plenty", false, plenty},
		{"all hashes equal", false, func(fs fsys.FS) disk.Config {
			c := plenty(fs)
			c.Hash = weak
			return c
		}},
		{"three disks", false, func(fs fsys.FS) disk.Config {
			c := plenty(fs)
			c.Disks = append(c.Disks, disk.Disk{Path: "/e", Size: 2048 * segmentSize}, disk.Disk{Path: "/f", Size: 4096 * segmentSize})
			return c
		}},
		{"little room", true, func(fs fsys.FS) disk.Config {
			c := config(fs)
			c.Disks[0].Size = 16 * segmentSize
			return c
		}},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(tt.name, "/", seed), func(t *testing.T) {
				t.Parallel()
				w := &world{
					t: t, rng: rand.New(rand.NewPCG(seed, 1)), m: fsys.NewMem(fsys.MemConfig{}), config: tt.config, model: newModel(), lossy: tt.lossy,
				}
				w.open(true)
				for i := 0; i < 1000 && !t.Failed(); i++ {
					w.step()
				}
				w.restart()
				if st := w.s.Stats(); slices.ContainsFunc(st.Disks, func(d disk.DiskStats) bool {
					return d.Damaged > 0 || d.Errors > 0 || d.LostTombstones > 0 || d.Failed != ""
				}) {
					t.Errorf("Stats() = %+v", st)
				}
				closed(t, w.s)
			})
		}
	}
}
