package disk_test

import (
	"strconv"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

// onOS is a configuration on the machine's file system.
func onOS(tb testing.TB, size int64) disk.Config {
	tb.Helper()
	return disk.Config{Disks: []disk.Disk{{Path: tb.TempDir(), Size: size}}, FS: fsys.OS{}, Now: func() time.Time { return epoch }}
}

// BenchmarkPut is filling, in octets of bodies.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			s := open(b, onOS(b, 8<<30))
			of := template(long("x", size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o := *of
				o.Key = cdn.CacheKey(keyOf(i))
				for !s.Put(&o, nil) { //nolint:revive // it waits inside
				}
			}
		})
	}
}

func template(body string) *store.Object { return thing("", body, "Cache-Control", "max-age=100000") }

// BenchmarkGet is of what is in the page cache.
func BenchmarkGet(b *testing.B) {
	for _, tt := range []struct {
		name string
		size int
		file bool
	}{{"1KiB", 1 << 10, false}, {"64KiB", 64 << 10, false}, {"1MiB", 1 << 20, false}, {"1MiB file", 1 << 20, true}} {
		b.Run(tt.name, func(b *testing.B) {
			c := onOS(b, 4<<30)
			s := open(b, c)
			n := min(1000, (512<<20)/tt.size)
			for i := range n {
				put(b, s, thing(keyOf(i), long("x", tt.size)), "")
			}
			s.Flush()
			keys := make([]cdn.CacheKey, n)
			for i := range keys {
				keys[i] = cdn.CacheKey(keyOf(i))
			}
			b.SetBytes(int64(tt.size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if o, _ := s.Get(store.Lookup{Key: keys[i%n], File: tt.file}); o == nil {
					b.Fatal("a miss")
				}
			}
		})
	}
}

// BenchmarkOpen is the time until a million objects of 1 KiB are known, after a clean end and after a kill.
func BenchmarkOpen(b *testing.B) {
	const objects = 1_000_000
	c := onOS(b, 8<<30)
	s := open(b, c)
	of := template(long("x", 1<<10))
	for i := range objects {
		o := *of
		o.Key = cdn.CacheKey(keyOf(i))
		for !s.Put(&o, nil) { //nolint:revive // it waits inside
		}
	}
	closed(b, s)
	for b.Loop() {
		s, err := disk.Open(c)
		if err != nil {
			b.Fatal(err)
		}
		<-s.Warm()
		if got := s.Stats().Objects; got != objects {
			b.Fatalf("%d objects", got)
		}
		b.StopTimer()
		closed(b, s)
		b.StartTimer()
	}
}

// BenchmarkLap is filling a disk that is full, in octets of bodies: each segment that is begun takes another one's room.
func BenchmarkLap(b *testing.B) {
	s := open(b, onOS(b, 1<<30))
	of := template(long("x", 1<<20))
	b.SetBytes(1 << 20)
	refused := 0
	for i := 0; b.Loop(); i++ {
		o := *of
		o.Key = cdn.CacheKey(keyOf(i))
		for !s.Put(&o, nil) {
			refused++
		}
		if i%10 == 0 {
			s.Get(store.Lookup{Key: o.Key})
		}
	}
	d := s.Stats().Disks[0]
	b.ReportMetric(float64(refused)/float64(b.N), "refused/op")
	b.ReportMetric(amplification(d), "written/brought")
	b.ReportMetric(float64(d.Reclaimed), "segments")
}
