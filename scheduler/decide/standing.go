package decide

import (
	"nearcast/cdn"
	"nearcast/scheduler/view"
)

// standingPOPs is how many POPs stand for a domain: browsers try the second by themselves when the first has died.
const standingPOPs = 2

// Standing returns the nodes that a domain has by configuration alone, whoever asks and whatever is measured, so that all schedulers of a generation say
// the same: the first owner in each of the two POPs that claim the domain, by their capacities. What is drained is left out, if there is anything else.
// Policies do not count, since most are of visitors. There are none if the plan has no POP.
func Standing(p *view.Plan, domain cdn.Domain) []*cdn.Node {
	of := hashName(domain)
	pops := undrained(len(p.POPs), func(i int) bool { return p.POPs[i].Draining }, func(i int) float64 {
		return claim(of^p.POPs[i].Hash, p.POPs[i].Capacity)
	})
	nodes := make([]*cdn.Node, 0, standingPOPs)
	for _, c := range pops[:min(len(pops), standingPOPs)] {
		pop := &p.POPs[c.index]
		own := undrained(len(pop.Nodes), func(i int) bool { return p.Drained(pop.Names[i]) }, func(i int) float64 {
			return claim(of^pop.Claims[i], pop.Capacities[i])
		})
		nodes = append(nodes, pop.Nodes[own[0].index])
	}
	return nodes
}

// undrained are candidates in the order of their claims: those that are not drained, or all if there are no others.
func undrained(n int, drained func(int) bool, claim func(int) float64) (list []candidate) {
	for _, drain := range [...]bool{false, true} {
		for i := range n {
			if drained(i) == drain {
				list = insert(list, candidate{i, claim(i)})
			}
		}
		if len(list) > 0 {
			break
		}
	}
	return list
}
