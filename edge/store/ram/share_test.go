package ram_test

import (
	"runtime"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/ram"
	"nearcast/internal/racing"
)

// heap is what is in use of the heap, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what has been in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// constant is what a store may take besides its objects, in bytes: the policy's shadows, and ristretto's queue.
const constant = 8 << 20

// share measures what n objects take of the memory besides key, head and body, which they share here, and what is said of that, each
// in bytes for an object.
func share(t testing.TB, n int) (measured, said float64) {
	o := object("", 1)
	all := keys(n)
	before := heap()
	s := open(t, ram.Config{Budget: 1 << 40})
	for _, k := range all {
		fresh := *o
		fresh.Key = k
		if !s.Put(&fresh, nil) {
			t.Fatal("refused")
		}
	}
	after := heap()
	bare := store.Object{Response: new(httpcache.Response)}
	said = float64(bare.Size() - bare.Response.Size())
	runtime.KeepAlive(all)
	runtime.KeepAlive(s)
	return float64(after-before) / float64(n), said
}

// TestShare: what is said of an object's share in index, maps and counters is what it is.
func TestShare(t *testing.T) {
	if racing.Enabled {
		t.Skip("the race detector takes memory too")
	}
	for _, n := range []int{50_000, 100_000, 200_000} {
		measured, said := share(t, n)
		t.Logf("%d objects: %.0f bytes each, %.0f are said", n, measured, said)
		if extra := (measured - 1.05*said) * float64(n); extra > constant || measured < 0.7*said {
			t.Errorf("%d objects: %.0f bytes each were measured, %.0f are said", n, measured, said)
		}
	}
}

// BenchmarkShare is the memory of an object among a million, besides key, head and body.
func BenchmarkShare(b *testing.B) {
	for b.Loop() {
		measured, said := share(b, 1_000_000)
		b.ReportMetric(measured, "B/object")
		b.ReportMetric(said, "saidB/object")
	}
}

// TestSize: the size of an object is the memory that it takes, whatever its body, and what its users remember of it.
func TestSize(t *testing.T) {
	if racing.Enabled {
		t.Skip("the race detector takes memory too")
	}
	const n = 10_000
	for _, size := range []int{0, 200, 1000, 5000, 33_000} {
		before := heap()
		s := open(t, ram.Config{Budget: 1 << 40})
		for i, k := range keys(n) {
			o := realistic(cdn.CacheKey(string(k)), size)
			s.Put(o, nil)
			if i%2 == 0 {
				kept, _ := s.Get(store.Lookup{Key: k, Fields: realisticFields()})
				kept.Remember(faceLike())
			}
		}
		measured, said := heap()-before, s.Stats().Bytes
		t.Logf("bodies of %d: %d bytes measured, %d said, for each", size, measured/n, said/n)
		if measured > said+said/50+constant || measured < said-said/7 {
			t.Errorf("bodies of %d: %d bytes were measured, %d are said", size, measured/n, said/n)
		}
		runtime.KeepAlive(s)
	}
}
