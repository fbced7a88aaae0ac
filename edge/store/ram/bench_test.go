package ram_test

import (
	"strconv"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/ram"
)

func keys(n int) []cdn.CacheKey {
	keys := make([]cdn.CacheKey, n)
	for i := range keys {
		keys[i] = cdn.CacheKey("site\x00https://example.com/assets/" + strconv.Itoa(i))
	}
	return keys
}

// BenchmarkGet is a hit among 100,000 objects.
func BenchmarkGet(b *testing.B) {
	s := open(b, ram.Config{Budget: 1 << 30})
	all := keys(100_000)
	for _, k := range all {
		s.Put(object(string(k), 100), nil)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i += 7919 {
			if o, _ := s.Get(store.Lookup{Key: all[i%len(all)]}); o == nil {
				b.Fatal("a miss")
			}
		}
	})
}

// BenchmarkPut fills a store that is full, with objects never seen before.
func BenchmarkPut(b *testing.B) {
	s := open(b, ram.Config{Budget: 16 << 20})
	all := keys(b.N)
	o := object("", 100)
	b.ReportAllocs()
	b.ResetTimer()
	for _, k := range all {
		n := *o
		n.Key = k
		s.Put(&n, nil)
	}
}

// BenchmarkPutParallel is BenchmarkPut from many goroutines.
func BenchmarkPutParallel(b *testing.B) {
	s := open(b, ram.Config{Budget: 16 << 20})
	o := object("", 100)
	next := make(chan cdn.CacheKey, b.N)
	for _, k := range keys(b.N) {
		next <- k
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := *o
			n.Key = <-next
			s.Put(&n, nil)
		}
	})
}
