package respond_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rrl"
)

// withCookie is a query with a cookie, in hexadecimal digits.
func withCookie(name string, qtype uint16, cookie string) *dns.Msg {
	q := query(name, qtype)
	q.SetEdns0(1232, true)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
	return q
}

// cookieOf is the cookie of an answer.
func cookieOf(t testing.TB, r *dns.Msg) string {
	t.Helper()
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	t.Fatalf("no cookie in %v", r)
	return ""
}

// What anybody may have asked for in another's name is at most four times as long as the query; who has shown that it can receive gets
// all of it.
func TestAmplification(t *testing.T) {
	f := start(t, zones())
	f.state.Signer = signer(t)
	longest := 0.0
	for _, name := range []string{"cdn.test.", "shop.example.", "www.shop.example.cdn.test.", "nope.cdn.test.", "x.safe.shop.example.", "alias.shop.example.", "."} {
		for qtype := range uint16(300) {
			for _, edns := range []bool{false, true} {
				q := query(name, qtype)
				if edns {
					q.SetEdns0(4096, true)
				}
				packet, err := q.Pack()
				if err != nil {
					t.Fatal(err)
				}
				reply := f.octets(packet, "127.0.0.1", respond.UDP)
				longest = max(longest, float64(len(reply))/float64(len(packet)))
				if len(reply) > 4*len(packet) {
					t.Errorf("%s %d: %d octets for %d", name, qtype, len(reply), len(packet))
				}
			}
		}
	}
	if longest < 3 {
		t.Errorf("the longest answer is %.1f times as long as its query: nothing was near the limit", longest)
	}
	r := f.ask(t, withCookie("nope.cdn.test.", dns.TypeA, "0011223344556677"), "127.0.0.1", respond.UDP)
	if !r.Truncated || len(r.Ns) > 0 {
		t.Errorf("without a valid cookie: %v, want a truncated answer", r)
	}
	given := cookieOf(t, r)
	if r := f.ask(t, withCookie("nope.cdn.test.", dns.TypeA, given), "127.0.0.1", respond.UDP); r.Truncated || len(r.Ns) != 4 {
		t.Errorf("with the cookie %s: %v, want the whole answer", given, r)
	}
	if r := f.ask(t, withCookie("nope.cdn.test.", dns.TypeA, given), "127.0.0.2", respond.UDP); !r.Truncated {
		t.Errorf("another's cookie is believed: %v", r)
	}
	f.now = noon.Add(3 * time.Hour)
	if r := f.ask(t, withCookie("nope.cdn.test.", dns.TypeA, given), "127.0.0.1", respond.UDP); !r.Truncated {
		t.Errorf("an old cookie is believed: %v", r)
	}
}

// A network that gets too much is sent to TCP, or nothing; its neighbours, and who has a cookie or is there over TCP, are answered.
func TestRateLimit(t *testing.T) {
	f := start(t, snapshot())
	f.state.Limiter = rrl.New(cdn.RateLimit{PerSecond: 10, Burst: 20, Slip: 2}, [16]byte{})
	q := query("www.shop.example.cdn.test.", dns.TypeA)
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	answered, slipped, silent := 0, 0, 0
	for range 120 {
		switch reply := f.octets(packet, "203.0.113.7", respond.UDP); {
		case reply == nil:
			silent++
		case reply[2]&2 != 0:
			slipped++
		default:
			answered++
		}
	}
	if answered != 20 || slipped != 50 || silent != 50 {
		t.Errorf("%d answered, %d truncated, %d not answered; want 20, 50 and 50", answered, slipped, silent)
	}
	if r := f.ask(t, q, "203.0.114.7", respond.UDP); len(r.Answer) != 2 {
		t.Errorf("a neighbour: %v", r)
	}
	if r := f.ask(t, q, "203.0.113.7", respond.TCP); len(r.Answer) != 2 {
		t.Errorf("over TCP: %v", r)
	}
	given := cookieOf(t, f.ask(t, withCookie("cdn.test.", dns.TypeSOA, "0011223344556677"), "203.0.113.7", respond.TCP))
	for i := range 100 {
		if r := f.ask(t, withCookie("www.shop.example.cdn.test.", dns.TypeA, given), "203.0.113.7", respond.UDP); len(r.Answer) == 0 {
			t.Fatalf("answer %d with a cookie: %v", i, r)
		}
	}
}

