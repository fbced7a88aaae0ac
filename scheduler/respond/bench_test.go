package respond_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
)

// queries are 1000 names with a client subnet, packed.
func queries(t testing.TB, s *cdn.Snapshot, do bool, qtype uint16) (packets [][]byte) {
	t.Helper()
	for i := range 1000 {
		name := fmt.Sprintf("d%d", i)
		s.Fleet.DNS.Steered = append(s.Fleet.DNS.Steered, cdn.Domain(name))
		q := query(name+".cdn.test.", qtype)
		q.SetEdns0(1232, do)
		q.IsEdns0().Option = []dns.EDNS0{subnet(1, "10.11.12.0", 24, 0)}
		packet, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
	}
	return packets
}

func BenchmarkRespond(b *testing.B) {
	for _, bench := range []struct {
		name  string
		qtype uint16
		do    bool
	}{{"A", dns.TypeA, false}, {"AAAA", dns.TypeAAAA, false}, {"signed", dns.TypeA, true}} {
		b.Run(bench.name, func(b *testing.B) {
			s := snapshot()
			packets := queries(b, s, bench.do, bench.qtype)
			f := start(b, s)
			if bench.do {
				f.state.Signer = signer(b)
			}
			peer := respond.Peer{Addr: netip.MustParseAddr("127.0.0.1")}
			buf := make([]byte, 0, 4096)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				if out := f.Respond(buf, packets[i%1000], peer, &f.scratch); len(out) < 60 {
					b.Fatal(out)
				}
			}
		})
	}
}

// BenchmarkRespondNew is of queries that have not been there before: each is of another network.
func BenchmarkRespondNew(b *testing.B) {
	s := snapshot()
	packets := queries(b, s, false, dns.TypeA)
	f := start(b, s)
	peer := respond.Peer{Addr: netip.MustParseAddr("127.0.0.1")}
	buf := make([]byte, 0, 4096)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		packet := packets[i%1000]
		packet[len(packet)-2], packet[len(packet)-1] = byte(i>>8), byte(i) // of the subnet
		if out := f.Respond(buf, packet, peer, &f.scratch); len(out) < 60 {
			b.Fatal(out)
		}
	}
}
