package paths_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/routequality/paths"
)

// crowd is 300 POPs and 200,000 places with one network each, which visit 10 POPs.
func crowd(b *testing.B, places, pops int) (book *world, visit func()) {
	b.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	s := new(cdn.Snapshot)
	for i := range pops {
		name := cdn.POPName(fmt.Sprintf("pop%03d", i))
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge, Location: cdn.Location{Latitude: dice.Float64()*120 - 60, Longitude: dice.Float64()*360 - 180}})
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: cdn.NodeName(name + "-1"), POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	clients := make([]cdn.ClientPrefix, places)
	batches := make([]cdn.VisitorBatch, pops)
	for i := range clients {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(1 + i>>16), byte(i >> 8), byte(i), 0}), 24)
		clients[i] = cdn.ClientPrefix{Prefix: prefix, ISP: fmt.Sprintf("isp%d", i%500), Location: cdn.Location{Latitude: dice.Float64()*120 - 60, Longitude: float64(i)/float64(places)*360 - 180, Country: "AA"}}
		for range 10 {
			p := dice.IntN(pops)
			batches[p].Samples = append(batches[p].Samples, cdn.VisitorSample{Network: prefix, RTTs: []float32{float32(10 + dice.ExpFloat64()*30)}, Packets: 100, Requests: uint32(1 + dice.IntN(50)), Octets: uint64(dice.ExpFloat64() * 1e6)})
		}
	}
	x, err := locate.New(clients, nil)
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(b, paths.Config{MaxPaths: 10 * places, MaxLists: places})
	w.b.SetFleet(s)
	w.b.SetPlaces(x)
	return w, func() {
		for p := range batches {
			for i := range batches[p].Samples {
				batches[p].Samples[i].RTTs[0] *= float32(0.95 + 0.1*dice.Float64())
			}
			w.b.Visitors(w.now, s.Fleet.POPs[p].Name, w.now, &batches[p])
		}
	}
}

// BenchmarkSlot is a slot of 20,000 groups, in which all of them were heard of from all of their 10 POPs, or none was.
func BenchmarkSlot(b *testing.B) {
	for _, heard := range []bool{true, false} {
		b.Run(fmt.Sprintf("heard=%v", heard), func(b *testing.B) {
			w, visit := crowd(b, 20_000, 300)
			visit()
			w.slot()
			if got := len(w.groups); got < 19_900 {
				b.Fatalf("%d groups", got)
			}
			rows := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				if heard {
					visit()
				}
				w.now = w.now.Add(cdn.SlotTime)
				b.StartTimer()
				rows += len(w.b.Slot(w.now, func(cdn.POPName) bool { return false }).Groups)
			}
			b.StopTimer()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			runtime.KeepAlive(w)
			b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
			b.ReportMetric(float64(rows)/float64(b.N), "rows/op")
		})
	}
}

// BenchmarkVisitors is what the samples of such a slot cost.
func BenchmarkVisitors(b *testing.B) {
	w, visit := crowd(b, 20_000, 300)
	for b.Loop() {
		visit()
		b.StopTimer()
		w.slot()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200_000, "ns/sample")
}
