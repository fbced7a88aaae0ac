package dnssec_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/dnskey"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/rr"
)

var secret = []byte("a secret of these tests")

const start = 1_800_000_123

// newKeys makes a key in each of the states.
func newKeys(t testing.TB, states ...cdn.KeyState) (keys []cdn.ZoneKey) {
	t.Helper()
	for _, state := range states {
		k, err := dnskey.New(secret, time.Unix(start, 0), keys)
		if err != nil {
			t.Fatal(err)
		}
		k.State = state
		keys = append(keys, k)
	}
	return keys
}

func newSigner(t testing.TB, keys ...cdn.ZoneKey) *dnssec.Signer {
	t.Helper()
	if keys == nil {
		keys = newKeys(t, cdn.KeyActive)
	}
	opened, err := dnssec.Open(keys, secret)
	if err != nil {
		t.Fatal(err)
	}
	return dnssec.NewSigner(opened, nil)
}

func wire(t testing.TB, name string) []byte {
	t.Helper()
	b := make([]byte, 256)
	n, err := dns.PackDomainName(dns.CanonicalName(name), b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// set compiles records as a zone would.
func set(t testing.TB, texts ...string) (owner []byte, s rr.Set) {
	t.Helper()
	for _, text := range texts {
		record, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		owner = wire(t, record.Header().Name)
		s.Type, s.TTL = record.Header().Rrtype, record.Header().Ttl
		s.Data = append(s.Data, rdata(t, record))
	}
	slices.SortFunc(s.Data, bytes.Compare)
	return owner, s
}

func rdata(t testing.TB, record dns.RR) []byte {
	t.Helper()
	b := make([]byte, 65535)
	n, err := dns.PackRR(record, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return b[n-int(record.Header().Rdlength) : n]
}

// records turns a set into what miekg/dns has for it.
func records(t testing.TB, owner []byte, typ uint16, ttl uint32, data ...[]byte) (all []dns.RR) {
	t.Helper()
	for _, d := range data {
		b := append(slices.Clone(owner), byte(typ>>8), byte(typ), 0, 1, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(d)>>8), byte(len(d)))
		record, _, err := dns.UnpackRR(append(b, d...), 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

// verify checks every signature of a set with the keys that the signer publishes, and returns the signatures.
func verify(t testing.TB, s *dnssec.Signer, now int64, zone, owner []byte, set *rr.Set, signatures [][]byte) (all []*dns.RRSIG) {
	t.Helper()
	keys := s.DNSKEY()
	for _, record := range records(t, owner, rr.TypeRRSIG, set.TTL, signatures...) {
		sig := record.(*dns.RRSIG)
		all = append(all, sig)
		ok := false
		for _, k := range records(t, zone, rr.TypeDNSKEY, keys.TTL, keys.Data...) {
			if k.(*dns.DNSKEY).KeyTag() == sig.KeyTag {
				err := sig.Verify(k.(*dns.DNSKEY), records(t, owner, set.Type, set.TTL, set.Data...))
				if ok = err == nil; err != nil {
					t.Errorf("%s: %v", sig, err)
				}
			}
		}
		if !ok || sig.OrigTtl != set.TTL || !sig.ValidityPeriod(time.Unix(now, 0)) {
			t.Errorf("%s: not valid at %d", sig, now)
		}
	}
	return all
}

func TestSign(t *testing.T) {
	s := newSigner(t)
	zone := wire(t, "cdn.test.")
	long := strings.Repeat("a.", 60) + "cdn.test."
	for _, tt := range []struct {
		texts  []string
		labels uint8
	}{
		{[]string{"www.shop.example.cdn.test. 20 A 192.0.2.1", "www.shop.example.cdn.test. 20 A 192.0.2.20"}, 5},
		{[]string{"cdn.test. 3600 SOA ns1.cdn.test. host.cdn.test. 1 2 3 4 60"}, 2},
		{[]string{"cdn.test. 3600 NS ns1.cdn.test.", "cdn.test. 3600 NS ns2.cdn.test."}, 2},
		{[]string{"*.cdn.test. 60 TXT \"a\" \"b\""}, 2},
		{[]string{"expanded.cdn.test. 60 TXT \"a\" \"b\""}, 3},
		{[]string{"x.cdn.test. 0 AAAA 2001:db8::1"}, 3},
		{[]string{"x.cdn.test. 60 HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1"}, 3},
		{[]string{"\\000\\255.cdn.test. 60 MX 10 mail.cdn.test."}, 3},
		{[]string{long + " 60 CAA 0 issue \"ca.example\""}, 62},
	} {
		owner, set := set(t, tt.texts...)
		signatures := s.Sign(start, zone, owner, &set, false)
		if len(signatures) != 1 {
			t.Fatalf("%s: %d signatures, want one", tt.texts[0], len(signatures))
		}
		sig := verify(t, s, start, zone, owner, &set, signatures)[0]
		if sig.Labels != tt.labels || sig.Algorithm != dns.ECDSAP256SHA256 || sig.SignerName != "cdn.test." {
			t.Errorf("%s: want %d labels", sig, tt.labels)
		}
		again := s.Sign(start+3600, zone, owner, &set, false)
		if &again[0][0] != &signatures[0][0] {
			t.Errorf("%s: was signed twice", tt.texts[0])
		}
	}
	if got := s.Stats(); got.Signed != 9 || got.Entries != 9 || got.Failed != 0 || got.Evicted != 0 {
		t.Errorf("%+v: want 9 signatures and entries", got)
	}
}

// What differs in anything that is signed is not taken for the same.
func TestSignTellsApart(t *testing.T) {
	s := newSigner(t)
	for _, text := range []string{
		"a.cdn.test. 20 A 192.0.2.1", "a.cdn.test. 21 A 192.0.2.1", "b.cdn.test. 20 A 192.0.2.1", "a.cdn.test. 20 A 192.0.2.2",
		"a.cdn.test. 20 TXT \"a\"", "a.cdn.test. 20 SPF \"a\"",
	} {
		owner, set := set(t, text)
		for _, zone := range []string{"cdn.test.", "test."} {
			verify(t, s, start, wire(t, zone), owner, &set, s.Sign(start, wire(t, zone), owner, &set, false))
		}
	}
	if got := s.Stats().Signed; got != 12 {
		t.Errorf("%d signatures, want 12", got)
	}
}

// Whatever the time, what is given away is good for a while longer, and nothing is signed more often than once a day and a half.
func TestLife(t *testing.T) {
	s := newSigner(t)
	zone := wire(t, "cdn.test.")
	ends := map[uint32]bool{}
	for i := range 24 {
		owner, set := set(t, fmt.Sprintf("d%d.cdn.test. 20 A 192.0.2.1", i))
		for now := int64(start); now < start+20*24*3600; now += 7200 + int64(i) {
			for _, sig := range verify(t, s, now, zone, owner, &set, s.Sign(now, zone, owner, &set, false)) {
				if left := int64(sig.Expiration) - now; left < 24*3600 || left > int64(cdn.SignatureLife.Seconds()) || sig.Expiration%3600 != 0 || sig.Inception%3600 != 0 ||
					now-int64(sig.Inception) < 3600 {
					t.Fatalf("at %d: %s", now, sig)
				}
				ends[sig.Expiration%(24*3600)] = true
			}
		}
	}
	if n := s.Stats().Signed; n < 24*8 || n > 24*14 {
		t.Errorf("%d signatures in 20 days for 24 names", n)
	}
	if len(ends) < 8 {
		t.Errorf("signatures end at %d hours of the day only", len(ends))
	}
	owner, set := set(t, "d1.cdn.test. 20 A 192.0.2.1")
	for _, now := range []int64{start + 40*24*3600, start} { // long not asked for; a clock that goes back
		verify(t, s, now, zone, owner, &set, s.Sign(now, zone, owner, &set, false))
	}
}

// Every key signs the DNSKEY set; another active key makes signatures anew, a key that comes or goes does not.
func TestKeys(t *testing.T) {
	keys := newKeys(t, cdn.KeyRetired, cdn.KeyActive, cdn.KeyPublished)
	s := newSigner(t, keys...)
	zone := wire(t, "cdn.test.")
	set1 := s.DNSKEY()
	if n := len(verify(t, s, start, zone, zone, &set1, s.Sign(start, zone, zone, &set1, true))); n != 3 {
		t.Fatalf("%d signatures of the DNSKEY set, want 3", n)
	}
	owner, a := set(t, "a.cdn.test. 20 A 192.0.2.1")
	tag := func(s *dnssec.Signer) uint16 {
		return verify(t, s, start, zone, owner, &a, s.Sign(start, zone, owner, &a, false))[0].KeyTag
	}
	parent := func(s *dnssec.Signer) uint16 {
		cds, cdnskey := s.CDS(zone), s.CDNSKEY()
		d := records(t, zone, rr.TypeCDS, cds.TTL, cds.Data...)[0].(*dns.CDS)
		k := records(t, zone, rr.TypeCDNSKEY, cdnskey.TTL, cdnskey.Data...)[0].(*dns.CDNSKEY)
		if want := k.ToDS(dns.SHA256); d.KeyTag != k.KeyTag() || d.Digest != want.Digest || d.Algorithm != want.Algorithm || d.DigestType != want.DigestType {
			t.Errorf("%s does not fit %s", d, k)
		}
		return d.KeyTag
	}
	next := func(before *dnssec.Signer, keys ...cdn.ZoneKey) *dnssec.Signer {
		opened, err := before.Next(keys) // without a secret
		if err != nil {
			t.Fatal(err)
		}
		return dnssec.NewSigner(opened, before)
	}
	tag1, tag2 := dnskey.Tag(keys[1].Public), dnskey.Tag(keys[2].Public)
	if tag(s) != tag1 || parent(s) != tag1 {
		t.Error("another key is active than the one that is")
	}
	keys[2].State = cdn.KeyReady
	signed := s.Stats().Signed
	s = next(s, keys[1:]...)
	if tag(s) != tag1 || parent(s) != tag2 || s.Stats().Signed != signed {
		t.Error("with the other key ready: want the first to sign, what it signed to be at hand, and the other to be for the parent")
	}
	keys[1].State, keys[2].State = cdn.KeyRetired, cdn.KeyActive
	if s = next(s, keys[1:]...); tag(s) != tag2 || parent(s) != tag2 {
		t.Error("with the other key active: want that to sign")
	}
}

func TestOpenRefuses(t *testing.T) {
	swapped := newKeys(t, cdn.KeyActive, cdn.KeyPublished)
	swapped[0].Sealed = swapped[1].Sealed
	odd := newKeys(t, "odd", cdn.KeyActive)
	for _, tt := range []struct {
		keys   []cdn.ZoneKey
		secret string
		want   string
	}{
		{nil, string(secret), "none of the 0 keys is active"},
		{newKeys(t, cdn.KeyReady, cdn.KeyRetired), string(secret), "none of the 2 keys is active"},
		{newKeys(t, cdn.KeyActive, cdn.KeyActive), string(secret), "are both active"},
		{newKeys(t, cdn.KeyActive), "another", "none of the 1 secrets known here opens it"},
		{swapped, string(secret), "none of the 1 secrets known here opens it"},
		{odd, string(secret), `is "odd", which this version does not know`},
	} {
		_, err := dnssec.Open(tt.keys, []byte(tt.secret))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// A flood of names that nobody asks for twice takes bounded memory, and leaves what is asked for again and again.
func TestFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("signs 90,000 sets")
	}
	s := newSigner(t)
	zone := wire(t, "cdn.test.")
	hotOwner, hot := set(t, "hot.cdn.test. 20 A 192.0.2.1")
	ask := func() { s.Sign(start, zone, hotOwner, &hot, false) }
	ask()
	big := rr.Set{Type: rr.TypeTXT, TTL: 60, Data: [][]byte{make([]byte, 30000)}}
	for i := range 90_000 {
		label := fmt.Sprintf("r%d", i)
		owner := append(append([]byte{byte(len(label))}, label...), zone...)
		nsec := rr.Set{Type: rr.TypeNSEC, TTL: 60, Data: [][]byte{dnssec.AppendNSEC(nil, owner, rr.TypeRRSIG, rr.TypeNSEC, rr.TypeNXNAME)}}
		s.Sign(start, zone, owner, &nsec, false)
		if i%8 == 0 {
			ask()
		}
		if i%100 == 0 {
			s.Sign(start, zone, owner, &big, false)
		}
		if st := s.Stats(); st.Octets > dnssec.CacheOctets {
			t.Fatalf("%+v after %d names", st, i)
		}
	}
	before := s.Stats().Signed
	ask()
	if s.Stats().Signed != before {
		t.Error("the flood washed away what is asked for all the time")
	}
}

// Many who ask at once for what is not at hand, or has to be made anew, make it once, and nobody gets what is not good.
func TestStampede(t *testing.T) {
	s := newSigner(t)
	zone := wire(t, "cdn.test.")
	owner, a := set(t, "a.cdn.test. 20 A 192.0.2.1")
	for round := range int64(20) {
		now := start + round*4*24*3600
		var askers sync.WaitGroup
		for range 8 {
			askers.Go(func() { verify(t, s, now, zone, owner, &a, s.Sign(now, zone, owner, &a, false)) })
		}
		askers.Wait()
		if got := s.Stats().Signed; got != uint64(round)+1 {
			t.Fatalf("round %d: %d signatures", round, got)
		}
	}
}

func TestNSEC(t *testing.T) {
	longest := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 61) + "." // 255 octets
	full := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 60) + "."    // 254
	ff := strings.Repeat("\\255", 63) + "." + strings.Repeat(strings.Repeat("a", 63)+".", 2) + strings.Repeat("a", 61) + "."
	for _, tt := range []struct{ owner, next string }{
		{"cdn.test.", "\\000.cdn.test."},
		{"a.b.cdn.test.", "\\000.a.b.cdn.test."},
		{longest, strings.Repeat("a", 62) + "b." + strings.TrimPrefix(longest, strings.Repeat("a", 63)+".")},
		{full, strings.Repeat("a", 62) + "b." + strings.TrimPrefix(full, strings.Repeat("a", 63)+".")},
		{ff, strings.Repeat("a", 62) + "b." + strings.Repeat("a", 63) + "." + strings.Repeat("a", 61) + "."},
		{strings.Repeat("\\064", 63) + strings.TrimPrefix(longest, strings.Repeat("a", 63)), strings.Repeat("\\064", 62) + "\\091" + strings.TrimPrefix(longest, strings.Repeat("a", 63))},
	} {
		owner := wire(t, tt.owner)
		types := []uint16{rr.TypeNXNAME, rr.TypeA, rr.TypeNSEC, rr.TypeCAA, rr.TypeRRSIG, rr.TypeA, 65280}
		got := records(t, owner, rr.TypeNSEC, 60, dnssec.AppendNSEC(nil, owner, types...))[0].(*dns.NSEC)
		if got.NextDomain != tt.next && !bytes.Equal(wire(t, got.NextDomain), wire(t, tt.next)) {
			t.Errorf("after %s comes %s, want %s", tt.owner, got.NextDomain, tt.next)
		}
		if want := []uint16{1, 46, 47, 128, 257, 65280}; !slices.Equal(got.TypeBitMap, want) {
			t.Errorf("types %v, want %v", got.TypeBitMap, want)
		}
	}
}

// FuzzNSEC: for any types the bitmap is what miekg/dns writes.
func FuzzNSEC(f *testing.F) {
	f.Add([]byte{0, 1, 0, 46, 1, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var types []uint16
		for i := 1; i < len(raw); i += 2 {
			types = append(types, uint16(raw[i-1])<<8|uint16(raw[i]))
		}
		sorted := slices.Compact(slices.Sorted(slices.Values(types)))
		want := rdata(t, &dns.NSEC{Hdr: dns.RR_Header{Name: "a.test.", Rrtype: dns.TypeNSEC, Class: 1}, NextDomain: "\\000.a.test.", TypeBitMap: sorted})
		if got := dnssec.AppendNSEC(nil, wire(t, "a.test."), types...); !bytes.Equal(got, want) {
			t.Errorf("%s, want %s", hex.EncodeToString(got), hex.EncodeToString(want))
		}
	})
}

func BenchmarkSign(b *testing.B) {
	s := newSigner(b)
	zone := wire(b, "cdn.test.")
	owner, a := set(b, "d1.cdn.test. 20 A 192.0.2.1", "d1.cdn.test. 20 A 192.0.2.2")
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Sign(start, zone, owner, &a, false)
		}
	})
	b.Run("cached, many", func(b *testing.B) {
		owners := make([][]byte, 10_000)
		for i := range owners {
			owners[i] = wire(b, fmt.Sprintf("d%d.cdn.test.", i))
			s.Sign(start, zone, owners[i], &a, false)
		}
		b.ReportAllocs()
		for b.Loop() {
			s.Sign(start, zone, owners[rand.IntN(len(owners))], &a, false)
		}
	})
	b.Run("cold", func(b *testing.B) {
		ttl := a
		b.ReportAllocs()
		for b.Loop() {
			ttl.TTL++
			s.Sign(start, zone, owner, &ttl, false)
		}
	})
}
