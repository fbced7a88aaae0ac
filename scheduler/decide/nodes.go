package decide

import (
	"math"
	"slices"

	"nearcast/cdn"
	"nearcast/scheduler/view"
)

// How a domain's requests are divided among the nodes of a POP.
const (
	leastOwners = 2    // of a domain: when one fails the other has its contents
	ownerShare  = 0.5  // of what a node can send, that one owner is to have of a domain
	bound       = 1.25 // times the mean utilisation of the nodes: who has more is passed over,
	boundFrom   = 0.2  // if it is more than this
	mostNodes   = 64   // that are put into order without allocating
)

// candidate is a node with its claim on a domain, lowest first.
type candidate struct {
	node  int
	claim float64
}

// rank appends the POP's nodes in the order in which the visitor should try them. The owners of the domain come first, by rendezvous on the domain alone, so
// that its contents meet in few caches; among them the one that the visitor's network claims. Owners that have more to do than bounded loads allow give
// way to the next (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2018). Of a domain with more owners than usual
// the network's first two are compared, and the one with less to do is first (Mitzenmacher, "The power of two choices", 2001).
func rank(v *view.View, pop int, a *asker, domain cdn.Domain, out []*cdn.Node) []*cdn.Node {
	p := &v.Usable[pop]
	n := len(p.Nodes)
	out = slices.Grow(out, n)
	if n == 1 {
		return append(out, p.Nodes[0])
	}
	var space [mostNodes]candidate
	list := space[:0]
	of := hashName(domain)
	for i := range p.Nodes {
		list = insert(list, candidate{i, claimOf(p, i, of)})
	}
	var loads []float64
	if v.NodeLoads != nil {
		loads = v.NodeLoads[pop]
	}
	passOver(list, loads)
	r := owners(v, pop, domain)
	own := list[:r]
	for i, c := range own { // again, by the network
		c.claim = claimOf(p, c.node, a.hash^of)
		own[i] = c
		for j := i; j > 0 && own[j].claim < own[j-1].claim; j-- {
			own[j], own[j-1] = own[j-1], own[j]
		}
	}
	if r > leastOwners && loads != nil && loads[own[1].node] < loads[own[0].node] { // false if one is not known
		own[0], own[1] = own[1], own[0]
	}
	for _, c := range list {
		out = append(out, p.Nodes[c.node])
	}
	return out
}

// claimOf is what a node of a POP claims a key with, lowest first.
func claimOf(p *view.POP, node int, key uint64) float64 {
	if p.Even {
		return evenClaim(key ^ p.Claims[node])
	}
	return claim(key^p.Claims[node], p.Capacities[node])
}

// insert puts a candidate into its place.
func insert(list []candidate, c candidate) []candidate {
	list = append(list, c)
	for j := len(list) - 1; j > 0 && list[j].claim < list[j-1].claim; j-- {
		list[j], list[j-1] = list[j-1], list[j]
	}
	return list
}

// passOver moves nodes that have too much to do behind the others, each kind in its order.
func passOver(list []candidate, loads []float64) {
	if loads == nil {
		return
	}
	sum, known := 0.0, 0
	for _, u := range loads {
		if u >= 0 {
			sum += u
			known++
		}
	}
	if known < 2 {
		return
	}
	most := max(bound*sum/float64(known), boundFrom)
	end := len(list)
	for i := 0; i < end; {
		if u := loads[list[i].node]; u > most { // false if it is not known
			c := list[i]
			copy(list[i:], list[i+1:])
			list[len(list)-1] = c
			end--
			continue
		}
		i++
	}
}

// owners is how many nodes of a POP own a domain: as many as can send what is asked of its site there, each with half of what it can; as long as
// nothing is known of it, all.
func owners(v *view.View, pop int, domain cdn.Domain) int {
	n := len(v.Usable[pop].Nodes)
	h := v.Health[pop]
	if len(v.Sites) == 0 || h == nil || !(h.Octets >= 0) {
		return n
	}
	name, _ := v.Site(domain)
	each := v.Usable[pop].Capacity / float64(n)
	r := math.Ceil(v.Sites[name] * h.Octets / (ownerShare * each))
	if !(r < float64(n)) {
		return n
	}
	return min(max(int(r), leastOwners), n)
}
