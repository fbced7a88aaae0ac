package decide

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// hashNetwork is the hash of a network; of none it is that of whoever is unknown.
func hashNetwork(p netip.Prefix) uint64 {
	var b [17]byte
	a := p.Addr().As16()
	copy(b[:], a[:])
	b[16] = byte(p.Bits()) //nolint:gosec // at most 128, or -1
	return mix(binary.LittleEndian.Uint64(b[:]) ^ mix(binary.LittleEndian.Uint64(b[8:])^uint64(b[16])))
}

func hashName(name cdn.Domain) uint64 { return xxhash.Sum64String(string(name)) }

// key is what shares are picked by.
func key(network netip.Prefix, name cdn.Domain) uint64 {
	if !network.IsValid() {
		return mix(hashName(name))
	}
	return assign.Key(network, name)
}

// claim is what a member with a weight claims a key with, lowest first (weighted rendezvous): each gets as many keys as its weight says, and
// if weights change no more keys move than must.
func claim(h uint64, weight float64) float64 {
	u := (float64(mix(h)>>11) + 0.5) / (1 << 53)
	return -math.Log(u) / weight
}

// evenClaim orders as claim does if all weights are equal, and needs no logarithm.
func evenClaim(h uint64) float64 { return -float64(mix(h) >> 11) }

// below is the claim, and whether it is below the lowest so far; if it is not it may be the highest there is. As -log(u) is at least 1-u most need no logarithm.
func below(lowest float64, h uint64, weight float64) (float64, bool) {
	u := (float64(mix(h)>>11) + 0.5) / (1 << 53)
	if lowest > 0 && (1-u)/weight > lowest {
		return math.Inf(1), false
	}
	s := -math.Log(u) / weight
	return s, s < lowest
}

// mix is the finaliser of splitmix64.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}
