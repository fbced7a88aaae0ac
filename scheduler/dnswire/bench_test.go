package dnswire_test

import (
	"testing"

	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/rr"
)

// steered is what most queries look like: an A record for a client's network.
func steered(t testing.TB) []byte {
	t.Helper()
	return octets(t, header1+`04 "d123" 03 "cdn" 04 "test" 00 0001 0001 00 0029 04d0 00 00 0000 000b 0008 0007 0001 18 00 0a0b0c`)
}

// write makes the answer that most queries get: two addresses, and the subnet with a scope.
func write(w *dnswire.Writer, buf []byte, q *dnswire.Query) []byte {
	w.Begin(buf, q)
	w.Record(dnswire.Answer, nil, rr.TypeA, 20, []byte{192, 0, 2, 1})
	w.Record(dnswire.Answer, nil, rr.TypeA, 20, []byte{192, 0, 2, 2})
	return w.End(dnswire.Ending{AA: true, OPT: &dnswire.OPT{Size: 1232, Subnet: &q.Subnet, Scope: 20, Keepalive: dnswire.NoKeepalive}})
}

func BenchmarkParse(b *testing.B) {
	packet := steered(b)
	var q dnswire.Query
	b.ReportAllocs()
	for b.Loop() {
		if q.Parse(packet) != dnswire.OK {
			b.Fatal(q)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	q := parse(b, steered(b))
	buf := make([]byte, 0, 512)
	var w dnswire.Writer
	b.ReportAllocs()
	for b.Loop() {
		write(&w, buf, q)
	}
}

// Neither reading nor writing allocates, whatever the query.
func TestAllocations(t *testing.T) {
	buf := make([]byte, 0, 512)
	packet := steered(t)
	soa := name(t, "cdn.test")
	n := testing.AllocsPerRun(100, func() {
		var q dnswire.Query
		var w dnswire.Writer
		q.Parse(packet)
		write(&w, buf, &q)
		w.Begin(buf, &q)
		w.Record(dnswire.Authority, soa, rr.TypeSOA, 60, soa)
		w.End(dnswire.Ending{OPT: &dnswire.OPT{NSID: "ns1", PadTo: 64}})
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
