package respond_test

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
)

// subnet is a client subnet option; the address is taken as it is.
func subnet(family uint16, addr string, source, scope uint8) *dns.EDNS0_SUBNET {
	return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, Address: net.ParseIP(addr), SourceNetmask: source, SourceScope: scope}
}

// withSubnet packs a query with options. One that breaks the rules is passed as octets,
// since the library does not pack it.
func withSubnet(t *testing.T, q *dns.Msg, options ...dns.EDNS0) []byte {
	t.Helper()
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = options
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func echoed(r *dns.Msg) *dns.EDNS0_SUBNET {
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				return s
			}
		}
	}
	return nil
}

// The resolver is in berlin, 10.0.0.1; the option says where the client is (RFC 7871).
func TestSubnet(t *testing.T) {
	f := start(t, snapshot())
	const site = "www.shop.example.cdn.test."
	for _, test := range []struct {
		name    string
		qname   string
		qtype   uint16
		option  *dns.EDNS0_SUBNET
		network string // of the first address; empty for none
		scope   uint8
	}{
		{"elsewhere", site, dns.TypeA, subnet(1, "10.9.1.0", 24, 0), "198.51.100.0/24", 16},
		{"same", site, dns.TypeA, subnet(1, "10.200.1.0", 24, 0), "192.0.2.0/24", 9},
		{"host", site, dns.TypeA, subnet(1, "10.9.1.7", 32, 0), "198.51.100.0/24", 16},
		{"short", site, dns.TypeA, subnet(1, "10.0.0.0", 8, 0), "192.0.2.0/24", 13},
		{"clamped", site, dns.TypeA, subnet(1, "10.8.7.193", 32, 0), "192.0.2.0/24", 24}, // the /26 is finer than is used
		{"family2", site, dns.TypeA, subnet(2, "2001:db8:9::", 56, 0), "198.51.100.0/24", 48},
		{"fine6", site, dns.TypeA, subnet(2, "2001:db8:8::1", 128, 0), "192.0.2.0/24", 48},
		{"six", site, dns.TypeAAAA, subnet(1, "10.200.1.0", 24, 0), "2001:db8::/64", 9},
		{"nothing", site, dns.TypeA, subnet(1, "0.0.0.0", 0, 0), "192.0.2.0/24", 0},
		{"nothing6", site, dns.TypeA, subnet(2, "::", 0, 0), "192.0.2.0/24", 0},
		{"nofamily", site, dns.TypeA, subnet(0, "0.0.0.0", 0, 0), "192.0.2.0/24", 0},
		{"nodata", site, dns.TypeAAAA, subnet(1, "10.9.1.0", 24, 0), "", 0},
		{"unknown", "nope.cdn.test.", dns.TypeA, subnet(1, "10.9.1.0", 24, 0), "", 0},
		{"ns", "ns1.cdn.test.", dns.TypeA, subnet(1, "10.9.1.0", 24, 0), "192.0.2.53/32", 0},
		{"direct", "t1." + site, dns.TypeA, subnet(1, "10.200.1.0", 24, 0), "198.51.100.0/24", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := f.exchange(t, withSubnet(t, query(test.qname, test.qtype), test.option), "10.0.0.1", respond.UDP)
			want := *test.option
			want.SourceScope = test.scope
			got := echoed(r)
			if got == nil {
				t.Fatalf("the option is not echoed: %v", r)
			}
			if got.String() != want.String() || got.Family != want.Family {
				t.Errorf("option %s of family %d, want %s of %d", got, got.Family, want.String(), want.Family)
			}
			if diff := cmp.Diff(test.network != "", len(r.Answer) > 0); diff != "" {
				t.Fatalf("an answer (-want +got):\n%s", diff)
			}
			if test.network == "" {
				return
			}
			if !netip.MustParsePrefix(test.network).Contains(address(r.Answer[0])) {
				t.Errorf("answer %v, want an address in %s", r.Answer, test.network)
			}
		})
	}
}

func address(rr dns.RR) netip.Addr {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A
	case *dns.AAAA:
		ip = rr.AAAA
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// Options that break RFC 7871 section 6.
func TestBadSubnet(t *testing.T) {
	f := start(t, snapshot())
	for _, test := range []struct {
		name  string
		octet []byte // the option's data
	}{
		{"bits", []byte{0, 1, 20, 0, 10, 9, 0xff}},
		{"morebits", []byte{0, 1, 8, 0, 10, 9}},
		{"bits6", []byte{0, 2, 17, 0, 0x20, 0x01, 0xc0}},
		{"scope", []byte{0, 1, 24, 24, 10, 9, 1}},
		{"longsource", []byte{0, 1, 33, 0, 10, 9, 1, 1, 1}},
		{"longsource6", []byte{0, 2, 129, 0}},
		{"family", []byte{0, 3, 8, 0, 10}},
		{"nofamily", []byte{0, 0, 8, 0, 10}},
		{"scrap", []byte{0, 1, 24}},
		{"empty", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: test.octet}
			r := f.exchange(t, withSubnet(t, query("www.shop.example.cdn.test.", dns.TypeA), raw), "10.0.0.1", respond.UDP)
			if r.Rcode != dns.RcodeFormatError || len(r.Answer) > 0 {
				t.Errorf("answer %v, want FORMERR", r)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		packet := withSubnet(t, query("www.shop.example.cdn.test.", dns.TypeA), subnet(1, "10.9.1.0", 24, 0), subnet(1, "10.9.1.0", 24, 0))
		if r := f.exchange(t, packet, "10.0.0.1", respond.UDP); r.Rcode != dns.RcodeFormatError {
			t.Errorf("answer %v, want FORMERR", r)
		}
	})
}

// Without the option the resolver's address counts, and none is sent. Options that
// are not known do not matter.
func TestNoSubnet(t *testing.T) {
	f := start(t, snapshot())
	for _, test := range []struct {
		name, from, network string
		options             []dns.EDNS0
	}{
		{"berlin", "10.0.0.1", "192.0.2.0/24", nil},
		{"tokyo", "10.9.0.1", "198.51.100.0/24", nil},
		{"unknown", "10.9.0.1", "198.51.100.0/24", []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := f.exchange(t, withSubnet(t, query("www.shop.example.cdn.test.", dns.TypeA), test.options...), test.from, respond.UDP)
			if len(r.Answer) == 0 || !netip.MustParsePrefix(test.network).Contains(address(r.Answer[0])) {
				t.Errorf("answer %v, want addresses in %s", r.Answer, test.network)
			}
			if opt := r.IsEdns0(); opt == nil || len(opt.Option) != 0 {
				t.Errorf("OPT %v, want one without options", opt)
			}
		})
	}
}

