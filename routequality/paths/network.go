package paths

import (
	"net/netip"
	"time"

	"nearcast/internal/locate"
)

// network is the visitors of an IPv4 /24 or IPv6 /48.
type network struct {
	prefix netip.Prefix
	place  *group // nil: not known
	looked bool   // place was looked up
	own    *group // its own group; nil if it is part of the place's
	differ time.Time
	ways   ways
	demand Demand

	older, younger *network
}

// networks are in the order in which they were heard of last. Everything else about them is found by walking along that order, so that
// equal reports give equal groups.
type networks struct {
	byPrefix map[netip.Prefix]*network
	ends     network // its younger is the oldest, its older the youngest
	paths    int
}

func (n *networks) init() {
	n.byPrefix = make(map[netip.Prefix]*network)
	n.ends.older, n.ends.younger = &n.ends, &n.ends
}

func (n *networks) oldest() *network { return n.newer(&n.ends) }

// newer returns the one that was heard of next after x, or nil.
func (n *networks) newer(x *network) *network {
	if x.younger == &n.ends {
		return nil
	}
	return x.younger
}

func (n *networks) unlink(x *network) { x.older.younger, x.younger.older = x.younger, x.older }

func (n *networks) link(x *network) {
	x.older, x.younger = n.ends.older, &n.ends
	x.older.younger, x.younger.older = x, x
}

// remove forgets a network.
func (n *networks) remove(x *network) {
	n.unlink(x)
	delete(n.byPrefix, x.prefix)
	n.paths -= len(x.ways)
}

// network returns the one of a prefix, made if it is new, as the one that was heard of last.
func (b *Book) network(now time.Time, prefix netip.Prefix) *network {
	n := b.networks.byPrefix[prefix]
	if n == nil {
		n = &network{prefix: prefix}
		b.networks.byPrefix[prefix] = n
	} else {
		b.networks.unlink(n)
	}
	b.networks.link(n)
	if !n.looked {
		b.settle(now, n)
	}
	return n
}

// settle finds the place of a network; without one it is a group of its own.
func (b *Book) settle(now time.Time, n *network) {
	n.place, n.looked = b.lookup(now, n.prefix), true
	switch {
	case n.place == nil && n.own == nil:
		n.own = &group{name: locate.NetworkGroup(n.prefix), network: n, heard: now}
	case n.place != nil && n.own != nil && n.differ.IsZero():
		b.forgetPlaced(n.own)
		n.own = nil // [Book.Slot] sees that the group is gone
	}
}

// trim forgets the networks that were silent longest while there are too many paths.
func (b *Book) trim() {
	for b.networks.paths > b.cfg.MaxPaths {
		n := b.networks.oldest()
		b.networks.remove(n)
		if n.own != nil {
			b.forgetPlaced(n.own)
		}
		b.stats.Evicted++
	}
}
