package respond_test

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
)

// ANY at a CNAME is answered with that: another record beside it would be kept beside it (RFC 8482 section 4.2).
func TestAnyOfCNAME(t *testing.T) {
	f := start(t, zones())
	r := f.ask(t, query("alias.shop.example.", dns.TypeANY), "10.9.0.1", respond.UDP)
	if diff := cmp.Diff([]string{"alias.shop.example. 3600 IN CNAME www.shop.example."}, lines(r.Answer)); diff != "" || r.Rcode != 0 || !r.Authoritative {
		t.Errorf("answer (-want +got):\n%s\n%v", diff, r)
	}
}

// An ALIAS says for how long its addresses are good at most; the target says it, too.
func TestAliasTTL(t *testing.T) {
	s := zones()
	s.Fleet.Zones[0].Records = append(s.Fleet.Zones[0].Records, cdn.Record{Name: "brief", Type: "ALIAS", Data: "lb.elsewhere.example.", TTL: cdn.Duration(7e9)})
	f := start(t, s)
	f.cfg.Alias = func(cdn.Domain) ([]netip.Addr, uint32, bool) {
		return []netip.Addr{netip.MustParseAddr("203.0.113.80")}, 33, true
	}
	f.Responder = respond.New(f.cfg)
	for name, ttl := range map[string]uint32{"brief.shop.example.": 7, "to.shop.example.": 33} {
		if r := f.ask(t, query(name, dns.TypeA), "10.9.0.1", respond.UDP); len(r.Answer) != 1 || r.Answer[0].Header().Ttl != ttl {
			t.Errorf("%v, want a TTL of %d", r, ttl)
		}
	}
}

// In a zone that is signed every name has an NSEC record (RFC 4035 section 2.3), so that who asks for it gets it, even at a CNAME. To who wants proofs one that does
// not exist has it, too (RFC 9824 section 3.1): that it has none could not be proved by it.
func TestAskForNSEC(t *testing.T) {
	f := start(t, zones())
	if r := f.ask(t, query("www.shop.example.", dns.TypeNSEC), "127.0.0.1", respond.TCP); r.Rcode != 0 || len(r.Answer) != 0 || len(r.Ns) != 1 {
		t.Errorf("in a zone without signatures: %v", r)
	}
	f.state.Signer = signer(t)
	key, ok := f.ask(t, query("shop.example.", dns.TypeDNSKEY), "127.0.0.1", respond.TCP).Answer[0].(*dns.DNSKEY)
	if !ok {
		t.Fatal("no key")
	}
	for name, present := range map[string][]uint16{
		"www.shop.example.":    {dns.TypeA, dns.TypeAAAA, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeHTTPS},
		"alias.shop.example.":  {dns.TypeCNAME, dns.TypeRRSIG, dns.TypeNSEC},
		"x.wild.shop.example.": {dns.TypeTXT, dns.TypeRRSIG, dns.TypeNSEC},
		"wild.shop.example.":   {dns.TypeRRSIG, dns.TypeNSEC},
	} {
		for _, do := range []bool{true, false} {
			q := query(name, dns.TypeNSEC)
			q.SetEdns0(1232, do)
			r := f.ask(t, q, "127.0.0.1", respond.TCP)
			if r.Rcode != 0 || len(r.Answer) == 0 || len(r.Ns) != 0 {
				t.Fatal(r)
			}
			n, ok := r.Answer[0].(*dns.NSEC)
			if !ok || !slices.Equal(n.TypeBitMap, present) || n.NextDomain != `\000.`+name || n.Hdr.Name != name {
				t.Errorf("%v, want %d", r, present)
			}
			if do && len(verify(t, key, r.Answer)) != 1 {
				t.Errorf("not signed: %v", r)
			}
		}
	}
	q := query("nope.shop.example.", dns.TypeNSEC)
	if r := f.ask(t, q, "127.0.0.1", respond.TCP); r.Rcode != dns.RcodeNameError || len(r.Answer) != 0 || len(r.Ns) != 1 {
		t.Errorf("NSEC of a name that does not exist, without proofs: %v", r)
	}
	q.SetEdns0(1232, true)
	if r := f.ask(t, q, "127.0.0.1", respond.TCP); r.Rcode != 0 || len(verify(t, key, r.Answer)) != 1 || len(r.Ns) != 0 {
		t.Errorf("NSEC of a name that does not exist: %v", r)
	}
}

// An answer that is too long even for a stream is no answer, rather than one that says that there is nothing.
func TestTooLongForStreams(t *testing.T) {
	s := zones()
	long := make([]byte, 0, 16000)
	for len(long) < 15500 {
		long = append(long, `"0123456789012345678901234567890123456789" `...)
	}
	for i := range 6 {
		s.Fleet.Zones[0].Records = append(s.Fleet.Zones[0].Records, cdn.Record{Name: "long", Type: "TXT", Data: string(rune('a'+i)) + " " + string(long)})
	}
	f := start(t, s)
	if r := f.ask(t, query("long.shop.example.", dns.TypeTXT), "127.0.0.1", respond.TCP); r.Rcode != dns.RcodeServerFailure || r.Authoritative || len(r.Answer) != 0 {
		t.Errorf("an answer beyond 65,535 octets: %v", r.MsgHdr)
	}
}