// What is told in OPT is told to who asks for it, where it makes sense.
func TestOptions(t *testing.T) {
	f := start(t, snapshot())
	ask := func(transport respond.Transport, options ...dns.EDNS0) (*dns.OPT, int) {
		q := query("www.shop.example.cdn.test.", dns.TypeA)
		q.SetEdns0(4096, true)
		q.IsEdns0().Option = options
		packet, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply := f.octets(packet, "127.0.0.1", transport)
		r := new(dns.Msg)
		if err := r.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return r.IsEdns0(), len(reply)
	}
	nsid := hex.EncodeToString([]byte("s1"))
	for _, test := range []struct {
		name      string
		transport respond.Transport
		option    dns.EDNS0
		want      string // the option of the answer; empty for none
	}{
		{"nsid", respond.UDP, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, nsid},
		{"keepalive", respond.TCP, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}, "use tcp keep-alive, timeout 10000ms"},
		{"no keepalive over UDP", respond.UDP, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}, ""},
		{"no padding over UDP", respond.UDP, &dns.EDNS0_PADDING{}, ""},
		{"no padding over TCP", respond.TCP, &dns.EDNS0_PADDING{}, ""},
	} {
		opt, _ := ask(test.transport, test.option)
		got := ""
		for _, o := range opt.Option {
			got += o.String()
		}
		if got != test.want || !opt.Do() || opt.UDPSize() != 1232 {
			t.Errorf("%s: %q in %v, want %q", test.name, got, opt, test.want)
		}
	}
	hurry := query("www.shop.example.cdn.test.", dns.TypeA)
	hurry.SetEdns0(4096, false)
	hurry.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}}
	packet, err := hurry.Pack()
	if err != nil {
		t.Fatal(err)
	}
	told := new(dns.Msg)
	from := respond.Peer{Addr: netip.MustParseAddr("127.0.0.1"), Transport: respond.TCP, Idle: 2 * time.Second}
	if err := told.Unpack(f.Respond(nil, packet, from, &f.scratch)); err != nil || told.IsEdns0().Option[0].String() != "use tcp keep-alive, timeout 2000ms" {
		t.Errorf("on a connection that is kept for 2 s: %v (%v)", told.IsEdns0(), err)
	}
	for _, transport := range []respond.Transport{respond.TLS, respond.HTTPS} {
		if _, n := ask(transport, &dns.EDNS0_PADDING{Padding: make([]byte, 20)}); n != 468 {
			t.Errorf("over %d: %d octets, want them padded to 468 (RFC 8467)", transport, n)
		}
	}
}

// Who this is, is told as far as the operator wants it (RFC 4892).
func TestChaos(t *testing.T) {
	s := snapshot()
	s.Fleet.DNS.Version = "nearcast"
	f := start(t, s)
	for _, test := range []struct {
		name, want string
		qtype      uint16
	}{
		{"version.bind.", "nearcast", dns.TypeTXT},
		{"VERSION.server.", "nearcast", dns.TypeTXT},
		{"id.server.", "s1", dns.TypeTXT},
		{"hostname.bind.", "s1", dns.TypeTXT},
		{"authors.bind.", "", dns.TypeTXT},
		{"version.bind.", "", dns.TypeA},
		{"www.shop.example.cdn.test.", "", dns.TypeTXT},
	} {
		q := query(test.name, test.qtype)
		q.Question[0].Qclass = dns.ClassCHAOS
		r := f.ask(t, q, "127.0.0.1", respond.UDP)
		got := ""
		if len(r.Answer) == 1 && r.Answer[0].Header().Class == dns.ClassCHAOS {
			got = r.Answer[0].(*dns.TXT).Txt[0]
		}
		if got != test.want || (got == "") != (r.Rcode == dns.RcodeRefused) {
			t.Errorf("%s: %v, want %q", test.name, r, test.want)
		}
	}
	f.state.Settings.Version = ""
	q := query("version.bind.", dns.TypeTXT)
	q.Question[0].Qclass = dns.ClassCHAOS
	if r := f.ask(t, q, "127.0.0.1", respond.UDP); r.Rcode != dns.RcodeRefused {
		t.Errorf("the version is told: %v", r)
	}
}

// A, AAAA and HTTPS of a name lead to the same nodes, for every client.
func TestConsistent(t *testing.T) {
	f := start(t, zones())
	for i := range 256 {
		client := subnet(1, fmt.Sprintf("10.%d.7.0", i), 24, 0)
		ask := func(name string, qtype uint16) *dns.Msg {
			r := f.exchange(t, withSubnet(t, query(name, qtype), client), "127.0.0.1", respond.UDP)
			if len(r.Answer) == 0 && qtype != dns.TypeAAAA {
				t.Fatal(r)
			}
			return r
		}
		hints := make(map[string]bool)
		https := ask("www.shop.example.", dns.TypeHTTPS).Answer[0].(*dns.HTTPS)
		for _, kv := range https.Value {
			switch kv := kv.(type) {
			case *dns.SVCBIPv4Hint:
				for _, ip := range kv.Hint {
					hints[ip.String()] = true
				}
			case *dns.SVCBIPv6Hint:
				for _, ip := range kv.Hint {
					hints[ip.String()] = true
				}
			case *dns.SVCBPort:
				if kv.Port != 8443 {
					t.Errorf("port %d", kv.Port)
				}
			case *dns.SVCBAlpn:
				if fmt.Sprint(kv.Alpn) != "[h2 http/1.1]" {
					t.Errorf("protocols %v", kv.Alpn)
				}
			}
		}
		n := 0
		for _, name := range []string{"www.shop.example.", "www.shop.example.cdn.test."} {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
				for _, rr := range ask(name, qtype).Answer {
					if n++; !hints[address(rr).String()] {
						t.Errorf("10.%d.7.0/24: %v is not in %v", i, rr, https)
					}
				}
			}
		}
		if n != 2*len(hints) {
			t.Errorf("10.%d.7.0/24: %d addresses in two zones, %d hints", i, n, len(hints))
		}
	}
}
