package disk

import (
	"math"

	"nearcast/edge/store/disk/index"
)

// keyedHash is the hash of keys: nobody who does not know the seed of the disks can choose keys that meet.
func keyedHash(key string, seed [16]byte) uint64 { return index.Hash(seed, key, "") }

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