// A negative answer is kept for no longer than the SOA record itself (RFC 2308 section 3), and so is its proof (RFC 9077 section 3).
func TestNegativeTTL(t *testing.T) {
	s := zones()
	s.Fleet.DNS.TTL.Negative = cdn.Duration(7200e9)
	f := start(t, s)
	f.state.Signer = signer(t)
	q := query("nope.shop.example.", dns.TypeA)
	q.SetEdns0(1232, true)
	for _, r := range f.ask(t, q, "127.0.0.1", respond.TCP).Ns {
		if r.Header().Ttl != 3600 {
			t.Errorf("%v, want 3600, the TTL of the SOA", r)
		}
	}
}

// A name server that has both families in its name's records is told so, and one that has one is not told to have the other.
func TestNSECOfServers(t *testing.T) {
	f := start(t, zones())
	f.state.Signer = signer(t)
	for name, want := range map[string][]uint16{
		"ns2.cdn.test.":                 {dns.TypeA, dns.TypeRRSIG, dns.TypeNSEC},
		"ns1.cdn.test.":                 {dns.TypeA, dns.TypeAAAA, dns.TypeRRSIG, dns.TypeNSEC},
		"t1.www.shop.example.cdn.test.": {dns.TypeA, dns.TypeRRSIG, dns.TypeNSEC},
	} {
		q := query(name, dns.TypeTXT)
		q.SetEdns0(1232, true)
		for _, r := range f.ask(t, q, "127.0.0.1", respond.TCP).Ns {
			if n, ok := r.(*dns.NSEC); ok && !slices.Equal(n.TypeBitMap, want) {
				t.Errorf("%v, want %d", n, want)
			}
		}
	}
}

// Who says to know compact denials (CO) is told with the code that there is no such name (RFC 9824 section 5.1), and that it was understood.
func TestCompactAnswersOK(t *testing.T) {
	f := start(t, zones())
	f.state.Signer = signer(t)
	for _, test := range []struct {
		name   string
		do, co bool
		rcode  int
	}{
		{"nope.shop.example.", true, true, dns.RcodeNameError},
		{"nope.shop.example.", true, false, dns.RcodeSuccess},
		{"nope.shop.example.", false, true, dns.RcodeNameError},
		{"www.shop.example.", true, true, dns.RcodeSuccess},
		{"wild.shop.example.", true, true, dns.RcodeSuccess},
	} {
		q := query(test.name, dns.TypeMX)
		q.SetEdns0(1232, test.do)
		if test.co {
			q.IsEdns0().Hdr.Ttl |= 1 << 14
		}
		r := f.ask(t, q, "127.0.0.1", respond.TCP)
		if co := r.IsEdns0().Hdr.Ttl&(1<<14) != 0; r.Rcode != test.rcode || co != (test.do && test.co) {
			t.Errorf("%s, DO %t, CO %t: %v", test.name, test.do, test.co, r)
		}
	}
}

// That policy leaves no POP for a visitor is no fact of the name: "no such record" would be kept for every visitor of the resolver (RFC 7871 section 7.4). What is so for
// all, as HTTPS where nobody speaks it, is told.
func TestNowhereToGo(t *testing.T) {
	s := zones()
	s.Fleet.Policies = []cdn.Policy{{Name: "none", Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, Deny: []cdn.POPName{"berlin", "tokyo"}}}
	f := start(t, s)
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
		r := f.exchange(t, withSubnet(t, query("alias.shop.example.", qtype), subnet(1, "10.9.1.0", 24, 0)), "10.1.1.1", respond.TCP)
		if r.Rcode != dns.RcodeServerFailure || r.Authoritative || len(r.Answer)+len(r.Ns) != 0 || echoed(r) == nil || echoed(r).SourceScope != 0 {
			t.Errorf("%v, want SERVFAIL", r)
		}
	}
	if r := f.ask(t, query("www.shop.example.", dns.TypeTXT), "10.9.1.1", respond.TCP); r.Rcode != 0 || len(r.Ns) != 1 {
		t.Errorf("%v, want NODATA", r)
	}
	s.Fleet.HTTPS = nil
	if r := start(t, s).ask(t, query("www.shop.example.", dns.TypeHTTPS), "10.9.1.1", respond.TCP); r.Rcode != 0 || len(r.Ns) != 1 {
		t.Errorf("%v, want NODATA", r)
	}
}

// A chain that ends where nothing is known yet has no part that could be kept.
func TestChainToUnknownAlias(t *testing.T) {
	s := zones()
	s.Fleet.Zones[0].Records = append(s.Fleet.Zones[0].Records, cdn.Record{Name: "chain", Type: "CNAME", Data: "to"})
	if r := start(t, s).ask(t, query("chain.shop.example.", dns.TypeA), "10.9.0.1", respond.UDP); r.Rcode != dns.RcodeServerFailure || len(r.Answer) != 0 {
		t.Errorf("%v, want SERVFAIL and nothing else", r)
	}
}

// A proof names every type that is there, however many: one that lacks some would let resolvers deny those (RFC 8198).
func TestNSECOfManyTypes(t *testing.T) {
	s := zones()
	for i := range 80 {
		s.Fleet.Zones[0].Records = append(s.Fleet.Zones[0].Records, cdn.Record{Name: "all", Type: "TYPE" + strconv.Itoa(65300+i), Data: `\# 1 00`})
	}
	f := start(t, s)
	f.state.Signer = signer(t)
	q := query("all.shop.example.", dns.TypeMX)
	q.SetEdns0(1232, true)
	for _, r := range f.ask(t, q, "127.0.0.1", respond.TCP).Ns {
		if n, ok := r.(*dns.NSEC); ok && len(n.TypeBitMap) != 82 {
			t.Errorf("%d types, want 82: %v", len(n.TypeBitMap), n)
		}
	}
}
