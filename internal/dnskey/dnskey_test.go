package dnskey_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/dnskey"
)

var (
	old   = []byte("the secret before")
	inUse = []byte("the secret in use")
	now   = time.Date(2026, 11, 26, 9, 30, 0, 5, time.FixedZone("CET", 3600))
)

func newKey(t *testing.T, secret []byte, others ...cdn.ZoneKey) cdn.ZoneKey {
	t.Helper()
	k, err := dnskey.New(secret, now, others)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What the DNS is told of a key is what miekg/dns makes of it.
func TestRecords(t *testing.T) {
	for range 100 {
		k := newKey(t, inUse)
		record := &dns.DNSKEY{
			Hdr:   dns.RR_Header{Name: "cdn.test.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
			Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
		}
		packed, _, err := dns.UnpackRR(append(append(cdn.Domain("cdn.test").Wire(), 0, 48, 0, 1, 0, 0, 0, 0, 0, 68), dnskey.Data(k.Public)...), 0)
		if err != nil {
			t.Fatal(err)
		}
		record.PublicKey = packed.(*dns.DNSKEY).PublicKey
		if packed.String() != record.String() || dnskey.Tag(k.Public) != record.KeyTag() {
			t.Fatalf("%s with tag %d, want %s with %d", packed, dnskey.Tag(k.Public), record, record.KeyTag())
		}
		ds, err := dns.NewRR(dnskey.DSText("cdn.test", k.Public))
		if err != nil {
			t.Fatal(err)
		}
		want := record.ToDS(dns.SHA256)
		if got := ds.(*dns.DS); !strings.EqualFold(got.Digest, want.Digest) || got.KeyTag != want.KeyTag || got.Algorithm != want.Algorithm || got.DigestType != want.DigestType {
			t.Fatalf("%s, want %s", got, want)
		}
		if k.State != cdn.KeyPublished || !k.Made.Equal(now.Truncate(time.Second)) || !strings.HasPrefix(k.ID, "20261126-") {
			t.Fatalf("%+v", k)
		}
	}
}

func TestOpen(t *testing.T) {
	k := newKey(t, old)
	for _, tt := range []struct {
		name    string
		change  func(*cdn.ZoneKey)
		secrets [][]byte
		index   int
		want    string
	}{
		{"the secret in use", func(*cdn.ZoneKey) {}, [][]byte{old}, 0, ""},
		{"the secret before", func(*cdn.ZoneKey) {}, [][]byte{inUse, old}, 1, ""},
		{"another secret", func(*cdn.ZoneKey) {}, [][]byte{inUse}, 0, "none of the 1 secrets known here opens it"},
		{"no secret", func(*cdn.ZoneKey) {}, nil, 0, "none of the 0 secrets known here opens it"},
		{"another's ID", func(k *cdn.ZoneKey) { k.ID = "20261126-00001" }, [][]byte{old}, 0, "opens it"},
		{"another's public key", func(k *cdn.ZoneKey) { k.Public = newKey(t, old).Public }, [][]byte{old}, 0, "opens it"},
		{"a bit changed", func(k *cdn.ZoneKey) { k.Sealed[20] ^= 1 }, [][]byte{old}, 0, "opens it"},
		{"cut off", func(k *cdn.ZoneKey) { k.Sealed = k.Sealed[:5] }, [][]byte{old}, 0, "opens it"},
		{"nothing sealed", func(k *cdn.ZoneKey) { k.Sealed = nil }, [][]byte{old}, 0, "opens it"},
		{"a short public key", func(k *cdn.ZoneKey) { k.Public = k.Public[:63] }, [][]byte{old}, 0, "the public key has 63 octets, want 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := k
			k.Sealed, k.Public = slices.Clone(k.Sealed), slices.Clone(k.Public)
			tt.change(&k)
			private, index, err := dnskey.Open(&k, tt.secrets)
			switch {
			case tt.want == "" && (err != nil || private == nil || index != tt.index):
				t.Errorf("secret %d, %v; want %d", index, err, tt.index)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	if _, err := dnskey.New(nil, now, nil); err == nil {
		t.Error("a key was made that nothing seals")
	}
}

func TestReseal(t *testing.T) {
	k := newKey(t, old)
	again, fresh, err := dnskey.Reseal(k, [][]byte{inUse, old})
	if err != nil || !fresh || bytes.Equal(again.Sealed, k.Sealed) {
		t.Fatalf("%t, %v: want a key sealed anew", fresh, err)
	}
	before, _, err := dnskey.Open(&k, [][]byte{old})
	if err != nil {
		t.Fatal(err)
	}
	if after, _, err := dnskey.Open(&again, [][]byte{inUse}); err != nil || !after.Equal(before) {
		t.Errorf("another key came out: %v", err)
	}
	if same, fresh, err := dnskey.Reseal(again, [][]byte{inUse, old}); err != nil || fresh || !bytes.Equal(same.Sealed, again.Sealed) {
		t.Errorf("%t, %v: want it to stay as it is", fresh, err)
	}
}

// The private half is in nothing that a key shows.
func TestSealed(t *testing.T) {
	k := newKey(t, inUse)
	private, _, err := dnskey.Open(&k, [][]byte{inUse})
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := private.Bytes()
	if err != nil || bytes.Contains(k.Sealed, scalar) || len(k.Sealed) != 12+32+16 {
		t.Errorf("%d octets sealed, %v", len(k.Sealed), err)
	}
}
