package disk_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/internal/fsys"
)

// filled returns a file system with 60 objects on it, of several sizes, 10 of them replaced and 10 removed, closed in order or not.
func filled(t *testing.T, clean bool) *fsys.Mem {
	t.Helper()
	m := fsys.NewMem(fsys.MemConfig{})
	s := open(t, config(m))
	for i := range 60 {
		put(t, s, thing(keyOf(i), long(keyOf(i), 500*i)), "")
	}
	for i := range 10 {
		put(t, s, thing(keyOf(i), long(keyOf(i), 501*i)), "")
		s.Forget(store.Lookup{Key: cdn.CacheKey(keyOf(20 + i))})
	}
	if clean {
		closed(t, s)
		return m
	}
	s.Flush()
	return m.Kill()
}

// checkFilled: of what filled put, each object is whole and right or is not there. It returns how many are not, though they should.
func checkFilled(t *testing.T, m fsys.FS, mayBeOld bool) (missing int) {
	t.Helper()
	s := open(t, config(m))
	defer closed(t, s)
	for i := range 60 {
		size, gone := 500*i, i >= 20 && i < 30
		if i < 10 {
			size = 501 * i
		}
		got := text(get(s, keyOf(i), ""))
		switch {
		case got == nothing && !gone:
			missing++
		case got == nothing, got == long(keyOf(i), size) && !gone:
		case mayBeOld && got == long(keyOf(i), 500*i):
		default:
			t.Errorf("Get(%q) = %.40q of %d octets, want %d, removed: %v", keyOf(i), got, len(got), size, gone)
		}
	}
	return missing
}

// TestRot: whatever bit of whatever file flips, no object is wrong; most are still there.
func TestRot(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	total := 0
	const rounds = 100
	for n := range rounds {
		m := filledOnce(t, n%2 == 0)
		names, err := m.ReadDir("/d")
		if err != nil {
			t.Fatal(err)
		}
		name := path.Join("/d", names[rng.IntN(len(names))])
		off := rng.Int64N(segmentSize)
		switch {
		case strings.HasSuffix(name, "superblock"):
			off %= 100
		case n%3 == 0: // where there are footers
			off = segmentSize - 1 - rng.Int64N(64+48*8)
		case n%3 == 1: // where there are headers
			off = 4096 + 256*rng.Int64N(8) + rng.Int64N(128)
		}
		if err := m.Rot(name, off*8+rng.Int64N(8)); err != nil {
			t.Fatal(err)
		}
		// What says that a record has been replaced may itself be the one that is damaged.
		total += checkFilled(t, m, true)
		if t.Failed() {
			t.Fatalf("round %d: a bit of octet %d of %s", n, off, name)
		}
	}
	if total == 0 || total > rounds*20 {
		t.Errorf("%d objects were lost to %d bits", total, rounds)
	}
}

// filledOnce is filled, made anew each time from a kill's clone of the same.
func filledOnce(t *testing.T, clean bool) *fsys.Mem {
	t.Helper()
	return filled(t, clean).Kill()
}

// TestCut: whatever is cut off a segment, no object is wrong.
func TestCut(t *testing.T) {
	m := filled(t, true)
	names, err := m.ReadDir("/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, size := range []int64{0, 1, 100, 4096, 5000, segmentSize / 2, segmentSize - 64, segmentSize - 1} {
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				m := m.Kill()
				err := m.Truncate(path.Join("/d", name), min(size, 8192))
				if strings.HasSuffix(name, "segment") {
					err = m.Truncate(path.Join("/d", name), size)
				}
				if err != nil && !strings.Contains(err.Error(), "invalid") {
					t.Fatal(err)
				}
				checkFilled(t, m, true)
			})
		}
	}
}

