package respond_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/dnskey"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/respond"
)

// signer has one active key.
func signer(t testing.TB) *dnssec.Signer {
	t.Helper()
	secret := []byte("a secret of sufficient length")
	key, err := dnskey.New(secret, noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	key.State = cdn.KeyActive
	keys, err := dnssec.Open([]cdn.ZoneKey{key}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return dnssec.NewSigner(keys, nil)
}

// zones is snapshot with a zone that is delegated here, and records in both.
func zones() *cdn.Snapshot {
	s := snapshot()
	s.Fleet.HTTPS = &cdn.HTTPS{Port: 8443}
	s.Fleet.Zones = []cdn.Zone{
		{Name: "shop.example", Records: []cdn.Record{
			{Name: "@", Type: "MX", Data: "10 mail"}, {Name: "@", Type: "CAA", Data: `0 issue "ca.example"`},
			{Name: "mail", Type: "A", Data: "192.0.2.25"}, {Name: "alias", Type: "CNAME", Data: "www"}, {Name: "out", Type: "CNAME", Data: "www.elsewhere.example."},
			{Name: "one", Type: "CNAME", Data: "two"}, {Name: "two", Type: "CNAME", Data: "one"}, {Name: "*.wild", Type: "TXT", Data: "any"},
			{Name: "sub", Type: "NS", Data: "ns.sub"}, {Name: "ns.sub", Type: "A", Data: "192.0.2.99"},
			{Name: "safe", Type: "NS", Data: "ns.sub"}, {Name: "safe", Type: "DS", Data: "12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
			{Name: "_acme-challenge.www", Type: "TXT", Data: "token"}, {Name: "to", Type: "ALIAS", Data: "lb.elsewhere.example."},
		}},
		{Name: "cdn.test", Records: []cdn.Record{{Name: "www.shop.example", Type: "TXT", Data: "beside"}}},
	}
	s.Sites[0].Domains = append(s.Sites[0].Domains, "shop.example")
	return s
}

// verify checks that every set of a section has a signature of the key, but those of others' zones.
func verify(t *testing.T, key *dns.DNSKEY, section []dns.RR) (covered []uint16) {
	t.Helper()
	sets := make(map[string][]dns.RR)
	var signatures []*dns.RRSIG
	for _, r := range section {
		switch r := r.(type) {
		case *dns.RRSIG:
			signatures = append(signatures, r)
		case *dns.OPT:
		default:
			id := dns.CanonicalName(r.Header().Name) + dns.TypeToString[r.Header().Rrtype]
			sets[id] = append(sets[id], r)
		}
	}
	for _, sig := range signatures {
		id := dns.CanonicalName(sig.Hdr.Name) + dns.TypeToString[sig.TypeCovered]
		set := sets[id]
		if len(set) == 0 {
			t.Errorf("a signature of nothing: %v", sig)
			continue
		}
		key.Hdr.Name = sig.SignerName
		if err := sig.Verify(key, set); err != nil {
			t.Errorf("%v of %v: %v", sig, set, err)
		}
		if !sig.ValidityPeriod(noon) || sig.Hdr.Ttl != set[0].Header().Ttl || sig.OrigTtl < sig.Hdr.Ttl {
			t.Errorf("signature %v of %v: wrong times", sig, set)
		}
		covered = append(covered, sig.TypeCovered)
		delete(sets, id)
	}
	for id, set := range sets {
		if set[0].Header().Rrtype != dns.TypeNS && set[0].Header().Rrtype != dns.TypeA {
			t.Errorf("%s has no signature", id)
		}
	}
	slices.Sort(covered)
	return covered
}

// What has to be signed is, and what is not there is proved (RFC 4035, RFC 9824).
func TestSigned(t *testing.T) {
	s := zones()
	f := start(t, s)
	f.state.Signer = signer(t)
	f.cfg.Alias = nil
	r := f.ask(t, query("shop.example.", dns.TypeDNSKEY), "127.0.0.1", respond.TCP)
	if len(r.Answer) != 1 {
		t.Fatal(r)
	}
	key, ok := r.Answer[0].(*dns.DNSKEY)
	if !ok {
		t.Fatal(r)
	}
	const a, soa, ns, mx, txt, aaaa, ds, nsec, dnskey, cds, cdnskey, https, nxname = dns.TypeA, dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeTXT, dns.TypeAAAA, dns.TypeDS, dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeHTTPS, 128
	type types = []uint16
	for _, test := range []struct {
		name      string
		qtype     uint16
		answer    types // that are signed
		authority types
		present   types // by the NSEC record, beside RRSIG and NSEC
	}{
		{"www.shop.example.cdn.test.", a, types{a}, nil, nil},
		{"www.shop.example.", aaaa, types{aaaa}, nil, nil},
		{"www.shop.example.", https, types{https}, nil, nil},
		{"shop.example.", a, types{a}, nil, nil},
		{"shop.example.", soa, types{soa}, nil, nil},
		{"shop.example.", ns, types{ns}, nil, nil},
		{"shop.example.", dnskey, types{dnskey}, nil, nil},
		{"shop.example.", cds, types{cds}, nil, nil},
		{"cdn.test.", cdnskey, types{cdnskey}, nil, nil},
		{"shop.example.", mx, types{mx}, nil, nil},
		{"shop.example.", txt, nil, types{soa, nsec}, types{a, ns, soa, mx, aaaa, dnskey, cds, cdnskey, https, dns.TypeCAA}},
		{"www.shop.example.cdn.test.", txt, types{txt}, nil, nil},
		{"www.shop.example.cdn.test.", mx, nil, types{soa, nsec}, types{a, txt, aaaa, https}},
		{"x.wild.shop.example.", txt, types{txt}, nil, nil},
		{"x.wild.shop.example.", a, nil, types{soa, nsec}, types{txt}},
		{"wild.shop.example.", a, nil, types{soa, nsec}, nil},
		{"nope.shop.example.", a, nil, types{soa, nsec}, types{nxname}},
		{"nope.shop.example.", dns.TypeANY, nil, types{soa, nsec}, types{nxname}},
		{"alias.shop.example.", a, types{a, dns.TypeCNAME}, nil, nil},
		{"alias.shop.example.", txt, types{dns.TypeCNAME}, types{soa, nsec}, types{a, aaaa, https}},
		{"out.shop.example.", a, types{dns.TypeCNAME}, nil, nil},
		{"x.sub.shop.example.", a, nil, types{nsec}, types{ns}},
		{"sub.shop.example.", ds, nil, types{soa, nsec}, types{ns}},
		{"x.safe.shop.example.", a, nil, types{ds}, nil},
		{"safe.shop.example.", ds, types{ds}, nil, nil},
		{"_acme-challenge.www.shop.example.", txt, types{txt}, nil, nil},
	} {
		t.Run(test.name+dns.TypeToString[test.qtype], func(t *testing.T) {
			q := query(test.name, test.qtype)
			q.SetEdns0(1232, true)
			r := f.ask(t, q, "127.0.0.1", respond.TCP)
			if r.Rcode != 0 || r.Truncated {
				t.Fatal(r)
			}
			if got := verify(t, key, r.Answer); !slices.Equal(got, test.answer) {
				t.Errorf("signed in the answer: %d, want %d\n%v", got, test.answer, r)
			}
			if got := verify(t, key, r.Ns); !slices.Equal(got, test.authority) {
				t.Errorf("signed in the authority section: %d, want %d\n%v", got, test.authority, r)
			}
			if !slices.Contains(test.authority, nsec) {
				return
			}
			for _, rr := range r.Ns {
				if n, ok := rr.(*dns.NSEC); ok {
					if want := append(slices.Clone(test.present), dns.TypeRRSIG, nsec); !slices.Equal(slices.Sorted(slices.Values(n.TypeBitMap)), slices.Sorted(slices.Values(want))) {
						t.Errorf("present: %v, want %d", n, want)
					}
				}
			}
			q.IsEdns0().SetDo(false)
			if plain := f.ask(t, q, "127.0.0.1", respond.TCP); slices.ContainsFunc(append(plain.Answer, plain.Ns...), func(r dns.RR) bool {
				return r.Header().Rrtype == dns.TypeRRSIG || r.Header().Rrtype == dns.TypeNSEC
			}) {
				t.Errorf("signatures for who does not want any: %v", plain)
			}
		})
	}
}

// The fleet's zone may be within an operator's. DS records are in the zone above (RFC 4035 section 3.1.4.1): there they are of our keys, the one that is active and
// the one that is ready to be.
func TestDSOfOurs(t *testing.T) {
	s := zones()
	s.Fleet.Zones = append(s.Fleet.Zones, cdn.Zone{Name: "test"})
	f := start(t, s)
	q := query("cdn.test.", dns.TypeDS)
	q.SetEdns0(1232, true)
	if r := f.ask(t, q, "127.0.0.1", respond.TCP); r.Rcode != 0 || !r.Authoritative || len(r.Answer) != 0 || len(r.Ns) != 1 || r.Ns[0].Header().Name != "test." {
		t.Errorf("DS without keys: %v, want the SOA of the zone above", r)
	}
	secret := []byte("a secret of sufficient length")
	var keys []cdn.ZoneKey
	for _, state := range []cdn.KeyState{cdn.KeyActive, cdn.KeyReady} {
		key, err := dnskey.New(secret, noon, keys)
		if err != nil {
			t.Fatal(err)
		}
		key.State = state
		keys = append(keys, key)
	}
	for n, state := range []cdn.KeyState{cdn.KeyPublished, cdn.KeyReady} {
		keys[1].State = state
		opened, err := dnssec.Open(keys, secret)
		if err != nil {
			t.Fatal(err)
		}
		f.state.Signer = dnssec.NewSigner(opened, nil)
		var key *dns.DNSKEY
		want := make(map[string]bool)
		for _, r := range f.ask(t, query("cdn.test.", dns.TypeDNSKEY), "127.0.0.1", respond.TCP).Answer {
			k, ok := r.(*dns.DNSKEY)
			if !ok {
				t.Fatal(r)
			}
			if active := k.KeyTag() == dnskey.Tag(keys[0].Public); active || n == 1 {
				want[k.ToDS(dns.SHA256).Digest] = true
				if active {
					key = k
				}
			}
		}
		r := f.ask(t, q, "127.0.0.1", respond.TCP)
		if verify(t, key, r.Answer); r.Rcode != 0 || !r.Authoritative || len(r.Ns) != 0 || len(r.Answer) != n+2 {
			t.Fatalf("DS while the next key is %s: %v", state, r)
		}
		for _, rr := range r.Answer {
			switch rr := rr.(type) {
			case *dns.DS:
				if !want[strings.ToUpper(rr.Digest)] && !want[rr.Digest] {
					t.Errorf("%v is of no key, want %v", rr, want)
				}
			case *dns.RRSIG:
				if rr.SignerName != "test." {
					t.Errorf("signed by %s", rr.SignerName)
				}
			}
		}
	}
	q = query("test.", dns.TypeDS) // of which the zone above is somebody else's
	if r := f.ask(t, q, "127.0.0.1", respond.TCP); r.Rcode != 0 || len(r.Answer) != 0 || len(r.Ns) != 1 || r.Ns[0].Header().Name != "test." {
		t.Errorf("DS of a zone that is not within ours: %v", r)
	}
}
