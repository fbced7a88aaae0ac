package prefixtable

import (
	"math/bits"
	"net/netip"
)

// None is the number of an address that no prefix has.
const None = -1

// Table finds numbers by address. It is immutable and safe for concurrent use; the zero value has no prefixes.
type Table struct {
	v4 family4
	v6 family6
}

// family4 has the ranges of IPv4, from the lowest address up. The first begins at 0.0.0.0, each ends where the next begins,
// and the last with the family. Without any prefix there are no ranges.
type family4 struct {
	first  []uint32
	number []int32
	starts []int32 // by the address's upper 16 bits: a range that begins no later than all of them; nil for few ranges
}

// family6 is the same for IPv6. The halves of addresses are apart, so that a search mostly touches only one of them.
type family6 struct {
	hi, lo []uint64
	number []int32
}

// Len returns the number of ranges.
func (t *Table) Len() int { return len(t.v4.first) + len(t.v6.hi) }

// Lookup returns the number of an address, or [None], and the length of the shortest prefix around it in which every address
// has that same number. These prefixes are equal or disjoint. An IPv4 address may be mapped into IPv6, and a zone does not
// matter. If the address is none, or its family has no prefixes at all, the length is zero.
func (t *Table) Lookup(addr netip.Addr) (number, length int) {
	switch {
	case addr.Is4() || addr.Is4In6():
		b := addr.As4()
		return t.v4.lookup(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	case addr.IsValid():
		return t.v6.lookup(wide(addr))
	}
	return None, 0
}

func (f *family4) lookup(a uint32) (number, length int) {
	if len(f.first) == 0 {
		return None, 0
	}
	low, high := 0, len(f.first)
	if f.starts != nil {
		low, high = int(f.starts[a>>16]), int(f.starts[a>>16+1])+1
	}
	for high-low > 1 { // first[low] <= a, and high is beyond or a < first[high]
		if middle := int(uint(low+high) >> 1); f.first[middle] <= a {
			low = middle
		} else {
			high = middle
		}
	}
	if low > 0 {
		length = bits.LeadingZeros32(a^(f.first[low]-1)) + 1
	}
	if low+1 < len(f.first) {
		length = max(length, bits.LeadingZeros32(a^f.first[low+1])+1)
	}
	return int(f.number[low]), length
}

// fewRanges4 is how many ranges are searched without an index before.
const fewRanges4 = 1 << 12

// index makes starts. It has one entry more than there are values of 16 bits: it is the last range.
func (f *family4) index() {
	if len(f.first) < fewRanges4 {
		return
	}
	f.starts = make([]int32, 1<<16+1)
	at := 0
	for top := range uint32(1 << 16) {
		for at+1 < len(f.first) && f.first[at+1] <= top<<16 {
			at++
		}
		f.starts[top] = int32(at) //nolint:gosec // fewer ranges than addresses fit into memory
	}
	f.starts[1<<16] = int32(len(f.first) - 1) //nolint:gosec // likewise
}

func (f *family6) lookup(a address) (number, length int) {
	if len(f.hi) == 0 {
		return None, 0
	}
	low, high := 0, len(f.hi)
	for high-low > 1 {
		middle := int(uint(low+high) >> 1)
		if h := f.hi[middle]; h < a.hi || h == a.hi && f.lo[middle] <= a.lo {
			low = middle
		} else {
			high = middle
		}
	}
	if low > 0 {
		length = a.common(address{f.hi[low], f.lo[low]}.before()) + 1
	}
	if low+1 < len(f.hi) {
		length = max(length, a.common(address{f.hi[low+1], f.lo[low+1]})+1)
	}
	return int(f.number[low]), length
}

// address is one of IPv6, or of IPv4 in the lowest 32 bits.
type address struct{ hi, lo uint64 }

// wide returns an address as a number.
func wide(a netip.Addr) address {
	if a.Is4() {
		b := a.As4()
		return address{0, uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])}
	}
	b := a.As16()
	var w address
	for i := range 8 {
		w.hi, w.lo = w.hi<<8|uint64(b[i]), w.lo<<8|uint64(b[8+i])
	}
	return w
}

func (a address) less(b address) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// before and after return the neighbours; they wrap around.
func (a address) before() address {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return address{a.hi - borrow, lo}
}

func (a address) after() address {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return address{a.hi + carry, lo}
}

// common returns how many leading bits two addresses of IPv6 have in common.
func (a address) common(b address) int {
	if a.hi != b.hi {
		return bits.LeadingZeros64(a.hi ^ b.hi)
	}
	return 64 + bits.LeadingZeros64(a.lo^b.lo)
}

// last returns the highest address of a prefix that begins at a and leaves n bits open.
func (a address) last(n int) address {
	if n >= 64 {
		return address{a.hi | ^uint64(0)>>(128-n), ^uint64(0)} // shifted by 64 it is zero
	}
	return address{a.hi, a.lo | (uint64(1)<<n - 1)}
}
