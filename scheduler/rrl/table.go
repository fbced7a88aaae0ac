package rrl

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// How many lines the tables of the tiers have, of 32 octets each, in all 1.4 MiB. At a million queries a second from as many sources, 20,000 buckets of addresses
// are not full, and fewer of the wider networks, which gain sooner what an answer costs. Those tables stay in a processor's own cache.
const (
	lines0 = 1 << 15
	lines1 = 1 << 13
	lines2 = 1 << 12
	lines3 = 1 << 10
)

// line is the slots that a bucket can be in, which a processor fetches at once.
type line [4]atomic.Uint64

// table is the buckets of networks of one size, of IPv4 and IPv6.
type table struct {
	lines []line // their number is a power of two
	shift int    // takes a hash to the number of a line
}

func newTable(lines int) table {
	return table{lines: make([]line, lines), shift: 64 - bits.TrailingZeros(uint(lines))}
}

// A slot has the time at which its bucket will be full again, in nanoseconds modulo 2^44 (4.9 hours), and above that the owner's mark, which is not zero.
const (
	timeBits = 44
	timeMask = 1<<timeBits - 1
)

// place is where a bucket is, or can be.
type place struct {
	line  *line
	owner uint64 // the mark, above timeBits
	slot  int
	word  uint64 // what the slot had
	debt  int64  // what the bucket lacks, as the time in which it gains that, ns
}

// look finds the owner's slot, or the one whose bucket is the fullest.
func (p *place) look(t uint64, window int64) {
	if i, ok := p.line.slotOf(p.owner); ok {
		p.slot, p.word = i, p.line[i].Load()
		if (p.word^p.owner)>>timeBits == 0 {
			p.debt = debt(p.word, t, window)
			return
		}
	}
	p.slot, p.word = p.line.fullest(t, window)
	p.debt = 0
}

// slotOf does without branches on what is in the slots, which no processor could foresee.
func (l *line) slotOf(owner uint64) (slot int, ok bool) {
	var matches uint8
	for i := range l {
		var match uint8
		if (l[i].Load()^owner)>>timeBits == 0 {
			match = 1
		}
		matches |= match << i
	}
	return bits.TrailingZeros8(matches) & 3, matches != 0
}

// fullest returns the slot of the fullest bucket, and what is in it.
func (l *line) fullest(t uint64, window int64) (slot int, word uint64) {
	least := int64(math.MaxInt64)
	for i := range l {
		w := l[i].Load()
		d := debt(w, t, window)
		if d < least {
			slot, word, least = i, w, d
		}
		if d == 0 {
			break
		}
	}
	return slot, word
}

// debt is what a slot's bucket lacks. Clocks of processors may differ a little, so that it can be more than there is to lack. If it is much more, the clock has
// been set back, or the slot is of hours ago: nothing is known of such a bucket, and it counts as full.
func debt(word, t uint64, window int64) int64 {
	d := int64((word-t)<<(64-timeBits)) >> (64 - timeBits) //nolint:gosec // sign-extended
	if d < 0 || d > 2*window+int64(time.Second) {
		return 0
	}
	return d
}

// charge takes an answer from a bucket. If others are always faster, in the end it is given away.
func (p *place) charge(t uint64, cost, window int64) {
	const patience = 64
	for range patience {
		full := (t + uint64(p.debt) + uint64(cost)) & timeMask //nolint:gosec // not negative
		if p.line[p.slot&3].CompareAndSwap(p.word, p.owner|full) {
			return
		}
		p.look(t, window)
	}
}
