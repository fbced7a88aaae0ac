package transfer_test

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/transfer"
)

// Who sends an OPT record gets one, whatever the answer is (RFC 6891 section 6.1.1), of a transfer in the first message
// (RFC 5936 section 2.2.5). What was signed well is answered signed, errors too (RFC 8945 section 5.3), over UDP as
// well.
func TestEDNS(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(v1(t, byKey("tsig.test")))
	type edit = func(*dns.Msg)
	for _, test := range []struct {
		name    string
		edit    edit
		overUDP bool
		rcode   int
		records int
	}{
		{"AXFR", func(*dns.Msg) {}, false, dns.RcodeSuccess, 8},
		{"AXFR over UDP", func(*dns.Msg) {}, true, dns.RcodeFormatError, 0},
		{"IXFR", func(q *dns.Msg) { *q = *ixfr(0) }, false, dns.RcodeSuccess, 8},
		{"IXFR of what is there", func(q *dns.Msg) { *q = *ixfr(1) }, false, dns.RcodeSuccess, 1},
		{"IXFR over UDP", func(q *dns.Msg) { *q = *ixfr(0) }, true, dns.RcodeSuccess, 1},
		{"IXFR without a SOA", func(q *dns.Msg) { q.Question[0].Qtype = dns.TypeIXFR }, false, dns.RcodeFormatError, 0},
		{"another zone", func(q *dns.Msg) { q.Question[0].Name = "example.test." }, false, dns.RcodeRefused, 0},
		{"another version", func(q *dns.Msg) { q.SetEdns0(4096, false); q.IsEdns0().SetVersion(1) }, false, dns.RcodeBadVers, 0},
	} {
		for _, at := range []time.Time{time.Now(), time.Now().Add(-time.Hour)} {
			q := axfr()
			if test.edit(q); q.IsEdns0() == nil {
				q.SetEdns0(4096, true)
			}
			rcode, records := test.rcode, test.records
			if time.Since(at) > time.Minute {
				rcode, records = dns.RcodeNotAuth, 0
			}
			query := signed(t, q, "tsig.test.", dns.HmacSHA256, tsigSecret, at, nil)
			var answer []byte
			if test.overUDP {
				answer = s.Answer(query, loopback)
			} else if err := s.Serve(context.Background(), query, loopback, func(b []byte) error { answer = append([]byte(nil), b...); return nil }); err != nil {
				t.Fatal(err)
			}
			m := new(dns.Msg)
			if err := m.Unpack(answer); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if m.Rcode != rcode || len(m.Answer) != records {
				t.Errorf("%s: %s with %d records, want %s with %d", test.name, dns.RcodeToString[m.Rcode], len(m.Answer), dns.RcodeToString[rcode], records)
			}
			if o := m.IsEdns0(); o == nil || o.Version() != 0 || o.UDPSize() != 1232 || o.Do() != q.IsEdns0().Do() {
				t.Errorf("%s, %s: the OPT record is %v", test.name, dns.RcodeToString[rcode], o)
			}
			switch mac := m.IsTsig(); {
			case mac == nil:
				t.Errorf("%s, %s: not signed", test.name, dns.RcodeToString[rcode])
			case rcode != dns.RcodeNotAuth: // which the oracle does not look at
				if err := dns.TsigVerify(answer, tsigSecret, macOf(t, query), false); err != nil {
					t.Errorf("%s: the signature: %v", test.name, err)
				}
			}
		}
	}
}

// Of a transfer's messages the first has the OPT record, and who sends none gets none.
func TestOneOPT(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(million(t, 2_000))
	for _, edns := range []bool{true, false} {
		q := axfr()
		if edns {
			q.SetEdns0(4096, false)
		}
		b, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		messages := 0
		if err := s.Serve(context.Background(), b, loopback, func(b []byte) error {
			m := new(dns.Msg)
			if err := m.Unpack(b); err != nil {
				return err
			}
			if has, want := m.IsEdns0() != nil, edns && messages == 0; has != want || m.Rcode != dns.RcodeSuccess {
				t.Errorf("message %d of a query with OPT %t: OPT %t, %s", messages, edns, has, dns.RcodeToString[m.Rcode])
			}
			messages++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if messages < 2 {
			t.Errorf("%d messages, want several", messages)
		}
	}
}
