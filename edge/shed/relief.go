package shed

import (
	"cmp"
	"net/netip"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/internal/ring"
)

// Busy is the utilisation from which on a node is not sent others' visitors.
const Busy = 0.85

// Relief says who helps a POP whose nodes are overloaded. It is immutable. A nil Relief helps nobody.
type Relief struct {
	// Groups are the POPs that the map would send the visitors of each group to if it could not send them here; empty: nowhere, for
	// operators do not allow it.
	Groups map[cdn.GroupName]cdn.POPName
	// Bound says that some of Groups may go nowhere. Then nobody does of whom it is not known whether they are in one.
	Bound bool
	// Default is that of all other visitors; empty: nobody helps them.
	Default cdn.POPName
	// Loads are the utilisations of nodes as far as they are known. Other nodes of the same POP help only if theirs is; nodes of other
	// POPs unless theirs is too high.
	Loads map[cdn.NodeName]float64
}

// POPFor returns the POP that helps a visitor, or "". place says where an address is; nil: that cannot be
// told yet.
func (r *Relief) POPFor(client netip.Addr, place func(netip.Addr) (*locate.Place, bool)) cdn.POPName {
	if r == nil {
		return ""
	}
	if len(r.Groups) == 0 {
		return r.Default
	}
	if network, ok := locate.Network(client); ok {
		if pop, ok := r.Groups[locate.NetworkGroup(network)]; ok {
			return pop
		}
	}
	if place == nil {
		if r.Bound {
			return ""
		}
		return r.Default
	}
	if p, ok := place(client); ok {
		if pop, ok := r.Groups[p.Group()]; ok {
			return pop
		}
	}
	return r.Default
}

// LeastLoaded returns the one of some nodes of the own POP that has most room, if one is known to have any.
func (r *Relief) LeastLoaded(nodes []cdn.NodeName, usable func(cdn.NodeName) bool) (best cdn.NodeName, ok bool) {
	if r == nil {
		return "", false
	}
	least := Busy
	for _, n := range nodes {
		load, known := r.Loads[n]
		if !known || !(load >= 0 && load < least) || usable != nil && !usable(n) {
			continue
		}
		best, least, ok = n, load, true
	}
	return best, ok
}

// Owner returns the node of another POP that a content is sent by: the first in the order of their claims on it, so that
// all who ask for it meet in the same cache, that is not known to be too busy.
func (r *Relief) Owner(key string, nodes []cdn.NodeName, usable func(cdn.NodeName) bool) (cdn.NodeName, bool) {
	if r == nil {
		return "", false
	}
	for _, n := range ring.Rank(key, nodes) {
		if load, known := r.Loads[n]; known && !(load < Busy) || usable != nil && !usable(n) {
			continue
		}
		return n, true
	}
	return "", false
}

// Neighbours are the cache nodes that visitors of an overloaded node can be sent to, from a fleet.
type Neighbours struct {
	// Own are the other nodes of the node's POP.
	Own []cdn.NodeName
	// POPs are the nodes of other POPs of the same tier.
	POPs map[cdn.POPName][]cdn.NodeName
}

// NeighboursOf returns those of a node. What operators are emptying is not among them.
func NeighboursOf(s *cdn.Snapshot, self *cdn.Node) Neighbours {
	n := Neighbours{POPs: make(map[cdn.POPName][]cdn.NodeName)}
	drained := make(map[cdn.Drain]bool, len(s.Drains))
	for _, d := range s.Drains {
		drained[cdn.Drain{POP: d.POP, Node: d.Node}] = true
	}
	fleet := &s.Fleet
	own := fleet.POP(self.POP)
	for i := range fleet.Nodes {
		other := &fleet.Nodes[i]
		pop := fleet.POP(other.POP)
		switch {
		case !other.Has(cdn.RoleEdge) || pop == nil || own == nil || other.Name == self.Name:
		case drained[cdn.Drain{Node: other.Name}] || drained[cdn.Drain{POP: other.POP}]:
		case other.POP == self.POP:
			n.Own = append(n.Own, other.Name)
		case cmp.Or(pop.Tier, cdn.TierEdge) == cmp.Or(own.Tier, cdn.TierEdge):
			n.POPs[other.POP] = append(n.POPs[other.POP], other.Name)
		}
	}
	return n
}
