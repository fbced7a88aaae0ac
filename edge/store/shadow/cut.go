package shadow

import (
	"math/bits"
	"slices"
	"time"

	"nearcast/edge/store"
)

// cuts are the sizes of bodies, in octets and ascending, of which one may be the largest that is kept in RAM if it is on disk as well. That none is cut
// is another choice. A sliced content comes in bodies of [store.SliceSize] at most.
func cuts(ram int64) []int64 {
	between := func(low, n, high int64) int64 { return 1 << (bits.Len64(uint64(min(max(n, low), high))) - 1) } // round ones
	return slices.Compact([]int64{
		between(4<<10, ram/800, 64<<10),
		between(16<<10, ram/200, 256<<10),
		between(64<<10, ram/50, store.SliceSize),
	})
}

// largestShare is the share of the RAM of the largest object that it takes at all.
const largestShare = 4

const (
	// patience is the least time between two changes of the cut.
	patience = time.Minute
	// fewRequests of the sample must have been seen since.
	fewRequests = 8192
	// gain is the least part of all requests that another cut must have more hits for.
	gain = 0.005
	// little is the part of the octets from RAM, under the cut that has most, that may be lost for more hits.
	little = 0.1
)

// Largest is how large a body that is on disk may be to be kept in RAM as well, in octets. Without a disk it does not say anything.
func (c *Caches) Largest() int64 {
	return min(c.largest.Load(), c.cfg.RAM/largestShare)
}

// choices are the models of all cuts, from the smallest to that of none.
func (c *Caches) choices() (all []*model) {
	for _, m := range c.models {
		if m.choice {
			all = append(all, m)
		}
	}
	return append(all, c.models[0])
}

// inUse is the model with the cut in use, at first that of the largest.
func (c *Caches) inUse() *model {
	choices, largest := c.choices(), c.largest.Load()
	if i := slices.IndexFunc(choices, func(m *model) bool { return m.maxBody == largest }); i >= 0 {
		return choices[i]
	}
	return choices[max(len(choices)-2, 0)]
}

// tune goes over to the cut with the most hits in RAM among those that leave nearly as many octets there as any: what the disk has to send is
// then in few large pieces, as it can do well. The models have seen the same sample, and are compared as they are.
func (c *Caches) tune(now time.Time) {
	if !c.cfg.Disk || now.Sub(c.tuned) < patience || c.taken-c.since < fewRequests {
		return
	}
	choices := c.choices()
	octets := 0.0
	for _, m := range choices {
		octets = max(octets, m.hits.octets)
	}
	allowed := func(m *model) bool { return m.hits.octets >= octets*(1-little) }
	before := c.inUse()
	best, least := before, before.hits.requests+gain*before.asked.requests
	if !allowed(before) {
		least = -1
	}
	for _, m := range choices {
		if allowed(m) && m.hits.requests > least {
			best, least = m, m.hits.requests
		}
	}
	if best != before {
		c.largest.Store(best.maxBody)
		c.tuned, c.since = now, c.taken
	}
}
