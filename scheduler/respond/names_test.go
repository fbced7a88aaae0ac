package respond_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
)

// Chains, delegations, wildcards and aliases of a zone that is delegated to us. The client is near tokyo.
func TestNames(t *testing.T) {
	f := start(t, zones())
	f.cfg.Alias = func(target cdn.Domain) ([]netip.Addr, uint32, bool) {
		if target != "lb.elsewhere.example" {
			t.Errorf("target %q", target)
		}
		return []netip.Addr{netip.MustParseAddr("203.0.113.80"), netip.MustParseAddr("203.0.113.8")}, 33, true
	}
	f.Responder = respond.New(f.cfg)
	const soa = "shop.example. 60 IN SOA ns1.cdn.test. hostmaster.shop.example. 42 3600 600 604800 60"
	tokyo := func(owner string) string { return owner + " 20 IN A 198.51.100.1" }
	for _, test := range []struct {
		name              string
		qtype             uint16
		rcode             int
		referral          bool
		answer, ns, extra []string
	}{
		{"www.shop.example.", dns.TypeA, 0, false, []string{tokyo("www.shop.example.")}, nil, nil},
		{"shop.example.", dns.TypeA, 0, false, []string{tokyo("shop.example.")}, nil, nil}, // flattened
		{"shop.example.", dns.TypeMX, 0, false, []string{"shop.example. 3600 IN MX 10 mail.shop.example."}, nil, nil},
		{"api.www.shop.example.", dns.TypeA, 0, false, []string{tokyo("api.www.shop.example.")}, nil, nil},
		{"t1.www.shop.example.", dns.TypeA, dns.RcodeNameError, false, nil, []string{soa}, nil}, // nodes have names in the fleet's zone
		{"alias.shop.example.", dns.TypeA, 0, false, []string{"alias.shop.example. 3600 IN CNAME www.shop.example.", tokyo("www.shop.example.")}, nil, nil},
		{"alias.shop.example.", dns.TypeCNAME, 0, false, []string{"alias.shop.example. 3600 IN CNAME www.shop.example."}, nil, nil},
		{"out.shop.example.", dns.TypeA, 0, false, []string{"out.shop.example. 3600 IN CNAME www.elsewhere.example."}, nil, nil},
		{"one.shop.example.", dns.TypeA, dns.RcodeServerFailure, true, nil, nil, nil},
		{"to.shop.example.", dns.TypeA, 0, false, []string{"to.shop.example. 33 IN A 203.0.113.8", "to.shop.example. 33 IN A 203.0.113.80"}, nil, nil},
		{"to.shop.example.", dns.TypeAAAA, 0, false, nil, []string{soa}, nil},
		{"x.wild.shop.example.", dns.TypeTXT, 0, false, []string{`x.wild.shop.example. 3600 IN TXT "any"`}, nil, nil},
		{"wild.shop.example.", dns.TypeTXT, 0, false, nil, []string{soa}, nil},
		{
			"a.b.sub.shop.example.", dns.TypeA, 0, true, nil,
			[]string{"sub.shop.example. 3600 IN NS ns.sub.shop.example."},
			[]string{"ns.sub.shop.example. 3600 IN A 192.0.2.99"},
		},
		{
			"sub.shop.example.", dns.TypeNS, 0, true, nil,
			[]string{"sub.shop.example. 3600 IN NS ns.sub.shop.example."},
			[]string{"ns.sub.shop.example. 3600 IN A 192.0.2.99"},
		},
		{"sub.shop.example.", dns.TypeDS, 0, false, nil, []string{soa}, nil},
		{"mail.shop.example.", dns.TypeA, 0, false, []string{"mail.shop.example. 3600 IN A 192.0.2.25"}, nil, nil},
		{"www.shop.example.cdn.test.", dns.TypeTXT, 0, false, []string{`www.shop.example.cdn.test. 3600 IN TXT "beside"`}, nil, nil},
	} {
		t.Run(test.name+dns.TypeToString[test.qtype], func(t *testing.T) {
			r := f.ask(t, query(test.name, test.qtype), "10.9.0.1", respond.UDP)
			if r.Rcode != test.rcode || r.Authoritative == test.referral {
				t.Errorf("code %d, AA %t; want %d, %t", r.Rcode, r.Authoritative, test.rcode, !test.referral)
			}
			got := [][]string{lines(r.Answer), lines(r.Ns), lines(r.Extra)}
			if diff := cmp.Diff([][]string{test.answer, test.ns, test.extra}, got); diff != "" {
				t.Errorf("sections (-want +got):\n%s", diff)
			}
		})
	}
	f.cfg.Alias = func(cdn.Domain) ([]netip.Addr, uint32, bool) { return nil, 0, false }
	f.Responder = respond.New(f.cfg)
	if r := f.ask(t, query("to.shop.example.", dns.TypeA), "10.9.0.1", respond.UDP); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("an alias of which nothing is known yet: %v, want SERVFAIL", r)
	}
}
