package respond_test

import (
	"testing"

	"github.com/miekg/dns"

	"nearcast/scheduler/respond"
)

// Who asks for signatures gets one: refused, a resolver would take us for a server that does not have the zone. Where nothing is signed there is none.
func TestAskForRRSIG(t *testing.T) {
	f := start(t, zones())
	if r := f.ask(t, query("www.shop.example.", dns.TypeRRSIG), "127.0.0.1", respond.TCP); r.Rcode != 0 || !r.Authoritative || len(r.Answer) != 0 || len(r.Ns) != 1 {
		t.Errorf("of an unsigned name: %v", r)
	}
	if r := f.ask(t, query("nope.shop.example.", dns.TypeRRSIG), "127.0.0.1", respond.TCP); r.Rcode != dns.RcodeNameError || len(r.Ns) != 1 {
		t.Errorf("of no name: %v", r)
	}
	f.state.Signer = signer(t)
	key, ok := f.ask(t, query("shop.example.", dns.TypeDNSKEY), "127.0.0.1", respond.TCP).Answer[0].(*dns.DNSKEY)
	if !ok {
		t.Fatal("no key")
	}
	for _, name := range []string{"www.shop.example.", "shop.example.", "alias.shop.example.", "x.wild.shop.example.", "wild.shop.example.", "mail.shop.example.", "nope.shop.example."} {
		for _, do := range []bool{true, false} {
			q := query(name, dns.TypeRRSIG).SetEdns0(1232, do)
			r := f.ask(t, q, "127.0.0.1", respond.TCP)
			if name == "nope.shop.example." && !do {
				if r.Rcode != dns.RcodeNameError || len(r.Ns) != 1 {
					t.Errorf("of no name: %v", r)
				}
				continue
			}
			if r.Rcode != 0 || !r.Authoritative || len(r.Answer) != 1 || len(r.Ns) != 0 {
				t.Errorf("%s, DO %t: %v", name, do, r)
				continue
			}
			nsec := f.ask(t, query(name, dns.TypeNSEC).SetEdns0(1232, true), "127.0.0.1", respond.TCP).Answer[:1]
			if sig, ok := r.Answer[0].(*dns.RRSIG); !ok || sig.Hdr.Name != name || sig.TypeCovered != dns.TypeNSEC || sig.Hdr.Ttl != nsec[0].Header().Ttl || sig.Verify(key, nsec) != nil {
				t.Errorf("%s, DO %t: %v does not sign %v", name, do, r.Answer[0], nsec)
			}
		}
	}
	if r := f.ask(t, secure("x.sub.shop.example.", dns.TypeRRSIG), "127.0.0.1", respond.TCP); r.Authoritative || len(r.Answer) != 0 || len(r.Ns) == 0 {
		t.Errorf("below a delegation: %v", r)
	}
	f = frugal(t, 1)
	f.ask(t, secure("mail.shop.example.", dns.TypeRRSIG), "127.0.0.1", respond.TCP) // which takes what there was
	if r := f.ask(t, secure("nope.shop.example.", dns.TypeRRSIG), "127.0.0.1", respond.TCP); r.Rcode != dns.RcodeServerFailure || r.Authoritative {
		t.Errorf("one that cannot be made now, over a stream: %v", r)
	}
	if r := f.ask(t, secure("nope.shop.example.", dns.TypeRRSIG), "127.0.0.1", respond.UDP); !r.Truncated || len(r.Answer)+len(r.Ns) > 0 {
		t.Errorf("one that cannot be made now, over UDP: %v", r)
	}
}
