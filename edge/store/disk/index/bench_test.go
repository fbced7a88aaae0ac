package index

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hashOf returns the nth of hashes that are as good as random, and can be had again without a table of them.
func hashOf(n uint64) uint64 { // the finalizer of splitmix64
	n *= 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func locationOf(n uint64) Location {
	return Location{uint32(n>>20) & MaxSegment, uint32(n) & MaxOffset}
}

// cpu returns the processor time that this process has taken: what counts on a machine with other work. Run with -cpu 1, else it has the
// collector's in it.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func filled(b *testing.B, count uint64) *Index {
	b.Helper()
	x := New()
	b.Cleanup(x.Close)
	for n := range count {
		x.Insert(hashOf(n), Entry{Location: locationOf(n)})
	}
	return x
}

// BenchmarkFind looks for hashes at random, in indexes of sizes at which the tables are about to grow and have just grown. The load is what of the
// slots is taken.
func BenchmarkFind(b *testing.B) {
	for _, count := range []uint64{1_000_000, 10_000_000, 10_700_000} {
		x := filled(b, count)
		slots := float64(x.octets.Load()) / 16
		for _, c := range []struct {
			name string
			miss uint64 // added to a number of an entry
			half uint64 // bits of it that say it is to be a miss
		}{{"hits", 0, 0}, {"misses", 1 << 32, 0}, {"both", 1 << 32, 1}} {
			b.Run(fmt.Sprintf("%s/%d", c.name, count), func(b *testing.B) {
				chance, found := rand.New(rand.NewPCG(1, 2)), 0
				var buf [4]Entry
				b.ReportAllocs()
				before := cpu(b)
				for b.Loop() {
					r := chance.Uint64()
					n := r % count
					if r>>60&c.half == c.half {
						n += c.miss
					}
					found += len(x.Find(hashOf(n), buf[:0]))
				}
				b.ReportMetric(float64(b.N)/(cpu(b)-before).Seconds()/1e6, "M/s/core")
				b.ReportMetric(float64(x.Bytes())/1e6, "MB")
				b.ReportMetric(float64(x.Len())/slots, "load")
				b.ReportMetric(float64(found)/float64(b.N), "hits/op")
			})
		}
	}
}

func BenchmarkTouch(b *testing.B) {
	const count = 1_000_000
	x, chance := filled(b, count), rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		n := chance.Uint64N(count)
		x.Touch(hashOf(n), locationOf(n))
	}
}

// BenchmarkInsert builds an index of 10 million, all growth included.
func BenchmarkInsert(b *testing.B) {
	const count = 10_000_000
	before := cpu(b)
	for b.Loop() {
		x := New()
		for n := range uint64(count) {
			x.Insert(hashOf(n), Entry{Location: locationOf(n)})
		}
		x.Close()
	}
	b.ReportMetric(float64(b.N)*count/(cpu(b)-before).Seconds()/1e6, "M/s/core")
}

// BenchmarkChurn removes and inserts in an index of 10 million, as a disk that is full does.
func BenchmarkChurn(b *testing.B) {
	const count = 10_000_000
	x, n := filled(b, count), uint64(0)
	before := cpu(b)
	for b.Loop() {
		x.Remove(hashOf(n), locationOf(n))
		x.Insert(hashOf(n+count), Entry{Location: locationOf(n + count)})
		n++
	}
	b.ReportMetric(float64(b.N)/(cpu(b)-before).Seconds()/1e6, "M/s/core")
	if x.Len() != count {
		b.Error(x.Len())
	}
}

func BenchmarkAll(b *testing.B) {
	const count = 1_000_000
	x := filled(b, count)
	for b.Loop() {
		n := 0
		for range x.All() {
			n++
		}
		if n != count {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/entry")
}

// BenchmarkMemory is what a random access costs that has to wait for the one before it, in as much memory as an index of 10 million takes, for
// comparison: a search is about one.
func BenchmarkMemory(b *testing.B) {
	r, err := mapped{}.take(190_000_000 / pageOctets * pageOctets)
	if err != nil {
		b.Fatal(err)
	}
	all, n := bucketsOf(r), uint64(1)
	for i := range all {
		all[i].place[0] = 1
	}
	before := cpu(b)
	for b.Loop() {
		n = hashOf(n + all[n>>32*uint64(len(all))>>32].place[0])
	}
	b.ReportMetric(float64(b.N)/(cpu(b)-before).Seconds()/1e6, "M/s/core")
	runtime.KeepAlive(r)
}
