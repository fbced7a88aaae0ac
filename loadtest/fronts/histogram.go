package main

import (
	"math/bits"
	"time"
)

// histogram counts durations to within 1.6 %, up to an hour. Its zero value is empty.
type histogram struct {
	counts  [64 * fine]uint64
	total   uint64
	longest time.Duration
}

const (
	fineBits = 6
	fine     = 1 << fineBits
)

// bucket of n nanoseconds: below fine one each, then fine/2 for each power of two and its first half, which is never used.
func bucket(n uint64) int {
	shift := max(bits.Len64(n)-fineBits, 0)
	return shift*fine + int(n>>shift) //nolint:gosec // below fine
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++ //nolint:gosec // not negative
	h.total++
	h.longest = max(h.longest, d)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.longest = max(h.longest, o.longest)
}

// quantile is the duration that a share of all are not above.
func (h *histogram) quantile(share float64) time.Duration {
	left := uint64(share * float64(h.total))
	for i, n := range h.counts {
		if n > left {
			return min(time.Duration(uint64(i%fine+1)<<(i/fine)-1), h.longest) //nolint:gosec // the end of the bucket, at most an hour or so
		}
		left -= n
	}
	return h.longest
}

func (h *histogram) max() time.Duration { return h.longest }
