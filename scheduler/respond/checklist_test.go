package respond_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
)

// Addresses of the servers of a delegation are all there, or the answer is cut and comes whole over a stream: who lacks
// some may not find the servers that work (RFC 9471).
func TestGlueIsWhole(t *testing.T) {
	s := zones()
	for i := range 12 {
		s.Fleet.Zones[0].Records = append(s.Fleet.Zones[0].Records,
			cdn.Record{Name: "many", Type: "NS", Data: fmt.Sprintf("ns%d.many", i)}, cdn.Record{Name: fmt.Sprintf("ns%d.many", i), Type: "AAAA", Data: fmt.Sprintf("2001:db8::%d", i+1)})
	}
	f := start(t, s)
	f.state.Settings.Amplification = 1000
	whole := 0
	for size := uint16(512); size <= 1232; size += 8 {
		q := query("x.many.shop.example.", dns.TypeA)
		q.SetEdns0(size, false)
		r := f.ask(t, q, "127.0.0.1", respond.UDP)
		switch {
		case !r.Truncated && len(r.Ns) == 12 && len(lines(r.Extra)) == 12:
			whole++
		case r.Truncated && len(r.Answer)+len(r.Ns)+len(lines(r.Extra)) == 0:
		default:
			t.Errorf("%d octets: %v", size, r)
		}
	}
	if whole == 0 || whole > 80 {
		t.Errorf("%d of 91 sizes suffice; want some that do not", whole)
	}
	if r := f.ask(t, query("x.many.shop.example.", dns.TypeA), "127.0.0.1", respond.TCP); r.Truncated || len(r.Extra) != 12 || r.Authoritative {
		t.Errorf("over TCP: %v", r)
	}
}

// A, AAAA and HTTPS may be kept for the same time; before a POP is emptied, for a shorter one.
func TestTTLs(t *testing.T) {
	s := zones()
	s.Fleet.DNS.TTL = cdn.TTLs{Steered: cdn.Duration(25e9), Draining: cdn.Duration(7e9)}
	check := func(want uint32) {
		t.Helper()
		f := start(t, s)
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
			r := f.ask(t, query("www.shop.example.", qtype), "10.1.1.1", respond.TCP)
			for _, rr := range r.Answer {
				if rr.Header().Ttl != want {
					t.Errorf("%v, want a TTL of %d", rr, want)
				}
			}
			if len(r.Answer) == 0 {
				t.Error(r)
			}
		}
	}
	check(25)
	s.Fleet.POPs = s.Fleet.POPs[:1] // to nowhere else
	s.Drains = []cdn.Drain{{POP: "berlin"}}
	check(7)
}

// An answer has two nodes of the POP, in an order that is the same whenever the client's network asks, signed or not; some networks have one first, some the other.
func TestTwoNodes(t *testing.T) {
	f := start(t, zones())
	first := make(map[string]int)
	ask := func(client string, do bool) (addrs []string) {
		q := query("www.shop.example.", dns.TypeA)
		q.SetEdns0(1232, do)
		q.IsEdns0().Option = []dns.EDNS0{subnet(1, client, 24, 0)}
		for _, rr := range f.ask(t, q, "127.0.0.1", respond.TCP).Answer {
			if rr.Header().Rrtype == dns.TypeA {
				addrs = append(addrs, address(rr).String())
			}
		}
		return addrs
	}
	for i := range 60 {
		client := fmt.Sprintf("10.1.%d.0", i)
		f.state.Signer = nil
		got := ask(client, false)
		if len(got) != 2 || got[0] == got[1] {
			t.Fatalf("%s gets %v, want two nodes", client, got)
		}
		first[got[0]]++
		f.state.Signer = signer(t)
		if again := ask(client, true); !slices.Equal(got, again) {
			t.Errorf("%s gets %v, and when it is signed %v", client, got, again)
		}
	}
	if len(first) < 2 {
		t.Errorf("all networks have the same node first: %v", first)
	}
}

// Where two addresses with their signature are too long one is told, with its own signature, rather than none.
func TestOneAddressThatFits(t *testing.T) {
	f := start(t, zones())
	f.state.Signer = signer(t)
	key, ok := f.ask(t, query("shop.example.", dns.TypeDNSKEY), "127.0.0.1", respond.TCP).Answer[0].(*dns.DNSKEY)
	if !ok {
		t.Fatal("no key")
	}
	counts := make(map[int]int)
	for i := range 20 {
		f.state.Settings.Amplification = 1000
		whole := f.ask(t, signedQuery("www.shop.example."), fmt.Sprintf("10.1.%d.1", i), respond.TCP)
		for _, times := range []int{2, 3, 4} {
			f.state.Settings.Amplification = times
			r := f.ask(t, signedQuery("www.shop.example."), fmt.Sprintf("10.1.%d.1", i), respond.UDP)
			if n := len(r.Answer); n > 0 {
				verify(t, key, r.Answer)
				counts[n-1]++
				if diff := cmp.Diff(whole.Answer[0].String(), r.Answer[0].String()); diff != "" {
					t.Errorf("the first address differs (-whole +cut):\n%s", diff)
				}
			} else if !r.Truncated {
				t.Errorf("nothing, and no word of it: %v", r)
			} else {
				counts[0]++
			}
		}
	}
	if counts[1] == 0 || counts[0] == 0 {
		t.Errorf("answers by the number of addresses: %v; want some with one, and some with none", counts)
	}
}

func signedQuery(name string) *dns.Msg {
	q := query(name, dns.TypeA)
	q.SetEdns0(1232, true)
	return q
}

// A client's subnet gets the same answer however its resolver comes (RFC 7871 section 7.2.1: the same on all servers).
func TestSameOnAllTransports(t *testing.T) {
	f := start(t, zones())
	for i := range 40 {
		packet := withSubnet(t, query("www.shop.example.", dns.TypeA), subnet(1, fmt.Sprintf("10.%d.1.0", i*6), 24, 0))
		want := f.octets(packet, "10.0.0.1", respond.UDP)
		for _, transport := range []respond.Transport{respond.TCP, respond.TLS, respond.HTTPS} {
			if got := f.octets(packet, "10.9.0.1", transport); string(got) != string(want) {
				t.Errorf("subnet %d over %d: %x, want %x", i, transport, got, want)
			}
		}
	}
}
