package transfer_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/transfer"
)

// Nobody makes the server read thousands of names that it has no use for: a query has an OPT and a TSIG beside its question, and one SOA.
func TestCrowded(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(v1(t, byKey("tsig.test")))
	whole := signed(t, axfr(), "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now(), nil)
	crowd := append([]byte(nil), whole[:12]...)
	binary.BigEndian.PutUint16(crowd[10:], binary.BigEndian.Uint16(whole[10:])+4000)
	end := 12 + len("\x03cdn\x04test\x00") + 4
	crowd = append(crowd, whole[12:end]...)
	for range 4000 { // the question's name, TXT, with nothing in it
		crowd = append(crowd, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 1, 0)
	}
	crowd = append(crowd, whole[end:]...)
	from := netip.MustParseAddr("192.0.2.1")
	for name, answer := range map[string]func([]byte) []byte{
		"a transfer over a stream": func(q []byte) (out []byte) {
			if err := s.Serve(context.Background(), q, from, func(m []byte) error { out = m; return nil }); err != nil {
				t.Error(err)
			}
			return out
		},
		"a transfer over UDP": func(q []byte) []byte { return s.Answer(q, from) },
		"what is signed":      func(q []byte) []byte { return s.Signed(q, true, func(q []byte) []byte { return q }) },
	} {
		if r := answer(crowd); len(r) != 12 || r[3]&0xf != dns.RcodeFormatError {
			t.Errorf("%s: %x, want FORMERR", name, r)
		}
		if n := testing.AllocsPerRun(3, func() { answer(crowd) }); n > 20 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Over UDP no answer is longer than what passes everywhere, whatever the query says that it takes: the signature of a
// query that was overheard is good for minutes, for any sender's address.
func TestSignedIsShort(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	q := new(dns.Msg).SetQuestion("cdn.test.", dns.TypeTXT)
	q.SetEdns0(65000, false)
	packet := signed(t, q, "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now(), nil)
	long := func(query []byte) []byte { return append(append([]byte(nil), query...), make([]byte, 3000)...) }
	if r := s.Signed(packet, true, long); len(r) > 1232 || r[2]&2 == 0 {
		t.Errorf("%d octets, want TC", len(r))
	}
	if r := s.Signed(packet, false, long); len(r) < 3000 {
		t.Errorf("%d octets over a stream", len(r))
	}
}
