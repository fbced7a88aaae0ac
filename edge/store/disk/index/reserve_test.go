package index

import (
	"math/rand/v2"
	"testing"

	"nearcast/internal/racing"
)

// TestReserve: what is inserted into reserved room is found, and what was reserved for nothing is given back.
func TestReserve(t *testing.T) {
	racing.Alone(t)
	for _, reserved := range []int{0, 1000, 200_000, 1_000_000} {
		x := New()
		x.Reserve(reserved)
		rng := rand.New(rand.NewPCG(1, 2))
		hashes := make([]uint64, 200_000)
		for i := range hashes {
			hashes[i] = rng.Uint64()
			if i == 50_000 {
				x.Reserve(reserved) // what is there stays
			}
			if !x.Insert(hashes[i], Entry{Location: Location{Segment: 1, Offset: uint32(i)}}) {
				t.Fatal("no memory")
			}
		}
		check := func(when string) {
			t.Helper()
			var room [8]Entry
			for i, h := range hashes {
				found := false
				for _, e := range x.Find(h, room[:0]) {
					found = found || e.Offset == uint32(i)
				}
				if !found {
					t.Fatalf("%d reserved: entry %d is not found %s", reserved, i, when)
				}
			}
		}
		check("before Fit")
		x.Fit()
		check("after Fit")
		if each := float64(x.Bytes()) / float64(len(hashes)); each > 20 {
			t.Errorf("%d reserved: %.1f octets an entry after Fit", reserved, each)
		}
		x.Close()
		x.Reserve(1000)
		x.Fit()
		if x.Bytes() > 10_000 {
			t.Errorf("%d octets after Close", x.Bytes())
		}
	}
	x := New()
	x.Reserve(100_000)
	x.Fit()
	if x.Bytes() > 10_000 {
		t.Errorf("%d octets for nothing", x.Bytes())
	}
}