// TestPowerCut: after a power cut an object is whole, and one that was there at some time, or is not there.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 3))
			w := &world{t: t, rng: rng, m: fsys.NewMem(fsys.MemConfig{}), config: config, model: newModel(), lossy: true}
			w.open(true)
			for range 25 {
				for range rng.IntN(60) {
					w.quiet()
				}
				m := w.m.Crash(rng)
				closed(t, w.s)
				w.m = m
				s := open(t, config(m))
				w.s = s
				w.resync()
			}
			closed(t, w.s)
		})
	}
}

// quiet is a step that does not restart.
func (w *world) quiet() {
	key, coding := w.key()
	switch n := w.rng.IntN(100); {
	case n < 70:
		w.serial++
		body := long(fmt.Sprint(key, coding, w.serial), w.rng.IntN(8000))
		if w.s.Put(variant(key, coding, body), accepting(coding)) {
			w.model.put(key, coding, body)
		}
	case n < 85:
		w.s.Forget(store.Lookup{Key: cdn.CacheKey(key), Fields: accepting(coding)})
		delete(w.model.now, key+"|"+coding)
	case n < 99:
		w.check(key, coding)
	case w.rng.IntN(3) == 0:
		w.s.Clear()
		clear(w.model.now)
		clear(w.model.ever) // nothing of that may come back
	}
}

// resync checks all against what there has ever been, and goes on from what is there.
func (w *world) resync() {
	w.t.Helper()
	clear(w.model.now)
	for n := range 60 {
		codings := []string{""}
		if n%3 == 0 {
			codings = []string{"gzip", "br", "zstd"}
		}
		for _, c := range codings {
			id := keyOf(n) + "|" + c
			switch got := text(get(w.s, keyOf(n), c)); {
			case got == nothing:
			case w.model.ever[id][got]:
				w.model.now[id] = got
			default:
				w.t.Fatalf("after a power cut Get(%q, %q) = %.40q, which never was", keyOf(n), c, got)
			}
		}
	}
}

// TestStaleTail: what is behind the end of a segment after a power cut stays lost, also when new records reach up to where it begins.
func TestStaleTail(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{})
	s := open(t, config(m))
	for _, key := range []string{"a", "b", "c", "d"} {
		put(t, s, thing(key, long(key, 3000)), "")
	}
	s.Flush()
	m = m.Kill()
	closed(t, s)
	const size = 3328 // of each record
	if err := m.Rot("/d/0000000100000001.segment", 8*(4096+size+20)); err != nil {
		t.Fatal(err) // in the header of b
	}
	s = open(t, config(m))
	want(t, s, "a", "", long("a", 3000))
	for _, key := range []string{"b", "c", "d"} {
		want(t, s, key, "", nothing)
	}
	put(t, s, thing("e", long("e", 3000)), "") // in the place of b
	s.Flush()
	m = m.Kill()
	closed(t, s)
	s = open(t, config(m))
	want(t, s, "e", "", long("e", 3000))
	for _, key := range []string{"b", "c", "d"} {
		want(t, s, key, "", nothing)
	}
}

// TestMayReturn: what a damaged record has taken the place of is on the disk still, and may be found again after a restart.
func TestMayReturn(t *testing.T) {
	c, _ := onFiles(t)
	s := open(t, c)
	if s.MayReturn("a") {
		t.Error("something that was never stored may return")
	}
	put(t, s, thing("a", long("old", 70_000)), "")
	put(t, s, thing("a", long("new", 70_000)), "")
	put(t, s, thing("b", long("b", 70_000)), "")
	s.Flush()
	if !s.MayReturn("a") || s.MayReturn("c") {
		t.Error("MayReturn does not know what is stored")
	}
	tamper(t, c.Disks[0].Path, long("new", 70_000)[1000:1100])
	if o := get(s, "a", ""); o != nil || s.Has(store.Lookup{Key: "a"}) {
		t.Fatal("a damaged record is not dropped")
	}
	if !s.MayReturn("a") {
		t.Error("what a damaged record has taken the place of cannot return")
	}
}
