package respond_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/scheduler/cookie"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rrl"
)

// frugal is a responder of a signed zone that makes few signatures.
func frugal(t *testing.T, perSecond int) *front {
	t.Helper()
	f := start(t, zones())
	f.state.Signer = signer(t)
	f.cfg.Signatures, f.cfg.Cookies = perSecond, cookie.New([]byte("a secret of sufficient length"))
	f.Responder = respond.New(f.cfg)
	return f
}

func secure(name string, qtype uint16) *dns.Msg { return query(name, qtype).SetEdns0(1232, true) }

// Names that nobody has thought of cost a signature each. Who asks for more of them than are made in a second gets no
// wrong answer, and what exists is answered meanwhile, over every transport.
func TestColdFlood(t *testing.T) {
	f := frugal(t, 100) // 20 at once, 10 of them for what there is not
	f.ask(t, secure("cdn.test.", dns.TypeSOA), "192.0.2.1", respond.TCP)
	proven, failed := 0, 0
	for i := range 50 {
		r := f.ask(t, secure(fmt.Sprintf("nope-%d.cdn.test.", i), dns.TypeA), "192.0.2.1", respond.TCP)
		switch {
		case r.Rcode == dns.RcodeSuccess && len(r.Ns) == 4:
			proven++
		case r.Rcode == dns.RcodeServerFailure && len(r.Answer)+len(r.Ns) == 0 && !r.Authoritative && !r.Truncated:
			failed++
		default:
			t.Fatalf("a flood of names: %v", r)
		}
	}
	if proven != 9 || failed != 41 { // one was for the SOA
		t.Errorf("%d answered and %d not, want 9 and 41", proven, failed)
	}
	given := cookieOf(t, f.ask(t, withCookie("cdn.test.", dns.TypeSOA, "0011223344556677"), "192.0.2.1", respond.TCP))
	if r := f.ask(t, secure("nope.cdn.test.", dns.TypeA), "192.0.2.1", respond.TCP); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("another name over TCP: %v", r)
	}
	udp := secure("nope.cdn.test.", dns.TypeA)
	udp.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: given}}
	if r := f.ask(t, udp, "192.0.2.1", respond.UDP); !r.Truncated || r.Rcode != 0 || len(r.Ns) > 0 {
		t.Errorf("another name over UDP: %v, want an empty answer with TC", r)
	}
	if r := f.ask(t, query("nope.cdn.test.", dns.TypeA), "192.0.2.1", respond.UDP); r.Rcode != dns.RcodeNameError {
		t.Errorf("who wants no signatures: %v", r)
	}
	for _, known := range []string{"www.shop.example.cdn.test.", "cdn.test."} {
		if r := f.ask(t, secure(known, dns.TypeTXT), "192.0.2.1", respond.TCP); known[0] == 'w' && len(r.Answer) != 2 {
			t.Errorf("%s meanwhile: %v", known, r)
		}
	}
	if n := testutil.ToFloat64(f.unsigned(t)); n != 43+1 { // and the apex has no TXT
		t.Errorf("%v answers are counted that were not given", n)
	}
	f.now = f.now.Add(time.Second)
	if r := f.ask(t, secure("nope.cdn.test.", dns.TypeA), "192.0.2.1", respond.TCP); len(r.Ns) != 4 {
		t.Errorf("a second later: %v", r)
	}
}

// What is too long for a stream, too, is no answer that there is nothing.
func TestLongerThanAMessage(t *testing.T) {
	s := zones()
	for i := range 300 {
		s.Fleet.Zones[0].Records = append(s.Fleet.Zones[0].Records, cdn.Record{Name: "huge", Type: "TXT", Data: fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", 250))})
	}
	f := start(t, s)
	if r := f.ask(t, query("huge.shop.example.", dns.TypeTXT), "192.0.2.1", respond.TCP); r.Rcode != dns.RcodeServerFailure || r.Authoritative {
		t.Errorf("%v, want SERVFAIL", r)
	}
}

// Whoever asks for every type first does not take away the room that counting what is usual needs: that would allocate for ever.
func TestTypesFlood(t *testing.T) {
	f := start(t, snapshot())
	for typ := range uint16(3000) {
		f.ask(t, query("nope.cdn.test.", 1000+typ), "192.0.2.1", respond.TCP)
	}
	packet, err := query("www.shop.example.cdn.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	peer := respond.Peer{Addr: noonPeer, Transport: respond.UDP}
	if n := testing.AllocsPerRun(100, func() { f.Respond(buf, packet, peer, &f.scratch) }); n > 0 {
		t.Errorf("an answer after that costs %v allocations", n)
	}
}

// Who is beyond the limit gets nothing that makes the answer longer than the query, but for the cookie, which is the way out.
func TestSlippedIsShort(t *testing.T) {
	f := start(t, snapshot())
	f.cfg.Node = "a-name-of-a-scheduler-that-is-as-long-as-names-of-nodes-may-be"
	f.Responder = respond.New(f.cfg)
	f.state.Limiter = rrl.New(cdn.RateLimit{PerSecond: 1, Burst: 1}, [16]byte{})
	q := query(".", dns.TypeNS).SetEdns0(1232, false)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if first := f.octets(packet, "192.0.2.1", respond.UDP); len(first) <= len(packet) || len(first) > 4*len(packet) {
		t.Errorf("the first answer has %d octets for %d", len(first), len(packet))
	}
	for range 10 {
		if slipped := f.octets(packet, "192.0.2.1", respond.UDP); slipped[2]&2 == 0 || len(slipped) > len(packet) {
			t.Fatalf("beyond the limit there are %d octets for %d", len(slipped), len(packet))
		}
	}
	f.state.Settings.Amplification, f.state.Limiter = 1, nil
	if reply := f.octets(packet, "192.0.2.1", respond.UDP); len(reply) > len(packet) {
		t.Errorf("%d octets for %d where answers are to be no longer than queries", len(reply), len(packet))
	}
}
