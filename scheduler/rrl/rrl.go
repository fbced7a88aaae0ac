package rrl

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"nearcast/cdn"
)

// Verdict says what to do with a query.
type Verdict uint8

// The verdicts.
const (
	Answer Verdict = iota // answer it
	Slip                  // answer with nothing but TC, so that who does ask can come over TCP
	Drop                  // say nothing
)

// Default is the limit where none is configured: 50 answers a second, 125 at once; beyond that everybody is asked to come over TCP.
func Default() cdn.RateLimit { return cdn.RateLimit{PerSecond: 50} }

// Limiter limits. Its methods may be called by many at once.
type Limiter struct {
	off    bool // there is no limit
	tables [tiers]table
	k0, k1 uint64
	v4, v6 [tiers]tier
	exempt []netip.Prefix
	slip   uint64
	beyond atomic.Uint64 // queries beyond the limit, counted if some are not answered
}

// tiers is how many networks an address is in.
const tiers = 4

// tier is the buckets of the networks of one size.
type tier struct {
	mask   uint64 // the first bits of an address, of which there are 64
	cost   int64  // of an answer: the time in which a bucket gains one, ns
	window int64  // the time in which an empty bucket becomes full, ns
}

// New returns a limiter. Fields of cfg that are zero mean what [cdn.RateLimit] says, and a rate of zero or less is no limit. The seed makes it unknowable which
// networks share a place in the tables; it should be random.
func New(cfg cdn.RateLimit, seed [16]byte) *Limiter {
	l := &Limiter{
		k0: binary.LittleEndian.Uint64(seed[:]), k1: binary.LittleEndian.Uint64(seed[8:]),
		slip:   uint64(max(cfg.Slip, 1)), //nolint:gosec // positive
		exempt: cfg.Exempt,
	}
	if cfg.PerSecond <= 0 {
		l.off = true
		return l
	}
	if cfg.Exempt == nil {
		l.exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}
	}
	burst := cfg.Burst
	if burst <= 0 {
		burst = max(cfg.PerSecond*5/2, 1)
	}
	for i, t := range [tiers]struct{ v4, times4, v6, times6 int }{{32, 1, 64, 1}, {24, 32, 56, 2}, {20, 256, 48, 4}, {18, 768, 32, 64}} {
		l.v4[i] = newTier(t.v4, cfg.PerSecond, burst, t.times4)
		l.v6[i] = newTier(t.v6, cfg.PerSecond, burst, t.times6)
	}
	for i, n := range [tiers]int{lines0, lines1, lines2, lines3} {
		l.tables[i] = newTable(n)
	}
	return l
}

// maxWindow is the longest time to fill a bucket; burst is cut down to it. Times in slots wrap around after eight times that.
const maxWindow = 1 << 41

func newTier(length, perSecond, burst, times int) tier {
	cost := max(int64(time.Second)/(int64(perSecond)*int64(times)), 1)
	window := int64(maxWindow)
	if int64(burst) < maxWindow/cost/int64(times) {
		window = int64(burst) * int64(times) * cost
	}
	return tier{mask: ^uint64(0) << (64 - length), cost: cost, window: window}
}

// Admit says what to do with a query from an address, which need not be true, at a time in nanoseconds since any point. Times may come out of order.
func (l *Limiter) Admit(addr netip.Addr, now int64) Verdict {
	if l.off || l.isExempt(addr) {
		return Answer
	}
	var head uint64
	networks, family := &l.v6, uint64(0)
	if addr.Is4() || addr.Is4In6() {
		a := addr.As4()
		networks, family, head = &l.v4, tiers, uint64(binary.BigEndian.Uint32(a[:]))<<32
	} else {
		a := addr.As16()
		head = binary.BigEndian.Uint64(a[:])
	}
	t := uint64(now) & timeMask //nolint:gosec // times wrap around
	var found [tiers]place
	for i := range networks { // all before the first is looked at, so that memory is waited for once
		h := mix(head&networks[i].mask^l.k0, l.k1+family+uint64(i))
		found[i].line, found[i].owner = &l.tables[i].lines[h>>l.tables[i].shift], h<<timeBits|1<<timeBits
		found[i].word = found[i].line[0].Load()
	}
	for i := range networks {
		n := &networks[i]
		found[i].look(t, n.window)
		if found[i].debt+n.cost > n.window {
			return l.refuse()
		}
	}
	for i := range networks {
		found[i].charge(t, networks[i].cost, networks[i].window)
	}
	return Answer
}

func (l *Limiter) isExempt(addr netip.Addr) bool {
	for _, p := range l.exempt {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// refuse is the verdict on a query beyond the limit.
func (l *Limiter) refuse() Verdict {
	if l.slip > 1 && l.beyond.Add(1)%l.slip != 0 {
		return Drop
	}
	return Slip
}

// mix is a keyed hash. Nobody sees what it returns, so that it need not stand up to who would learn the key from that.
func mix(a, key uint64) uint64 {
	hi, lo := bits.Mul64(a, key|1)
	hi, lo = bits.Mul64(hi^lo^0x94d049bb133111eb, 0xbf58476d1ce4e5b9)
	return hi ^ lo
}
