package disk

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// sipHash is SipHash-2-4 of a key and a variant. The seed is a secret of the disks, so that nobody can choose keys which meet.
func sipHash(key, variant string, seed [16]byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])
	h := sip(k0, k1, key)
	if variant != "" {
		h = sip(k0^h, k1, variant)
	}
	return h
}

// sip is SipHash-2-4 (Aumasson and Bernstein, 2012).
func sip(k0, k1 uint64, s string) uint64 {
	v := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	n := len(s)
	for ; len(s) >= 8; s = s[8:] {
		m := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		v.add(m)
	}
	last := uint64(n) << 56
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	v.add(last)
	v[2] ^= 0xff
	for range 4 {
		v.round()
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

type sipState [4]uint64

func (v *sipState) add(m uint64) {
	v[3] ^= m
	v.round()
	v.round()
	v[0] ^= m
}

func (v *sipState) round() {
	v[0] += v[1]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[3]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] += v[3]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] += v[1]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[2] = bits.RotateLeft64(v[2], 32)
}

// mix spreads the bits of a number (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// home returns the disk on which something new of a hash is written, of those that work, or nil. Each gets a share by its size, and when
// one fails or comes only its share moves (rendezvous hashing, weighted). What the index goes by must not depend on the
// choice: so the hash is mixed.
func (s *Store) home(hash uint64) *volume {
	if len(s.volumes) == 1 && !s.volumes[0].dead() {
		return s.volumes[0]
	}
	var best *volume
	bestScore := 0.0
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		share := (float64(mix(hash^v.lot)>>11) + 0.5) / (1 << 53)
		if score := -float64(v.size) / math.Log(share); best == nil || score > bestScore {
			best, bestScore = v, score
		}
	}
	return best
}
