package seat

import (
	"net/netip"
	"testing"
	"time"
)

func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// BenchmarkEnter is a connection that gets a seat, asks once and leaves, when three quarters of the seats are taken;
// and BenchmarkFull one that comes when all are: by connections of many networks that have asked at various times, and
// by some that ask all the time.
func BenchmarkEnter(b *testing.B) {
	for name, taken := range map[string]int{"4096": 3072, "100000": 75_000} {
		b.Run(name, func(b *testing.B) {
			now := time.Now()
			r := New(Limits{Total: taken / 3 * 4, PerClient: 64}, now)
			for i := range taken {
				r.Enter(address(i), &line{}, now).Begin(now)
			}
			conn, i := &line{}, taken
			b.ReportAllocs()
			for b.Loop() {
				i++
				s := r.Enter(address(i&(1<<20-1)), conn, now)
				s.Begin(now)
				s.End(now)
				s.Leave()
			}
		})
	}
}

func BenchmarkFull(b *testing.B) {
	for name, taken := range map[string]int{"4096": 4096, "100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			now := time.Now()
			r := New(Limits{Total: taken, PerClient: 64}, now)
			seats := make([]*Seat, taken)
			for i := range seats {
				seats[i] = r.Enter(address(i), &line{}, now)
				seats[i].Begin(now)
				seats[i].End(now)
			}
			conn, i := &line{}, 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				now = now.Add(10 * time.Millisecond)
				asks := seats[i*7919%taken]
				asks.Begin(now)
				asks.End(now)
				s := r.Enter(address(1<<20+i&(1<<22-1)), conn, now)
				if s == nil {
					continue
				}
				s.Begin(now)
				s.End(now)
				seats[i%taken].Leave() // the connections that are over, be they lost or not
				seats[i%taken] = s
			}
		})
	}
}

// BenchmarkAsk is what a question costs.
func BenchmarkAsk(b *testing.B) {
	now := time.Now()
	s := New(Limits{Total: 1, PerClient: 1}, now).Enter(address(1), &line{}, now)
	for b.Loop() {
		s.Begin(now)
		s.Move(now, 1)
		s.End(now)
	}
}
