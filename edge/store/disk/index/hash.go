package index

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Hash returns SipHash-1-3 (Aumasson and Bernstein 2012, with the round numbers that are usual for hash tables) of key and variant, keyed by
// seed: who does not know the seed cannot make two keys meet. What is hashed is the length of key in 8 octets, key, zeros up to a multiple of
// 8, and variant; all numbers are little-endian, so it is the same on every machine. It does not allocate.
func Hash(seed [16]byte, key, variant string) uint64 {
	s := keyed(seed)
	s = s.absorb(uint64(len(key)))
	length := 8 + len(key) + -len(key)&7 + len(variant)
	s, key = s.words(key)
	if key != "" {
		s = s.absorb(rest(key))
	}
	s, variant = s.words(variant)
	s = s.absorb(rest(variant) | uint64(length)<<56)
	s.c ^= 0xff
	s = s.round().round().round()
	return s.a ^ s.b ^ s.c ^ s.d
}

// sip is the state of SipHash.
type sip struct{ a, b, c, d uint64 }

func keyed(seed [16]byte) sip {
	k0, k1 := binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])
	return sip{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
}

// words absorbs all whole words of text and returns what is left of it.
func (s sip) words(text string) (sip, string) {
	octets := unsafe.Slice(unsafe.StringData(text), len(text)) // is only read
	for ; len(octets) >= 8; octets = octets[8:] {
		s = s.absorb(binary.LittleEndian.Uint64(octets))
	}
	return s, text[len(text)&^7:]
}

// rest returns less than 8 octets and zeros.
func rest(text string) uint64 {
	w := uint64(0)
	for i := len(text) - 1; i >= 0; i-- {
		w = w<<8 | uint64(text[i])
	}
	return w
}

func (s sip) absorb(word uint64) sip {
	s.d ^= word
	s = s.round()
	s.a ^= word
	return s
}

func (s sip) round() sip {
	a, b, c, d := s.a+s.b, bits.RotateLeft64(s.b, 13), s.c+s.d, bits.RotateLeft64(s.d, 16)
	b, d = b^a, d^c
	a, c = bits.RotateLeft64(a, 32)+d, c+b
	d, b = bits.RotateLeft64(d, 21)^a, bits.RotateLeft64(b, 17)^c
	return sip{a, b, bits.RotateLeft64(c, 32), d}
}
