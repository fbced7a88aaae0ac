package index

import "math/bits"

// Hash returns SipHash-1-3 (Aumasson and Bernstein 2012, with the round numbers that are usual for hash tables) of key and variant, keyed by
// seed: who does not know the seed cannot make two keys meet. What is hashed is the length of key in 8 octets, key, zeros up to a multiple of
// 8, and variant; all numbers are little-endian, so it is the same on every machine. It does not allocate.
func Hash(seed [16]byte, key, variant string) uint64 {
	k0, k1 := word(string(seed[:8])), word(string(seed[8:]))
	s := sip{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	s.absorb(uint64(len(key)))
	length := 8 + len(key) + -len(key)&7 + len(variant)
	for ; len(key) >= 8; key = key[8:] {
		s.absorb(word(key))
	}
	if key != "" {
		s.absorb(word(key))
	}
	for ; len(variant) >= 8; variant = variant[8:] {
		s.absorb(word(variant))
	}
	s.absorb(word(variant) | uint64(length)<<56)
	s[2] ^= 0xff
	s.round()
	s.round()
	s.round()
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

// word returns the first 8 octets of s, or fewer and zeros.
func word(s string) uint64 {
	if len(s) >= 8 {
		return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	}
	w := uint64(0)
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	return w
}

// sip is the state of SipHash.
type sip [4]uint64

func (s *sip) absorb(word uint64) {
	s[3] ^= word
	s.round()
	s[0] ^= word
}

func (s *sip) round() {
	a, b, c, d := s[0], s[1], s[2], s[3]
	a += b
	b = bits.RotateLeft64(b, 13) ^ a
	a = bits.RotateLeft64(a, 32)
	c += d
	d = bits.RotateLeft64(d, 16) ^ c
	a += d
	d = bits.RotateLeft64(d, 21) ^ a
	c += b
	b = bits.RotateLeft64(b, 17) ^ c
	c = bits.RotateLeft64(c, 32)
	s[0], s[1], s[2], s[3] = a, b, c, d
}
