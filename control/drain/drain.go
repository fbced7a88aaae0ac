package drain

import (
	"cmp"
	"slices"

	"nearcast/cdn"
)

// Find returns the drain of what the kind, "pop" or "node", and the name say, without Since and By. It refuses what no visitor is sent to,
// of which there is nothing to drain.
func Find(f *cdn.Fleet, kind, name string) (cdn.Drain, error) {
	d, err := Parse(kind, name)
	if err != nil {
		return d, err
	}
	node, pop := f.Node(d.Node), f.POP(d.POP)
	switch {
	case d.Node != "" && node == nil:
		return d, cdn.Errorf(cdn.NotFound, "", "there is no node %s; nearcast nodes lists them", name)
	case d.Node != "" && !node.Has(cdn.RoleEdge):
		return d, cdn.Errorf(cdn.Invalid, "", "node %s has no cache: no visitors are sent there, so there is nothing to drain", name)
	case d.Node != "":
		pop = f.POP(node.POP)
	}
	switch {
	case pop == nil:
		return d, cdn.Errorf(cdn.NotFound, "", "there is no POP %s; nearcast nodes lists them", name)
	case pop.Tier != cdn.TierEdge:
		return d, cdn.Errorf(cdn.Invalid, "", "POP %s is of tier regional: no visitors are sent there, so there is nothing to drain", pop.Name)
	}
	return d, nil
}

// Parse returns the drain of what the kind, "pop" or "node", and the name say, whether the fleet has it or not.
func Parse(kind, name string) (d cdn.Drain, err error) {
	switch kind {
	case "pop":
		d.POP, err = cdn.ParsePOPName(name)
	case "node":
		d.Node, err = cdn.ParseNodeName(name)
	default:
		err = cdn.Errorf(cdn.Invalid, "", "%q cannot be drained: want pop or node", kind)
	}
	return d, err
}

// Index returns the place of a drain of the same POP or node, or -1.
func Index(drains []cdn.Drain, d cdn.Drain) int {
	return slices.IndexFunc(drains, func(e cdn.Drain) bool { return e.POP == d.POP && e.Node == d.Node })
}

// With returns the drains with one more, in the order of a configuration. What was given stays as it is.
func With(drains []cdn.Drain, d cdn.Drain) []cdn.Drain {
	all := append(slices.Clone(drains), d)
	slices.SortFunc(all, func(a, b cdn.Drain) int { return cmp.Compare(a.Name(), b.Name()) })
	return all
}

// Without returns the drains without the one at the index; nil if none is left.
func Without(drains []cdn.Drain, index int) []cdn.Drain {
	if len(drains) == 1 {
		return nil
	}
	return slices.Delete(slices.Clone(drains), index, index+1)
}

// Keep divides drains into those of what a fleet still has and sends visitors to, and the others.
func Keep(f *cdn.Fleet, drains []cdn.Drain) (kept, gone []cdn.Drain) {
	for _, d := range drains {
		kind, name := "pop", string(d.POP)
		if d.Node != "" {
			kind, name = "node", string(d.Node)
		}
		if _, err := Find(f, kind, name); err == nil {
			kept = append(kept, d)
		} else {
			gone = append(gone, d)
		}
	}
	return kept, gone
}

// Check refuses, with an error of kind Conflict, to drain d beside what is drained already, if too little would be left: no edge POP that
// works, more than half of what the edge POPs can send taken away, or more than half of the nodes of d's POP. health may be nil, and what it does not know works.
func Check(f *cdn.Fleet, drains []cdn.Drain, d cdn.Drain, health *cdn.RouteTable) error {
	l := left{f, With(drains, d), health}
	if l.working() == 0 {
		return cdn.Errorf(cdn.Conflict, "", "%s is the last of the edge POPs that works and is not drained: visitors would have nowhere to go; undo another drain first, or force it", d.Name())
	}
	if drained, all, what := l.capacity(); 2*drained > all {
		return cdn.Errorf(cdn.Conflict, "", "with %s, %d of %d %s of all edge POPs would be drained, more than half; undo another drain first, or force it", d.Name(), drained, all, what)
	}
	if d.Node == "" {
		return nil
	}
	pop := f.Node(d.Node).POP
	drained, all := l.nodes(pop)
	if all > 1 && 2*drained > all {
		return cdn.Errorf(cdn.Conflict, "", "with %s, %d of the %d nodes of POP %s would be drained, more than half; drain the POP, so that visitors go to others, or force it", d.Name(), drained, all, pop)
	}
	return nil
}

// Working returns how many edge POPs work and are not drained. health may be nil, and what it does not know works.
func Working(f *cdn.Fleet, drains []cdn.Drain, health *cdn.RouteTable) int {
	l := left{f, drains, health}
	return l.working()
}

// left counts what drains leave.
type left struct {
	fleet  *cdn.Fleet
	drains []cdn.Drain
	health *cdn.RouteTable
}

// drained reports whether a node gets no new visitors.
func (l *left) drained(n *cdn.Node) bool {
	return Index(l.drains, cdn.Drain{POP: n.POP}) >= 0 || Index(l.drains, cdn.Drain{Node: n.Name}) >= 0
}

// working is how many edge POPs have a node that works and is not drained.
func (l *left) working() (pops int) {
	for i := range l.fleet.POPs {
		p := &l.fleet.POPs[i]
		if p.Tier != cdn.TierEdge || !l.up(p.Name) {
			continue
		}
		if slices.ContainsFunc(l.fleet.CacheNodes(p.Name), func(n *cdn.Node) bool { return !l.drained(n) && l.health.State(n.Name).Usable() }) {
			pops++
		}
	}
	return pops
}

func (l *left) up(pop cdn.POPName) bool {
	if l.health == nil {
		return true
	}
	i := slices.IndexFunc(l.health.POPs, func(p cdn.POPHealth) bool { return p.POP == pop })
	return i < 0 || l.health.POPs[i].State.Usable()
}

// capacity is how much of what the nodes of the edge POPs can send is drained; where the capacity of one is not known, how many of them.
func (l *left) capacity() (drained, all int, what string) {
	var nodes []*cdn.Node
	for i := range l.fleet.POPs {
		if l.fleet.POPs[i].Tier == cdn.TierEdge {
			nodes = append(nodes, l.fleet.CacheNodes(l.fleet.POPs[i].Name)...)
		}
	}
	what = "Mbit/s"
	if slices.ContainsFunc(nodes, func(n *cdn.Node) bool { return n.Capacity.EgressMbps == 0 }) {
		what = "nodes"
	}
	for _, n := range nodes {
		weight := n.Capacity.EgressMbps
		if what == "nodes" {
			weight = 1
		}
		all += weight
		if l.drained(n) {
			drained += weight
		}
	}
	return drained, all, what
}

// nodes is how many of a POP's nodes are drained by themselves.
func (l *left) nodes(pop cdn.POPName) (drained, all int) {
	for _, n := range l.fleet.CacheNodes(pop) {
		all++
		if Index(l.drains, cdn.Drain{Node: n.Name}) >= 0 {
			drained++
		}
	}
	return drained, all
}
