package transfer_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/transfer"
)

// generated is a source of many names, which are made when they are asked for.
type generated struct {
	zone    transfer.Zone
	n       int
	changed int // the names below have another address
}

func (g *generated) Zones() []transfer.Zone { return []transfer.Zone{g.zone} }

func (g *generated) Records(*transfer.Zone) iter.Seq2[[]byte, rr.Set] {
	return func(yield func([]byte, rr.Set) bool) {
		owner := append([]byte("\x0ad000000000"), g.zone.Name...)
		a, b := []byte{192, 0, 2, 1}, []byte{198, 51, 100, 1}
		six := make([]byte, 16)
		for i := range g.n {
			for j, k := 10, i; j > 1; j-- {
				owner[j] = byte('0' + k%10)
				k /= 10
			}
			a[3] = 1
			if i < g.changed {
				a[3] = 2
			}
			if !yield(owner, rr.Set{Type: rr.TypeA, TTL: 20, Data: [][]byte{a, b}}) || !yield(owner, rr.Set{Type: rr.TypeAAAA, TTL: 20, Data: [][]byte{six}}) {
				return
			}
		}
	}
}

func million(t testing.TB, n int) *generated {
	t.Helper()
	g := &generated{n: n}
	g.zone.Name = wire(t, apex)
	_, g.zone.SOA = parse(t, soaOf(1))
	g.zone.Secondaries = []cdn.Secondary{{Address: netip.AddrPortFrom(loopback, 0)}}
	return g
}

// Messages have at most 16 KiB, signed or not, and a zone takes no memory while it is written.
func TestLarge(t *testing.T) {
	const names = 30_000
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(million(t, names))
	for _, key := range []string{"", "tsig.test."} {
		query := axfrBytes(t)
		if key != "" {
			query = signed(t, axfr(), key, dns.HmacSHA256, tsigSecret, time.Now(), nil)
		}
		var octets, records, longest, messages int
		low, high := uint64(math.MaxUint64), uint64(0)
		err := s.Serve(context.Background(), query, loopback, func(b []byte) error {
			octets, longest = octets+len(b), max(longest, len(b))
			m := new(dns.Msg)
			if err := m.Unpack(b); err != nil {
				return err
			}
			records += len(m.Answer)
			if messages++; messages%16 == 0 {
				var mem runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&mem)
				low, high = min(low, mem.HeapAlloc), max(high, mem.HeapAlloc)
			}
			return nil
		})
		if err != nil || records != 3*names+2 {
			t.Fatalf("%d records, %v, want %d", records, err, 3*names+2)
		}
		if longest > 16<<10 || longest < 8<<10 {
			t.Errorf("the longest message has %d octets, want up to 16 KiB", longest)
		}
		if high > low+1<<20 {
			t.Errorf("the heap grew by %d octets", high-low)
		}
		t.Logf("%d records in %d octets, %.1f each", records, octets, float64(octets)/float64(records))
	}
}

func BenchmarkWhole(b *testing.B) {
	for _, key := range []string{"", "tsig.test."} {
		b.Run(fmt.Sprintf("key=%s", key), func(b *testing.B) {
			s := transfer.New(transfer.Config{Keys: keys(b), Registry: prometheus.NewRegistry()})
			const names = 100_000
			s.Publish(million(b, names))
			query := axfrBytes(b)
			if key != "" {
				query = signed(b, axfr(), key, dns.HmacSHA256, tsigSecret, time.Now(), nil)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Serve(context.Background(), query, loopback, func([]byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/names, "ns/name")
		})
	}
}

// One name of a million changes: how long until it can be transferred.
func BenchmarkPublish(b *testing.B) {
	const names = 1_000_000
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		s := transfer.New(transfer.Config{Registry: prometheus.NewRegistry()})
		s.Publish(million(b, names))
		next := million(b, names)
		next.changed = 1
		_, next.zone.SOA = parse(b, soaOf(2))
		s.Publish(next)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Run(ctx)
		}()
		query, err := ixfr(1).Pack()
		if err != nil {
			b.Fatal(err)
		}
		for got := 0; got != 6; { // SOA, SOA, one record gone, SOA, one come, SOA
			if err := s.Serve(ctx, query, loopback, func(m []byte) error {
				got = int(m[6])<<8 | int(m[7])
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			<-tick.C
		}
		cancel()
		<-ended
	}
}
