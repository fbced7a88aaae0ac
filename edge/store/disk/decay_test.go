package disk_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"nearcast/internal/fsys"
)

var (
	flips  = flag.Int("flips", 1000, "how many bits TestFlippedBits flips")
	writes = flag.Int("misdirected", 300, "how many wrong writes TestMisdirected makes")
)

// TestFlippedBits: whatever bits of whatever files flip, while a store runs on them or not, whether the file system tells or not: what is found is
// whole and right, or nothing is found and that is counted. The store goes on.
func TestFlippedBits(t *testing.T) {
	list := relics(t)
	rng := rand.New(rand.NewPCG(5, 6))
	total := 0
	for round := 0; total < *flips; round++ {
		count := 1 + rng.IntN(8)
		if rng.IntN(10) == 0 {
			count = 60
		}
		total += count
		r, tell := pick(rng, list), rng.IntN(2) == 0
		if err := r.suffer(rng, rng.IntN(2) == 0, flip(count, tell)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	t.Logf("%d bits", total)
}

// flip flips bits where it matters.
func flip(count int, tell bool) damage {
	return func(m *fsys.Mem, rng *rand.Rand) string {
		what := "flipped"
		for range count {
			name := pick(rng, files(m, anyFile))
			size := int64(len(content(m, name)))
			if size == 0 {
				continue
			}
			bit := place(rng, name, size)*8 + rng.Int64N(8)
			act := m.Rot
			if tell {
				act = m.Tamper
			}
			if err := act(name, bit); err != nil {
				return err.Error()
			}
			what += fmt.Sprintf(" bit %d of octet %d of %s", bit%8, bit/8, name)
		}
		return what
	}
}

// place chooses an octet of a file.
func place(rng *rand.Rand, name string, size int64) int64 {
	switch n := rng.IntN(8); {
	case strings.HasSuffix(name, "superblock"):
		return min(size-1, 4096*rng.Int64N(2)+rng.Int64N(100))
	case !segmentFile(name):
	case n < 2: // the footer
		return max(0, size-1-rng.Int64N(64+48*8))
	case n < 4: // headers
		return min(size-1, 4096+256*rng.Int64N(40)+rng.Int64N(128))
	case n < 6: // where most of the records are
		return min(size-1, 4096+rng.Int64N(12_000))
	case n < 7:
		return min(size-1, rng.Int64N(48))
	}
	return rng.Int64N(size)
}

// TestMisdirected: whatever a disk writes elsewhere, not, or twice; whatever it returns of what was there before; whatever somebody
// does to the files: the same holds.
func TestMisdirected(t *testing.T) {
	list := relics(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range *writes {
		r := pick(rng, list)
		kind := round % len(wrongs)
		harm := func(m *fsys.Mem, rng *rand.Rand) string { return wrongs[kind](r, m, rng) }
		if err := r.suffer(rng, rng.IntN(2) == 0, harm); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// wrong is something that happens to files.
type wrong func(r *relic, m *fsys.Mem, rng *rand.Rand) string

var wrongs = []wrong{zeroed, duplicated, swapped, old, copied, cutOff, emptied, foreign, footerOf, missing}

// sector chooses one of a file: its offset and size.
func sector(rng *rand.Rand, name string, octets int64) (off, size int64) {
	size = pick(rng, []int64{512, 4096})
	return place(rng, name, octets) / size * size, size
}

func zeroed(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := pick(rng, files(m, anyFile))
	b := content(m, name)
	if len(b) == 0 {
		return "nothing"
	}
	off, size := sector(rng, name, int64(len(b)))
	overwrite(m, name, make([]byte, min(size, int64(len(b))-off)), off)
	return fmt.Sprintf("%d octets at %d of %s zeroed", size, off, name)
}

func duplicated(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := pick(rng, files(m, anyFile))
	b := content(m, name)
	if len(b) == 0 {
		return "nothing"
	}
	off, size := sector(rng, name, int64(len(b)))
	to := place(rng, name, int64(len(b))) / size * size
	size = min(size, int64(len(b))-max(off, to))
	overwrite(m, name, b[off:off+size], to)
	return fmt.Sprintf("%d octets at %d of %s written at %d too", size, off, name, to)
}

func swapped(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	list := files(m, segmentFile)
	one, other := pick(rng, list), pick(rng, list)
	a, b := content(m, one), content(m, other)
	if min(len(a), len(b)) == 0 {
		return "nothing"
	}
	off, size := sector(rng, one, int64(min(len(a), len(b))))
	size = min(size, int64(min(len(a), len(b)))-off)
	overwrite(m, one, b[off:off+size], off)
	overwrite(m, other, a[off:off+size], off)
	return fmt.Sprintf("%d octets at %d of %s and %s swapped", size, off, one, other)
}

// old returns what was in a sector before. A purge log of one sector would be a good one, of before.
func old(r *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := pick(rng, files(r.older, func(name string) bool { return segmentFile(name) || name == "superblock" }))
	b, was := content(m, name), content(r.older, name)
	if min(len(b), len(was)) == 0 {
		return "nothing"
	}
	off, size := sector(rng, name, int64(min(len(b), len(was))))
	overwrite(m, name, was[off:min(off+size, int64(len(was)))], off)
	return fmt.Sprintf("%d octets at %d of %s as they were", size, off, name)
}

func copied(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	list := files(m, segmentFile)
	from, to := pick(rng, list), pick(rng, list)
	overwrite(m, to, content(m, from), 0)
	return fmt.Sprintf("%s copied over %s", from, to)
}

func cutOff(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := pick(rng, files(m, anyFile))
	size := place(rng, name, max(1, int64(len(content(m, name)))))
	return fmt.Sprintf("%s cut off at %d: %v", name, size, m.Truncate(name, size))
}

func emptied(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := pick(rng, files(m, anyFile))
	return fmt.Sprintf("%s emptied: %v", name, m.Truncate(name, 0))
}

// foreign leaves files, and directories, that are none of the store's.
func foreign(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := path.Join("/d", pick(rng, []string{
		"readme", "0000000000000000.segment", "00000000000000zz.segment", "ffffffffffffffff.segment", "fffffffffffffffe.segment", "superblock.new", "1.segment", ".segment",
	}))
	if rng.IntN(3) == 0 {
		return fmt.Sprintf("a directory %s: %v", name, m.MkdirAll(name))
	}
	f, err := m.Create(name, pick(rng, []int64{0, 1, 4096, 1 << 20, 1 << 40}))
	if err == nil {
		_ = f.Close()
	}
	return fmt.Sprintf("a file %s: %v", name, err)
}

func footerOf(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	list := files(m, segmentFile)
	from, to := pick(rng, list), pick(rng, list)
	a, b := content(m, from), content(m, to)
	n := min(64+48*(1+rng.IntN(20)), len(a), len(b))
	overwrite(m, to, a[len(a)-n:], int64(len(b)-n))
	return fmt.Sprintf("%s has the footer of %s, %d octets", to, from, n)
}

func missing(_ *relic, m *fsys.Mem, rng *rand.Rand) string {
	name := pick(rng, files(m, anyFile))
	return fmt.Sprintf("%s removed: %v", name, m.Remove(name))
}
