package index

import (
	"encoding/hex"
	"testing"
)

// The expected values are CPython 3.11's, whose hash of bytes is SipHash-1-3: with PYTHONHASHSEED=0 the key is zeros, with 7 it is the one below,
//
//	hash(struct.pack("<Q", len(key)) + key + bytes(-len(key) % 8) + variant) & (2**64 - 1)
func TestHash(t *testing.T) {
	zero, seven := [16]byte{}, [16]byte{}
	if _, err := hex.Decode(seven[:], []byte("3d0e6f80a174c8124f78d2f9d2890a47")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, variant    string
		ofZero, ofSeven uint64
	}{
		{"", "", 0xbd60acb658c79e45, 0x89e0554e63135e00},
		{"a", "", 0xb7c638bc50970583, 0x9d4a7e48a8781b85},
		{"", "a", 0xc9972277e54d711, 0x210bbc0a07a7a311},
		{"12345678", "12345678", 0x6f7105cf8eff5181, 0x82366dad60f009da},
		{"/index.html", "gzip", 0x121e5dcef71bc9c5, 0x34da5ec9150df41a},
		{counted(0, 63), counted(200, 255), 0xdd2452b687c5ea39, 0xd89591af014f462b},
	} {
		if got := Hash(zero, c.key, c.variant); got != c.ofZero {
			t.Errorf("key 0: %q, %q: %#x, want %#x", c.key, c.variant, got, c.ofZero)
		}
		if got := Hash(seven, c.key, c.variant); got != c.ofSeven {
			t.Errorf("key 7: %q, %q: %#x, want %#x", c.key, c.variant, got, c.ofSeven)
		}
	}
}

// TestSipRound puts SipHash-2-4 together from the rounds here; the value is that of the paper's appendix A.
func TestSipRound(t *testing.T) {
	s := keyed([16]byte([]byte(counted(0, 16))))
	for _, w := range []uint64{0x0706050403020100, 15<<56 | 0x0e0d0c0b0a0908} { // the octets 0 to 14
		s.d ^= w
		s = s.round().round()
		s.a ^= w
	}
	s.c ^= 0xff
	s = s.round().round().round().round()
	if got := s.a ^ s.b ^ s.c ^ s.d; got != 0xa129ca6149be45e5 {
		t.Errorf("%#x", got)
	}
}

// TestHashBorder has octets go over the border between key and variant.
func TestHashBorder(t *testing.T) {
	all := counted(0, 40)
	seen := map[uint64]int{}
	for i := range len(all) + 1 {
		h := Hash([16]byte{1}, all[:i], all[i:])
		if j, ok := seen[h]; ok {
			t.Errorf("cut at %d it is the same as cut at %d", i, j)
		}
		seen[h] = i
	}
	if Hash([16]byte{}, "a", "") == Hash([16]byte{}, "a\x00", "") || Hash([16]byte{}, "", "a") == Hash([16]byte{}, "", "a\x00") {
		t.Error("zeros at the end make no difference")
	}
}

func BenchmarkHash(b *testing.B) {
	key, n := "https://www.example.com/assets/2026/11/some-picture-of-a-cat.webp", uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n += Hash([16]byte{1, 2, 3}, key, "br")
	}
	if n == 1 {
		b.Log(n)
	}
}

// counted returns the octets from a up to b.
func counted(a, b int) string {
	s := make([]byte, 0, b-a)
	for ; a < b; a++ {
		s = append(s, byte(a))
	}
	return string(s)
}
