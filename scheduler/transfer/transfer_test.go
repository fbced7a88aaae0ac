package transfer_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/scheduler/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func itoa(n int) string { return strconv.Itoa(n) }

func v1(t testing.TB, s []cdn.Secondary) *zoneFile {
	t.Helper()
	return zoneOf(t, 1, s, "cdn.test. 3600 IN NS ns1.cdn.test.", "ns1.cdn.test. 300 IN A 192.0.2.53",
		"www.cdn.test. 20 IN A 192.0.2.1", "www.cdn.test. 20 IN A 192.0.2.2", `\001\.\\.cdn.test. 60 IN TXT "a b"`, "gone.cdn.test. 60 IN A 192.0.2.9")
}

func v2(t testing.TB, s []cdn.Secondary) *zoneFile {
	t.Helper()
	return zoneOf(t, 2, s, "cdn.test. 3600 IN NS ns1.cdn.test.", "ns1.cdn.test. 60 IN A 192.0.2.53",
		"www.cdn.test. 20 IN A 192.0.2.2", "www.cdn.test. 20 IN A 192.0.2.3", `\001\.\\.cdn.test. 60 IN TXT "a b"`, "came.cdn.test. 60 IN AAAA 2001:db8::1")
}

// Every record comes, once, between two SOAs, signed with each algorithm or not at all.
func TestWhole(t *testing.T) {
	want := []string{
		"cdn.test. 3600 IN SOA ns1.cdn.test. hostmaster.cdn.test. 1 2 2 604800 60", "cdn.test. 3600 IN NS ns1.cdn.test.", "ns1.cdn.test. 300 IN A 192.0.2.53",
		"www.cdn.test. 20 IN A 192.0.2.1", "www.cdn.test. 20 IN A 192.0.2.2", `\001\.\\.cdn.test. 60 IN TXT "a b"`, "gone.cdn.test. 60 IN A 192.0.2.9",
		"cdn.test. 3600 IN SOA ns1.cdn.test. hostmaster.cdn.test. 1 2 2 604800 60",
	}
	f := newFront(t, transfer.Config{Keys: keys(t)})
	f.publish(v1(t, []cdn.Secondary{{Key: "tsig.test"}, {Key: "tsig384.test"}, {Key: "other.test"}, {Address: netip.MustParseAddrPort("127.0.0.1:0")}}))
	for _, test := range []struct{ key, algorithm, secret string }{
		{"", "", ""},
		{"tsig.test.", dns.HmacSHA256, tsigSecret},
		{"tsig384.test.", dns.HmacSHA384, tsigSecret},
		{"other.test.", dns.HmacSHA512, "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="},
	} {
		for name, q := range map[string]*dns.Msg{"AXFR": axfr(), "IXFR of a version that nobody knows": ixfr(0)} {
			got, err := pull(t, f.at, q, test.key, test.algorithm, test.secret)
			if err != nil {
				t.Errorf("%s with %q: %v", name, test.key, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s with %q (-want +got):\n%s", name, test.key, diff)
			}
		}
	}
}

// waitFor waits until the server has made a serial current.
func waitFor(t testing.TB, f *front, serial uint32) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		got, err := pull(t, f.at, ixfr(serial), "tsig.test.", dns.HmacSHA256, tsigSecret)
		if err == nil && len(got) == 1 && strings.Contains(got[0], fmt.Sprintf(" %d 2 2 ", serial)) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("serial %d does not come: %v, %v", serial, got, err)
		}
	}
}