// Whatever arrives is answered with a message that belongs to it, or not at all.
func FuzzRespond(f *testing.F) {
	for _, q := range []*dns.Msg{
		query("www.shop.example.cdn.test.", dns.TypeA), query("cdn.test.", dns.TypeNS), query(".", dns.TypeANY), query(`a\.b.cdn.test.`, dns.TypeAAAA),
	} {
		for _, option := range []dns.EDNS0{subnet(1, "10.9.1.0", 24, 0), subnet(2, "2001:db8:9::", 48, 0), &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte{0, 1, 99}}} {
			q.Extra = nil
			q.SetEdns0(512, true)
			q.IsEdns0().Option = []dns.EDNS0{option}
			packet, err := q.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet)
			f.Add(packet[:len(packet)-3])
		}
	}
	srv := start(f, zones())
	srv.state.Signer = signer(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, transport := range []respond.Transport{respond.UDP, respond.TCP} {
			checkReply(t, srv, packet, transport)
		}
	})
}

func checkReply(t *testing.T, f *front, packet []byte, transport respond.Transport) {
	t.Helper()
	reply := f.octets(packet, "10.0.0.1", transport)
	if len(packet) < 12 || packet[2]&0x80 != 0 {
		if reply != nil {
			t.Errorf("%x is answered with %x", packet, reply)
		}
		return
	}
	r := new(dns.Msg)
	if err := r.Unpack(reply); err != nil {
		t.Fatalf("%x is answered with %x, which is no message: %v", packet, reply, err)
	}
	if string(reply[:2]) != string(packet[:2]) || !r.Response || r.RecursionAvailable {
		t.Errorf("%x is answered with %v", packet, r)
	}
	if transport == respond.UDP && len(reply) > 1232 {
		t.Errorf("%x is answered with %d octets", packet, len(reply))
	}
}

// Scopes of a name's answers never overlap (RFC 7871 section 7.3.1 lets a resolver keep only one of two that do), whatever the length of the prefix that is
// asked for, and all who are in one get an answer of it: from places within each other, and policies across them.
func TestScopesAreDisjoint(t *testing.T) {
	s := snapshot()
	s.Fleet.Policies = []cdn.Policy{
		{Name: "divided", Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.64.0/18"), netip.MustParsePrefix("10.128.0.0/11")}}, Weights: []cdn.POPWeight{{POP: "berlin", Weight: 1}, {POP: "tokyo", Weight: 1}}},
		{Name: "pinned", Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/13")}, Sites: []cdn.SiteName{"shop"}}, Pin: "tokyo"},
	}
	f := start(t, s)
	r := rand.New(rand.NewPCG(1, 2))
	var seen []netip.Prefix
	known := make(map[netip.Prefix]netip.Addr)
	for range 3000 {
		a := netip.AddrFrom4([4]byte{byte(10 + r.IntN(2)), byte(r.IntN(256)), byte(r.IntN(256)), 0})
		if r.IntN(2) == 0 {
			a = netip.AddrFrom4([4]byte{10, byte(8 + r.IntN(2)), byte(r.IntN(128)), 0})
		}
		p, err := a.Prefix(8 + r.IntN(17))
		if err != nil {
			t.Fatal(err)
		}
		answer := f.exchange(t, withSubnet(t, query("www.shop.example.cdn.test.", dns.TypeA), subnet(1, p.Addr().String(), uint8(p.Bits()), 0)), "10.0.0.1", respond.UDP)
		scope, err := p.Addr().Prefix(int(echoed(answer).SourceScope))
		if err != nil {
			t.Fatal(err)
		}
		pop := netip.MustParseAddr("192.0.2.0")
		if address(answer.Answer[0]).As4()[0] != 192 {
			pop = netip.MustParseAddr("198.51.100.0")
		}
		if before, ok := known[scope]; ok {
			if before != pop {
				t.Errorf("two answers for %s: %s and %s", scope, before, pop)
			}
			continue
		}
		known[scope] = pop
		seen = append(seen, scope)
	}
	slices.SortFunc(seen, netip.Prefix.Compare)
	for i := 1; i < len(seen); i++ {
		if seen[i-1].Overlaps(seen[i]) {
			t.Errorf("scopes %s and %s overlap", seen[i-1], seen[i])
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d scopes: %v", len(seen), seen)
	}
}
