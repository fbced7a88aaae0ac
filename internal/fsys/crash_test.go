package fsys_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearcast/internal/fsys"
)

const seeds = 2000

// crashes are what power cuts leave.
func crashes(m fsys.FS, yield func(seed uint64, c *fsys.Mem)) {
	for seed := range uint64(seeds) {
		yield(seed, m.(*fsys.Mem).Crash(rand.New(rand.NewPCG(seed, seed))))
	}
}

// outcomes counts what power cuts leave, by what tell says of each.
func outcomes(m fsys.FS, tell func(c *fsys.Mem) string) map[string]int {
	seen := make(map[string]int)
	crashes(m, func(_ uint64, c *fsys.Mem) { seen[tell(c)]++ })
	return seen
}

// wantOutcomes checks that each of some outcomes, and no other one, is seen.
func wantOutcomes(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("%q never is what a power cut leaves", w)
		}
	}
	for got, n := range seen {
		if !slices.Contains(want, got) {
			t.Errorf("%d of %d power cuts leave %q", n, seeds, got)
		}
	}
}

// tree tells names and contents below /data.
func tree(t *testing.T, c *fsys.Mem) string {
	t.Helper()
	var b strings.Builder
	names, err := c.ReadDir("/data")
	if err != nil {
		return "no /data"
	}
	for _, name := range names {
		fmt.Fprintf(&b, "%s=%s ", name, bytes.ReplaceAll(content(t, c, "/data/"+name), []byte{0}, []byte(".")))
	}
	return strings.TrimSpace(b.String())
}

