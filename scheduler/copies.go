package scheduler

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/transfer"
	"nearcast/scheduler/view"
	"nearcast/scheduler/zone"
)

// copies is what secondaries get of a plan: the zones as they look to nobody in particular. It is made of the configuration alone, so that its serial, the
// configuration's number, says what is in it: a POP that is down is in it. Names that are steered have nodes of two POPs, and browsers try the second.
type copies struct {
	plan     *view.Plan
	settings respond.Settings
}

// Zones implements [transfer.Source].
func (c copies) Zones() (all []transfer.Zone) {
	for _, z := range c.plan.Zones.Zones() {
		all = append(all, transfer.Zone{Name: z.Name, SOA: z.SOA, Secondaries: z.Secondaries})
	}
	return all
}

// Records implements [transfer.Source].
func (c copies) Records(of *transfer.Zone) iter.Seq2[[]byte, rr.Set] {
	return func(yield func([]byte, rr.Set) bool) {
		i := slices.IndexFunc(c.plan.Zones.Zones(), func(z *zone.Zone) bool { return string(z.Name) == string(of.Name) })
		if i < 0 {
			return
		}
		glue := make(map[string]bool)
		c.plan.Zones.All(c.plan.Zones.Zones()[i], func(owner []byte, m *zone.Match) bool { return c.name(owner, m, glue, yield) })
	}
}

// name yields what is at a name, and reports whether more is wanted. Of glue it remembers what was yielded.
func (c copies) name(owner []byte, m *zone.Match, glue map[string]bool, yield func([]byte, rr.Set) bool) bool {
	sets := m.Sets
	switch {
	case m.Cut != nil:
		return c.cut(m, glue, yield)
	case m.Node != nil:
		sets = append(slices.Clone(sets), addresses([]*cdn.Node{m.Node}, serverTTL)...)
	case m.Domain != "":
		sets = append(slices.Clone(sets), addresses(c.nodes(m.Domain), c.settings.Steered)...)
	}
	for _, set := range sets {
		if set.Type != rr.TypeSOA && len(set.Data) > 0 && !yield(owner, set) {
			return false
		}
	}
	return true
}

// cut yields a delegation. Addresses of a server that several are delegated to are yielded once, and those of one that is not below a delegation with its name.
func (c copies) cut(at *zone.Match, glue map[string]bool, yield func([]byte, rr.Set) bool) bool {
	cut := at.Cut
	if !yield(cut.Owner, cut.NS) || cut.DS != nil && !yield(cut.Owner, *cut.DS) {
		return false
	}
	var m zone.Match
	for _, g := range cut.Glue {
		if c.plan.Zones.Find(g.Owner, &m); m.Zone == at.Zone && m.Cut == nil || glue[string(g.Owner)] {
			continue
		}
		glue[string(g.Owner)] = true
		for _, set := range g.Sets {
			if !yield(g.Owner, set) {
				return false
			}
		}
	}
	return true
}

// serverTTL is of the addresses of name servers, in seconds.
const serverTTL = 3600

// nodes are those that a domain has in a copy: of the two POPs that claim it by rendezvous, the first that claims it there. POPs that are drained are left out if
// there are others.
func (c copies) nodes(domain cdn.Domain) (nodes []*cdn.Node) {
	of := xxhash.Sum64String(string(domain))
	claim := func(hash uint64) uint64 { return (of ^ hash) * 0x9e3779b97f4a7c15 >> 1 }
	pops := make([]*view.POP, 0, len(c.plan.POPs))
	for _, draining := range [...]bool{false, true} {
		for i := range c.plan.POPs {
			if c.plan.POPs[i].Draining == draining {
				pops = append(pops, &c.plan.POPs[i])
			}
		}
		if len(pops) > 0 {
			break
		}
	}
	slices.SortFunc(pops, func(a, b *view.POP) int {
		return cmp.Or(cmp.Compare(claim(a.Hash), claim(b.Hash)), strings.Compare(string(a.Name), string(b.Name)))
	})
	for _, pop := range pops[:min(2, len(pops))] {
		best := 0
		for i := range pop.Nodes {
			if claim(pop.Claims[i]) < claim(pop.Claims[best]) {
				best = i
			}
		}
		nodes = append(nodes, pop.Nodes[best])
	}
	return nodes
}

// addresses are the sets of the first addresses of each family that nodes have.
func addresses(nodes []*cdn.Node, ttl uint32) (sets []rr.Set) {
	for _, family := range [...]struct {
		typ uint16
		is  func(netip.Addr) bool
	}{{rr.TypeA, netip.Addr.Is4}, {rr.TypeAAAA, netip.Addr.Is6}} {
		set := rr.Set{Type: family.typ, TTL: ttl}
		for _, n := range nodes {
			if i := slices.IndexFunc(n.Addresses, func(a netip.Addr) bool { return family.is(a.Unmap()) }); i >= 0 {
				set.Data = append(set.Data, n.Addresses[i].Unmap().AsSlice())
			}
		}
		if len(set.Data) > 0 {
			slices.SortFunc(set.Data, slices.Compare)
			sets = append(sets, set)
		}
	}
	return sets
}