func TestDifferences(t *testing.T) {
	soa := func(serial int) string { return strings.ReplaceAll(soaOf(serial), "\t", " ") }
	f := newFront(t, transfer.Config{Keys: keys(t)})
	same := []string{}
	for i := range 50 { // so that differences are less than all
		same = append(same, fmt.Sprintf("n%d.cdn.test. 60 IN A 192.0.2.77", i))
	}
	with := func(z *zoneFile) *zoneFile {
		z.records = append(z.records, zoneOf(t, 1, nil, same...).records...)
		return z
	}
	f.publish(with(v1(t, byKey("tsig.test"))))
	waitFor(t, f, 1)
	f.publish(with(v2(t, byKey("tsig.test"))))
	waitFor(t, f, 2)
	third := with(v2(t, byKey("tsig.test")))
	_, third.zone.SOA = parse(t, soaOf(3))
	f.publish(third)
	waitFor(t, f, 3)
	steps := []string{
		soa(3), soa(1), "ns1.cdn.test. 300 IN A 192.0.2.53", "www.cdn.test. 20 IN A 192.0.2.1", "gone.cdn.test. 60 IN A 192.0.2.9",
		soa(2), "ns1.cdn.test. 60 IN A 192.0.2.53", "www.cdn.test. 20 IN A 192.0.2.3", "came.cdn.test. 60 IN AAAA 2001:db8::1", soa(2), soa(3), soa(3),
	}
	for _, test := range []struct {
		from  uint32
		want  []string // nil: the whole
		count int
	}{
		{1, steps, 0},
		{2, []string{soa(3), soa(2), soa(3), soa(3)}, 0},
		{3, []string{soa(3)}, 0},
		{4, []string{soa(3)}, 0},
		{77 + 1<<31, nil, 58},
	} {
		got, err := answerLines(t, f, ixfr(test.from))
		if err != nil {
			t.Errorf("from %d: %v", test.from, err)
		}
		if test.want == nil {
			if len(got) != test.count {
				t.Errorf("from %d: %d records, want the whole of %d", test.from, len(got), test.count)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("from %d (-want +got):\n%s", test.from, diff)
		}
	}
}

// answerLines serves a query that is signed, without sockets, and returns the records of all messages.
func answerLines(t testing.TB, f *front, q *dns.Msg) (lines []string, err error) {
	t.Helper()
	b := signed(t, q, "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now(), nil)
	err = f.Serve(context.Background(), b, loopback, func(m []byte) error {
		r := new(dns.Msg)
		if err := r.Unpack(m); err != nil {
			return err
		}
		for _, record := range r.Answer {
			lines = append(lines, strings.ReplaceAll(record.String(), "\t", " "))
		}
		return nil
	})
	return lines, err
}

// signed packs and signs a query; change may spoil it.
func signed(t testing.TB, q *dns.Msg, key, algorithm, secret string, at time.Time, change func(*dns.TSIG)) []byte {
	t.Helper()
	q.SetTsig(key, algorithm, 300, at.Unix())
	b, _, err := dns.TsigGenerate(q, secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if change == nil {
		return b
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	change(m.IsTsig())
	if b, err = m.Pack(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAccess(t *testing.T) {
	at := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 53) }
	for _, test := range []struct {
		name      string
		secondary cdn.Secondary
		from, key string
		rcode     int
	}{
		{"address", cdn.Secondary{Address: at("192.0.2.1")}, "192.0.2.1", "", dns.RcodeSuccess},
		{"address, mapped", cdn.Secondary{Address: at("192.0.2.1")}, "::ffff:192.0.2.1", "", dns.RcodeSuccess},
		{"address, and a key that it need not have", cdn.Secondary{Address: at("192.0.2.1")}, "192.0.2.1", "other.test.", dns.RcodeSuccess},
		{"another address", cdn.Secondary{Address: at("192.0.2.1")}, "192.0.2.2", "", dns.RcodeRefused},
		{"key", cdn.Secondary{Key: "other.test"}, "192.0.2.1", "other.test.", dns.RcodeSuccess},
		{"no key", cdn.Secondary{Key: "other.test"}, "192.0.2.1", "", dns.RcodeRefused},
		{"another key", cdn.Secondary{Key: "tsig.test"}, "192.0.2.1", "other.test.", dns.RcodeRefused},
		{"both", cdn.Secondary{Address: at("192.0.2.1"), Key: "other.test"}, "192.0.2.1", "other.test.", dns.RcodeSuccess},
		{"the address without the key", cdn.Secondary{Address: at("192.0.2.1"), Key: "other.test"}, "192.0.2.1", "", dns.RcodeRefused},
		{"the key without the address", cdn.Secondary{Address: at("192.0.2.1"), Key: "other.test"}, "192.0.2.2", "other.test.", dns.RcodeRefused},
		{"neither", cdn.Secondary{}, "192.0.2.1", "other.test.", dns.RcodeRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
			s.Publish(v1(t, []cdn.Secondary{test.secondary}))
			q := axfr()
			b, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if test.key != "" {
				b = signed(t, q, test.key, dns.HmacSHA512, "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", time.Now(), nil)
			}
			m := first(t, s, b, test.from)
			if m.Rcode != test.rcode || (m.IsTsig() != nil) != (test.key != "") {
				t.Errorf("got %v, want %s, and signed if the query is", m, dns.RcodeToString[test.rcode])
			}
			if test.rcode != dns.RcodeSuccess && len(m.Answer) != 0 {
				t.Error("and has records")
			}
		})
	}
}

// first serves a query and returns the first message.
func first(t testing.TB, s *transfer.Server, query []byte, from string) *dns.Msg {
	t.Helper()
	var got *dns.Msg
	err := s.Serve(context.Background(), query, netip.MustParseAddr(from), func(b []byte) error {
		if got == nil {
			got = new(dns.Msg)
			return got.Unpack(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		t.Fatal("no answer")
	}
	return got
}

func TestBadSignatures(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		name, key, algorithm string
		late                 time.Duration
		change               func(*dns.TSIG)
		rcode                int
		failed               uint16
		signed               bool
	}{
		{"unknown key", "unknown.test.", dns.HmacSHA256, 0, nil, dns.RcodeNotAuth, dns.RcodeBadKey, false},
		{"another algorithm", "tsig.test.", dns.HmacSHA512, 0, nil, dns.RcodeNotAuth, dns.RcodeBadKey, false},
		{"sha1", "tsig.test.", dns.HmacSHA1, 0, nil, dns.RcodeNotAuth, dns.RcodeBadKey, false},
		{"a flipped bit", "tsig.test.", dns.HmacSHA256, 0, func(t *dns.TSIG) { t.MAC = "00" + t.MAC[2:] }, dns.RcodeNotAuth, dns.RcodeBadSig, false},
		{"half a signature", "tsig.test.", dns.HmacSHA256, 0, func(t *dns.TSIG) { t.MAC, t.MACSize = t.MAC[:32], 16 }, dns.RcodeNotAuth, 22, true},
		{"half of a wrong one", "tsig.test.", dns.HmacSHA256, 0, func(t *dns.TSIG) { t.MAC, t.MACSize = "00"+t.MAC[2:32], 16 }, dns.RcodeNotAuth, dns.RcodeBadSig, false},
		{"a tenth of one", "tsig.test.", dns.HmacSHA256, 0, func(t *dns.TSIG) { t.MAC, t.MACSize = t.MAC[:6], 3 }, dns.RcodeFormatError, 0, false},
		{"as late as may be", "tsig.test.", dns.HmacSHA256, 300 * time.Second, nil, dns.RcodeSuccess, 0, true},
		{"late", "tsig.test.", dns.HmacSHA256, 301 * time.Second, nil, dns.RcodeNotAuth, dns.RcodeBadTime, true},
		{"early", "tsig.test.", dns.HmacSHA256, -301 * time.Second, nil, dns.RcodeNotAuth, dns.RcodeBadTime, true},
		{"another time", "tsig.test.", dns.HmacSHA256, 0, func(t *dns.TSIG) { t.TimeSigned++ }, dns.RcodeNotAuth, dns.RcodeBadSig, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry(), Now: func() time.Time { return now }})
			s.Publish(v1(t, byKey("tsig.test")))
			m := first(t, s, signed(t, axfr(), test.key, test.algorithm, tsigSecret, now.Add(-test.late), test.change), "192.0.2.1")
			if m.Rcode != test.rcode {
				t.Fatalf("got %s, want %s", dns.RcodeToString[m.Rcode], dns.RcodeToString[test.rcode])
			}
			if test.rcode == dns.RcodeFormatError {
				return
			}
			if ts := m.IsTsig(); ts == nil || ts.Error != test.failed || (ts.MACSize != 0) != test.signed {
				t.Fatalf("got %v, want the error %d, signed: %v", ts, test.failed, test.signed)
			} else if test.failed == dns.RcodeBadTime && (ts.OtherData != fmt.Sprintf("%012x", now.Unix()) || ts.TimeSigned != uint64(now.Add(-test.late).Unix())) {
				t.Errorf("times %d and %s, want the client's and the server's", ts.TimeSigned, ts.OtherData)
			}
		})
	}
}

// The answer to a signature that is late is signed so that the client believes it.
func TestBadTimeIsBelieved(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	query := signed(t, axfr(), "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now().Add(-time.Hour), nil)
	q := new(dns.Msg)
	if err := q.Unpack(query); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	if err := s.Serve(context.Background(), query, loopback, func(b []byte) error { answer = b; return nil }); err != nil {
		t.Fatal(err)
	}
	// miekg/dns does not look at answers with NOTAUTH: what was signed is made again.
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	want := m.IsTsig().MAC
	_, mac, err := dns.TsigGenerate(m, tsigSecret, q.IsTsig().MAC, false)
	if err != nil || mac != want {
		t.Errorf("signature %s, want %s (%v)", want, mac, err)
	}
}

func TestQueriesThatAreNone(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(v1(t, []cdn.Secondary{{Address: netip.AddrPortFrom(loopback, 0)}}))
	change := func(f func(*dns.Msg)) []byte {
		q := axfr()
		f(q)
		b, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, test := range []struct {
		name  string
		query []byte
		rcode int
	}{
		{"another type", change(func(q *dns.Msg) { q.Question[0].Qtype = dns.TypeSOA }), dns.RcodeFormatError},
		{"two questions", change(func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }), dns.RcodeFormatError},
		{"no question", change(func(q *dns.Msg) { q.Question = nil }), dns.RcodeFormatError},
		{"a notification", change(func(q *dns.Msg) { q.Opcode = dns.OpcodeNotify }), dns.RcodeFormatError},
		{"another class", change(func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassCHAOS }), dns.RcodeRefused},
		{"another zone", change(func(q *dns.Msg) { q.Question[0].Name = "example.test." }), dns.RcodeRefused},
		{"a name in the zone", change(func(q *dns.Msg) { q.Question[0].Name = "www.cdn.test." }), dns.RcodeRefused},
		{"IXFR without a SOA", change(func(q *dns.Msg) { q.Question[0].Qtype = dns.TypeIXFR }), dns.RcodeFormatError},
		{"other letters", change(func(q *dns.Msg) { q.Question[0].Name = "CDN.tESt." }), dns.RcodeSuccess},
		{"cut off", axfrBytes(t)[:20], dns.RcodeFormatError},
	} {
		if m := first(t, s, test.query, "127.0.0.1"); m.Rcode != test.rcode {
			t.Errorf("%s: got %s, want %s", test.name, dns.RcodeToString[m.Rcode], dns.RcodeToString[test.rcode])
		}
	}
	for _, silent := range [][]byte{nil, axfrBytes(t)[:11], change(func(q *dns.Msg) { q.Response = true })} {
		if b := s.Answer(silent, loopback); b != nil {
			t.Errorf("%x is answered with %x", silent, b)
		}
	}
}

func axfrBytes(t testing.TB) []byte {
	t.Helper()
	b, err := axfr().Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUDP(t *testing.T) {
	f := newFront(t, transfer.Config{Keys: keys(t)})
	f.publish(v1(t, byKey("tsig.test")))
	client := &dns.Client{Net: "udp", TsigSecret: map[string]string{"tsig.test.": tsigSecret}}
	q := ixfr(0)
	q.SetTsig("tsig.test.", dns.HmacSHA256, 300, time.Now().Unix())
	a, _, err := client.Exchange(q, f.at)
	if err != nil || len(a.Answer) != 1 || a.Answer[0].Header().Rrtype != dns.TypeSOA {
		t.Errorf("IXFR: got %v, %v, want a SOA", a, err)
	}
	q = axfr()
	q.SetTsig("tsig.test.", dns.HmacSHA256, 300, time.Now().Unix())
	b, _, _ := dns.TsigGenerate(q, tsigSecret, "", false)
	if m := new(dns.Msg); m.Unpack(f.Answer(b, loopback)) != nil || m.Rcode != dns.RcodeFormatError {
		t.Errorf("AXFR: got %v, want FORMERR", m)
	}
}

// An ordinary query with a TSIG gets an ordinary answer with one.
func TestSigned(t *testing.T) {
	f := newFront(t, transfer.Config{Keys: keys(t)})
	f.publish(v1(t, nil))
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, TsigSecret: map[string]string{"tsig.test.": tsigSecret}}
		q := new(dns.Msg)
		q.SetQuestion("cdn.TEST.", dns.TypeSOA)
		q.SetEdns0(1232, false)
		q.SetTsig("tsig.test.", dns.HmacSHA256, 300, time.Now().Unix())
		a, _, err := client.Exchange(q, f.at)
		if err != nil || len(a.Answer) != 1 || a.IsTsig() == nil {
			t.Errorf("%s: got %v, %v, want the SOA, signed", network, a, err)
		}
	}
	long := func(query []byte) []byte {
		m, a := new(dns.Msg), new(dns.Msg)
		if err := m.Unpack(query); err != nil || m.IsTsig() != nil {
			t.Errorf("what is to be answered: %v, %v", m, err)
		}
		a.SetReply(m)
		for range 20 {
			r, _ := dns.NewRR("cdn.test. 60 IN TXT " + strings.Repeat("x", 50))
			a.Answer = append(a.Answer, r)
		}
		b, _ := a.Pack()
		return b
	}
	q := new(dns.Msg)
	q.SetQuestion("cdn.test.", dns.TypeTXT)
	b := signed(t, q, "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now(), nil)
	m := new(dns.Msg)
	answer := f.Signed(b, true, long)
	if err := m.Unpack(answer); err != nil || !m.Truncated || len(m.Answer) != 0 || len(answer) > 512 {
		t.Errorf("a long answer: %v, %v, want TC and no records", m, err)
	}
	if err := dns.TsigVerify(answer, tsigSecret, macOf(t, b), false); err != nil {
		t.Errorf("TC is not signed: %v", err)
	}
	if err := m.Unpack(f.Signed(axfrBytes(t), false, long)); err != nil || m.Rcode != dns.RcodeFormatError {
		t.Errorf("without a TSIG: %v, %v, want FORMERR", m, err)
	}
	bad := signed(t, q, "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now(), func(s *dns.TSIG) { s.MAC = "00" + s.MAC[2:] })
	if err := m.Unpack(f.Signed(bad, false, long)); err != nil || m.Rcode != dns.RcodeNotAuth {
		t.Errorf("a bad signature: %v, %v, want NOTAUTH", m, err)
	}
}

func macOf(t testing.TB, b []byte) string {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	return m.IsTsig().MAC
}

func TestBusy(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry(), Transfers: 1})
	s.Publish(v1(t, []cdn.Secondary{{Address: netip.AddrPortFrom(loopback, 0)}}))
	if err := s.Serve(context.Background(), axfrBytes(t), loopback, func([]byte) error {
		if m := first(t, s, axfrBytes(t), "127.0.0.1"); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("a second transfer: %s, want SERVFAIL", dns.RcodeToString[m.Rcode])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if m := first(t, s, axfrBytes(t), "127.0.0.1"); m.Rcode != dns.RcodeSuccess {
		t.Errorf("after it: %s", dns.RcodeToString[m.Rcode])
	}
}

// A peer that takes nothing, or not in time, ends its transfer.
func TestFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry(), Longest: time.Minute})
		s.Publish(million(t, 10_000))
		broken := errors.New("the peer is gone")
		if err := s.Serve(context.Background(), axfrBytes(t), loopback, func([]byte) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("got %v, want the error of writing", err)
		}
		messages := 0
		err := s.Serve(context.Background(), axfrBytes(t), loopback, func([]byte) error {
			messages++
			<-time.After(25 * time.Second)
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || messages != 3 {
			t.Errorf("got %v after %d messages, want the time to be up after 3", err, messages)
		}
	})
}

