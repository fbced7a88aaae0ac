package paths

import (
	"math"
	"time"

	"nearcast/cdn"
	"nearcast/internal/locate"
)

// When a network is no longer part of its place.
const (
	partMS     = 10   // so much better another POP is for it than the one that is best for the place
	partDemand = 1e-4 // of the demand of all
	rejoin     = 24 * time.Hour
)

// part makes a network a group of its own, or a part of its place again.
func (b *Book) part(now time.Time, n *network) {
	if n.own == nil && (n.demand.Octets <= partDemand*b.total.Octets || len(n.ways) == 0) {
		return
	}
	differs := n.demand.Octets > partDemand*b.total.Octets && b.differs(now, n)
	switch {
	case differs:
		n.differ = now
		if n.own == nil {
			n.own = &group{name: locate.NetworkGroup(n.prefix), network: n, heard: now, dirty: true}
		}
	case n.own != nil && now.Sub(n.differ) >= rejoin:
		n.own, n.differ = nil, time.Time{}
	}
}

// differs reports whether the POP that is best for the place is more than so much slower for the network than its own best.
func (b *Book) differs(now time.Time, n *network) bool {
	probe := n.own
	if probe == nil {
		probe = &group{name: "", network: n}
	}
	best, bestMS, placeBest, placeMS := uint16(0), math.Inf(1), uint16(0), math.Inf(1)
	look := func(pop uint16) {
		if ms := b.believe(now, probe, pop).R50; ms < bestMS {
			best, bestMS = pop, ms
		}
		if ms := b.believe(now, n.place, pop).R50; ms < placeMS {
			placeBest, placeMS = pop, ms
		}
	}
	for _, pop := range n.place.list {
		look(pop)
	}
	for i := range n.ways {
		if pop := n.ways[i].pop; n.place.ways.find(pop) != nil && n.ways[i].path.Estimate(now).N > 0 {
			look(pop)
		}
	}
	if math.IsInf(bestMS, 1) || best == placeBest {
		return false
	}
	return b.believe(now, probe, placeBest).R50-bestMS > partMS
}

// prefixName names a network for [hash].
func (n *network) prefixName() cdn.GroupName {
	a := n.prefix.Addr().As16()
	return cdn.GroupName(a[:])
}

// forgetPlaces takes places out of the index's and the networks' memory.
func (b *Book) forgetPlaces(gone map[*group]bool) {
	if len(gone) == 0 {
		return
	}
	for i, g := range b.byNumber {
		if gone[g] {
			b.byNumber[i] = nil
		}
	}
	for n := b.networks.oldest(); n != nil; n = b.networks.newer(n) {
		if gone[n.place] {
			n.place, n.looked = nil, false
		}
	}
}
