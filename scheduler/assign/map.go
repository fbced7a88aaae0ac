package assign

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"math/bits"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
)

// Map says where each group goes. It is immutable and for concurrent use.
type Map struct {
	names *names
	rows  []shareRow

	once   sync.Once
	digest Digest
}

// names are what a map speaks of. Maps of the same table share them.
type names struct {
	pops   []cdn.POPName // sorted
	groups []string      // sorted

	once   sync.Once
	digest Digest
	hashes []uint64 // of POPs
}

// Digest is the SHA-256 of a map in its canonical form: equal for maps that say the same, and only for them.
type Digest [sha256.Size]byte

// POPs are the names that shares refer to, sorted. They must not be changed.
func (m *Map) POPs() []cdn.POPName { return m.names.pops }

// Len is the number of groups.
func (m *Map) Len() int { return len(m.rows) }

// ID is a group's.
func (m *Map) ID(group int) string { return m.names.groups[group] }

// SameNames reports whether two maps are known to have the same groups and POPs, with the same numbers. It is quick, and may not know.
func (m *Map) SameNames(o *Map) bool { return m.names == o.names }

// Find returns the number of a group.
func (m *Map) Find(id string) (group int, ok bool) {
	return sort.Find(len(m.names.groups), func(i int) int { return strings.Compare(id, m.names.groups[i]) })
}

// Shares are a group's, the largest first, at most MaxShares. Their weights sum up to Whole. The last may be a stand-by, of weight 0: the group's
// next choice, of those that are not full if there is one. None means that there is no POP that the group may go to and that is up. They must not be changed.
func (m *Map) Shares(group int) []Share { return m.rows[group].slice() }

// All yields every group with its shares, by ID.
func (m *Map) All() iter.Seq2[string, []Share] {
	return func(yield func(string, []Share) bool) {
		for g := range m.rows {
			if !yield(m.names.groups[g], m.rows[g].slice()) {
				return
			}
		}
	}
}

// Digest returns the map's digest.
func (m *Map) Digest() Digest {
	m.once.Do(func() {
		h := sha256.New()
		of := m.names.sum()
		h.Write(of[:])
		buf := make([]byte, 0, 1<<15)
		for g := range m.rows {
			buf = m.rows[g].append(buf)
			if len(buf) > 1<<15-32 || g == len(m.rows)-1 {
				h.Write(buf)
				buf = buf[:0]
			}
		}
		h.Sum(m.digest[:0])
	})
	return m.digest
}

// append adds the canonical form of a row: how many, and each share's POP and weight.
func (r *shareRow) append(b []byte) []byte {
	b = append(b, r.n)
	for _, s := range r.slice() {
		b = binary.LittleEndian.AppendUint16(b, s.POP)
		b = binary.LittleEndian.AppendUint16(b, s.Weight)
	}
	return b
}

// prepare computes what is needed of the names once.
func (n *names) prepare() {
	n.once.Do(func() {
		h := sha256.New()
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(n.pops)))
		for _, p := range n.pops {
			b = append(append(b, byte(len(p))), p...)
			n.hashes = append(n.hashes, xxhash.Sum64String(string(p)))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(n.groups)))
		for _, id := range n.groups {
			if b = append(append(b, byte(len(id))), id...); len(b) > 1<<15 {
				h.Write(b)
				b = b[:0]
			}
		}
		h.Write(b)
		h.Sum(n.digest[:0])
	})
}

func (n *names) sum() Digest {
	n.prepare()
	return n.digest
}

// same reports whether two are of the same names.
func (n *names) same(o *names) bool {
	return n == o || slices.Equal(n.pops, o.pops) && slices.Equal(n.groups, o.groups)
}

// Key is the key for [Map.Pick] of a client's subnet (or its resolver's) that asks for a name. It should be as coarse as the scope of the answer.
func Key(client netip.Prefix, name cdn.Domain) uint64 {
	b := make([]byte, 0, 64)
	b = append(b, client.Addr().AsSlice()...)
	b = append(b, byte(client.Bits()))
	return xxhash.Sum64(b) ^ bits.RotateLeft64(xxhash.Sum64String(string(name)), 32)
}

// Pick chooses the POP of a key among the shares of its group, by weighted rendezvous (Wang and Ravishankar, "Hash-based virtual hierarchies for scalable location
// service in mobile ad-hoc networks", 2009): each gets as many keys as its weight says, and if weights change no more keys move than must. It reports
// false if the group has no POP. It does not allocate.
func (m *Map) Pick(group int, key uint64) (pop int, ok bool) {
	r := &m.rows[group]
	if r.n == 0 {
		return 0, false
	}
	if r.shares[0].Weight == Whole {
		return int(r.shares[0].POP), true
	}
	m.names.prepare()
	best, bestCost := r.shares[0], uint64(0)
	for i, s := range r.slice() {
		if s.Weight == 0 {
			break
		}
		cost := minusLog2(mix(key ^ m.names.hashes[s.POP]))
		if i == 0 || cost*uint64(best.Weight) < bestCost*uint64(s.Weight) {
			best, bestCost = s, cost
		}
	}
	return int(best.POP), true
}

// minusLog2 is -log2(h/2^64), in units of 2^-24, by squaring: whole numbers are the same on every processor.
func minusLog2(h uint64) uint64 {
	h |= 1
	zeros := bits.LeadingZeros64(h)
	x := h << zeros >> 32 // 1 to 2, in units of 2^-31
	log := uint64(63-zeros) << 24
	for bit := uint64(1) << 23; bit > 0; bit >>= 1 {
		x = x * x >> 31
		if x >= 1<<32 {
			x >>= 1
			log += bit
		}
	}
	return 64<<24 - log
}

// mix is the finaliser of splitmix64.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}