// TestCrash tells everything that a power cut can leave of what was done.
func TestCrash(t *testing.T) {
	//nolint:thelper // tests, not helpers
	for _, row := range []struct {
		name string
		do   func(t *testing.T, s system)
		want []string
	}{
		{"nothing", func(*testing.T, system) {}, []string{""}},
		{"a new file", func(t *testing.T, s system) {
			create(t, s, "/data/a", 3)
		}, []string{"", "a=", "a=..."}},
		{"a new file, its content synced", func(t *testing.T, s system) {
			f := create(t, s, "/data/a", 3)
			write(t, f, "x", 0)
			must(t, f.Sync())
		}, []string{"", "a=x.."}},
		{"a new file, its name synced", func(t *testing.T, s system) {
			write(t, create(t, s, "/data/a", 3), "x", 0)
			must(t, s.SyncDir("/data"))
		}, []string{"a=", "a=...", "a=x.."}},
		{"a new file, both synced", func(t *testing.T, s system) {
			file(t, s, "a", "x")
		}, []string{"a=x"}},
		{"a new directory", func(t *testing.T, s system) {
			must(t, s.Remove("/data"), s.SyncDir("/"), s.MkdirAll("/data"))
			create(t, s, "/data/a", 0)
			must(t, s.SyncDir("/data"))
		}, []string{"no /data", "a="}},
		{"a write", func(t *testing.T, s system) {
			write(t, file(t, s, "a", "old"), "new", 0)
		}, []string{"a=old", "a=new"}},
		{"a write from a buffer that is used again", func(t *testing.T, s system) {
			f, p := file(t, s, "a", "old"), []byte("new")
			_, err := f.WriteAt(p, 0)
			copy(p, "xxx")
			must(t, err)
		}, []string{"a=old", "a=new"}},
		{"a write that appends", func(t *testing.T, s system) {
			write(t, file(t, s, "a", "old"), "new", 3)
		}, []string{"a=old", "a=old...", "a=oldnew"}},
		{"two writes to a sector: none is without the one before", func(t *testing.T, s system) {
			f := file(t, s, "a", "....")
			write(t, f, "1", 0)
			write(t, f, "2", 1)
		}, []string{"a=....", "a=1...", "a=12.."}},
		{"two files", func(t *testing.T, s system) {
			a, b := file(t, s, "a", "0"), file(t, s, "b", "0")
			write(t, a, "1", 0)
			write(t, b, "1", 0)
		}, []string{"a=0 b=0", "a=1 b=0", "a=0 b=1", "a=1 b=1"}},
		{"a removal", func(t *testing.T, s system) {
			file(t, s, "a", "x")
			must(t, s.Remove("/data/a"))
		}, []string{"a=x", ""}},
		{"a removal, synced", func(t *testing.T, s system) {
			file(t, s, "a", "x")
			must(t, s.Remove("/data/a"), s.SyncDir("/data"))
		}, []string{""}},
		{"a replacement, as it is done", func(t *testing.T, s system) {
			file(t, s, "a", "old")
			f := create(t, s, "/data/b", 0)
			write(t, f, "new", 0)
			must(t, f.Sync(), s.Rename("/data/b", "/data/a"))
		}, []string{"a=old", "a=old b=new", "a=new"}},
		{"a replacement without a Sync", func(t *testing.T, s system) {
			file(t, s, "a", "old")
			write(t, create(t, s, "/data/b", 0), "new", 0)
			must(t, s.Rename("/data/b", "/data/a"), s.SyncDir("/data"))
		}, []string{"a=", "a=...", "a=new"}},
		{"a name that another file had", func(t *testing.T, s system) {
			file(t, s, "a", "old")
			must(t, s.Remove("/data/a"))
			f := create(t, s, "/data/a", 0)
			write(t, f, "new", 0)
			must(t, f.Sync())
		}, []string{"a=old", "", "a=new"}},
		{"a Sync that was one write ago", func(t *testing.T, s system) {
			f := file(t, s, "a", "0")
			write(t, f, "1", 0)
			must(t, f.Sync())
			write(t, f, "2", 0)
		}, []string{"a=1", "a=2"}},
		{"what nobody has a name for", func(t *testing.T, s system) {
			f := file(t, s, "a", "0")
			must(t, s.Remove("/data/a"), s.SyncDir("/data"))
			write(t, f, "1", 0)
			must(t, f.Sync())
		}, []string{""}},
		{"a rename between directories, one of them synced", func(t *testing.T, s system) {
			must(t, s.MkdirAll("/other"), s.SyncDir("/"))
			create(t, s, "/data/a", 0)
			must(t, s.Rename("/data/a", "/other/a"), s.SyncDir("/other"))
		}, []string{""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMem(t, fsys.MemConfig{})
			row.do(t, s)
			wantOutcomes(t, outcomes(s.FS, func(c *fsys.Mem) string { return tree(t, c) }), row.want...)
			live := tree(t, s.FS.(*fsys.Mem))
			killed := s.FS.(*fsys.Mem).Kill()
			if got := tree(t, killed); got != live {
				t.Errorf("kill -9 leaves %q of %q", got, live)
			}
			wantOutcomes(t, outcomes(killed, func(c *fsys.Mem) string { return tree(t, c) }), row.want...)
		})
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// file makes a file with durable name and content.
func file(t *testing.T, s fsys.FS, name, text string) fsys.File {
	t.Helper()
	f := create(t, s, "/data/"+name, 0)
	write(t, f, text, 0)
	must(t, f.Sync(), s.SyncDir("/data"))
	return f
}

// TestTornWrite: of a large write any sectors survive, each whole, and every one at some time.
func TestTornWrite(t *testing.T) {
	const sectors = 16
	s := newMem(t, fsys.MemConfig{})
	f := file(t, s, "a", strings.Repeat("o", sectors*512))
	write(t, f, strings.Repeat("n", (sectors-1)*512), 256) // half of the first, half of the last
	var is [sectors]int
	torn := 0
	crashes(s.FS, func(seed uint64, c *fsys.Mem) {
		got := content(t, c, "/data/a")
		n := 0
		for i := range is {
			sector := got[i*512 : (i+1)*512]
			want := strings.Repeat("n", 512)
			switch i {
			case 0:
				want = strings.Repeat("o", 256) + want[:256]
			case sectors - 1:
				want = want[:256] + strings.Repeat("o", 256)
			}
			switch string(sector) {
			case want:
				is[i]++
				n++
			case strings.Repeat("o", 512):
			default:
				t.Fatalf("seed %d: sector %d is %q", seed, i, sector)
			}
		}
		if n > 0 && n < sectors {
			torn++
		}
	})
	if torn < seeds/4 {
		t.Errorf("only %d of %d power cuts tear", torn, seeds)
	}
	for i, n := range is {
		if n < seeds/4 || n > seeds*3/4 {
			t.Errorf("sector %d survives %d of %d power cuts", i, n, seeds)
		}
	}
}

// TestCrashIsRepeatable: the same seed leaves the same.
func TestCrashIsRepeatable(t *testing.T) {
	s := newMem(t, fsys.MemConfig{})
	for i := range 8 {
		name := string(rune('a' + i))
		write(t, create(t, s, "/data/"+name, 2000), strings.Repeat(name, 3000), 100)
	}
	want := make(map[uint64]string)
	crashes(s.FS, func(seed uint64, c *fsys.Mem) { want[seed] = tree(t, c) })
	crashes(s.FS, func(seed uint64, c *fsys.Mem) {
		if tree(t, c) != want[seed] {
			t.Fatalf("seed %d leaves now this, now that", seed)
		}
	})
}

// TestSyncedSurvives: of any workload, cut anywhere, at least what was synced is there, again and again.
func TestSyncedSurvives(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m := newMem(t, fsys.MemConfig{}).FS.(*fsys.Mem)
		synced := make(map[string][]byte) // each octet is 0, or what was synced last, or from later
		for range 5 {
			work(t, m, rng, synced)
			m = m.Crash(rng)
			for name, want := range synced {
				got := content(t, m, name)
				if len(got) < len(want) {
					t.Fatalf("seed %d: %s has %d octets, %d were synced", seed, name, len(got), len(want))
				}
				for i := range want {
					if got[i] < want[i] {
						t.Fatalf("seed %d: octet %d of %s is %d, synced was %d", seed, i, name, got[i], want[i])
					}
				}
				synced[name] = got
			}
		}
	}
}

// work writes ever greater octets.
func work(t *testing.T, m *fsys.Mem, rng *rand.Rand, synced map[string][]byte) {
	t.Helper()
	for range 20 {
		name := fmt.Sprintf("/data/%d", rng.IntN(3))
		f, err := m.Open(name)
		if err != nil {
			f = create(t, m, name, rng.Int64N(10_000))
		}
		for range rng.IntN(4) {
			off := rng.Int64N(20_000)
			p := make([]byte, rng.IntN(5000))
			if _, err := f.ReadAt(p, off); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			for i := range p {
				p[i] += byte(min(rng.IntN(3), 255-int(p[i])))
			}
			write(t, f, string(p), off)
		}
		if rng.IntN(3) == 0 {
			must(t, f.Sync(), m.SyncDir("/data"))
			synced[name] = content(t, m, name)
		}
		must(t, f.Close())
	}
}

// BenchmarkCrash is a power cut in a store of 40 segments of 64 KiB, with 64 KiB of one and a directory unsynced.
func BenchmarkCrash(b *testing.B) {
	s := newMem(b, fsys.MemConfig{})
	var last fsys.File
	for i := range 40 {
		last = create(b, s, fmt.Sprintf("/data/%d", i), 64<<10)
		write(b, last, strings.Repeat("x", 64<<10), 0)
		if err := errors.Join(last.Sync(), s.SyncDir("/data")); err != nil {
			b.Fatal(err)
		}
	}
	write(b, last, strings.Repeat("y", 64<<10), 0)
	create(b, s, "/data/new", 64<<10)
	m := s.FS.(*fsys.Mem)
	rng := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		m.Crash(rng)
	}
}