func FuzzServe(f *testing.F) {
	s := transfer.New(transfer.Config{Keys: keys(f), Registry: prometheus.NewRegistry(), Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	s.Publish(v1(f, []cdn.Secondary{{Address: netip.AddrPortFrom(loopback, 0)}, {Key: "tsig.test"}}))
	f.Add(axfrBytes(f))
	f.Add(signed(f, axfr(), "tsig.test.", dns.HmacSHA256, tsigSecret, time.Unix(1_700_000_000, 0), nil))
	f.Add(signed(f, ixfr(1), "tsig.test.", dns.HmacSHA256, tsigSecret, time.Unix(1_700_000_000, 0), nil))
	f.Add(signed(f, ixfr(0), "tsig.test.", dns.HmacSHA256, tsigSecret, time.Unix(1_600_000_000, 0), nil))
	f.Fuzz(func(t *testing.T, query []byte) {
		before := hex.EncodeToString(query)
		check := func(b []byte) error {
			m := new(dns.Msg)
			if err := m.Unpack(b); err != nil {
				t.Errorf("an answer that cannot be read: %x: %v", b, err)
			}
			if !m.Response || m.Id != uint16(query[0])<<8|uint16(query[1]) {
				t.Errorf("an answer to something else: %v", m)
			}
			return nil
		}
		for _, from := range []string{"127.0.0.1", "192.0.2.1"} {
			if err := s.Serve(context.Background(), query, netip.MustParseAddr(from), check); err != nil {
				t.Error(err)
			}
			if b := s.Answer(query, netip.MustParseAddr(from)); b != nil {
				check(b)
			}
		}
		if b := s.Signed(query, true, func(q []byte) []byte { return append([]byte{q[0], q[1], 0x80}, make([]byte, 9)...) }); b != nil {
			check(b)
		}
		if hex.EncodeToString(query) != before {
			t.Error("the query has been changed")
		}
	})
}
