package steer

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/cost"
	"nearcast/scheduler/view"
)

// Rest is the group of those of whom nothing is known. Nobody is looked up in it: it keeps the map, and its guards, when there are no others.
const Rest = "-"

// Limits of what is believed.
const (
	mostCapacity = 1e15 // octets a second of a POP
	mostOctets   = 1e15 // and of a group
	longestName  = 140  // octets of a group's name: policies add up to 105 to it, and the solver takes 255
	fails        = 0.1  // share of failures from which on a path is not used,
	failsN       = 20   // if there are so many samples
)

// builder makes the problem of the moment.
type builder struct {
	*Mapper

	states bool
	order  []int    // POPs of the plan in the order of their names
	rank   []uint16 // of each POP of the plan in that order
	health []*cdn.POPHealth
	usable []int
	leave  []bool          // POPs that work, but whose nodes operators drain, all that do
	rows   []cdn.POPHealth // what health points to
	share  []float64       // of demand, by class
	told   []string
	counts map[string]int // of what is wrong with groups
	fill   *filler
}

func newBuilder(m *Mapper, states bool) *builder {
	b := &builder{Mapper: m, states: states, health: make([]*cdn.POPHealth, len(m.plan.POPs)), counts: make(map[string]int)}
	b.order = make([]int, len(m.plan.POPs))
	b.rank = make([]uint16, len(m.plan.POPs))
	for i := range b.order {
		b.order[i] = i
	}
	slices.SortFunc(b.order, func(i, j int) int { return cmp.Compare(m.plan.POPs[i].Name, m.plan.POPs[j].Name) })
	for i, pop := range b.order {
		b.rank[pop] = uint16(i) //nolint:gosec // assign refuses more than 4096
	}
	b.usable, b.leave = m.plan.UsableNodes(m.table)
	if !states {
		b.usable, b.leave = m.plan.UsableNodes(nil)
	}
	b.rows = slices.Clone(m.table.POPs)
	for i := range b.rows {
		if at := m.plan.POP(b.rows[i].POP); at >= 0 {
			b.health[at] = &b.rows[i]
			b.correct(b.health[at])
		}
	}
	return b
}

// correct replaces what cannot be by what is unknown, and tells of it.
func (b *builder) correct(h *cdn.POPHealth) {
	if !(h.Capacity >= 0) || h.Capacity > mostCapacity {
		b.told = append(b.told, fmt.Sprintf("POP %s says that it can send %v octets a second, which cannot be: it is taken for what the fleet says", h.POP, h.Capacity))
		h.Capacity = 0
	}
	if !(h.Share > 0) || h.Share > 1 {
		if h.State.Usable() {
			b.told = append(b.told, fmt.Sprintf("POP %s may use %v of its capacity, which cannot be: it may use all of it", h.POP, h.Share))
		}
		h.Share = 1
	}
}

// alarms are what somebody should look at.
func (b *builder) alarms() []string {
	for what, n := range b.counts {
		b.told = append(b.told, fmt.Sprintf("%d groups %s", n, what))
	}
	slices.Sort(b.told)
	return b.told
}

// state is what a POP may be given.
func (b *builder) state(pop int) assign.State {
	h := b.health[pop]
	switch {
	case b.usable[pop] == 0 && !b.leave[pop], b.states && h != nil && !h.State.Usable():
		return assign.Down
	case b.plan.POPs[pop].Draining || b.leave[pop]:
		return assign.Draining
	}
	return assign.Up
}

// capacity is what a POP can take, in octets a second.
func (b *builder) capacity(pop int) float64 {
	p, h := &b.plan.POPs[pop], b.health[pop]
	part := 1.0
	if n := b.usable[pop]; n > 0 {
		part = float64(n) / float64(len(p.Nodes))
	}
	c := float64(p.Capacity * part)
	if h != nil {
		if h.Capacity > 0 {
			c = h.Capacity
		}
		c = float64(c * h.Share)
	}
	return max(c, 1)
}

// load is a POP's utilisation as measured; NaN if it is not known.
func (b *builder) load(pop int) float64 {
	h := b.health[pop]
	if h == nil || h.Load == -1 || !b.aged.IsZero() {
		return math.NaN()
	}
	if h.Load < 0 || h.Load > assign.MaxLoad { // the controller tells of it
		return h.Load
	}
	return min(float64(h.Load/h.Share), assign.MaxLoad)
}

// input is everything.
func (b *builder) input() assign.Input {
	var in assign.Input
	b.near.update(b.plan, b.table.Links, b.weight)
	for i, pop := range b.order {
		in.POPs = append(in.POPs, assign.POP{
			Name: b.plan.POPs[pop].Name, Capacity: b.capacity(pop), State: b.state(pop), Near: b.near.of(i, b.order),
		})
		in.Load = append(in.Load, b.load(pop))
	}
	b.share = b.shares()
	b.fill = newFiller(b)
	in.Groups = make([]assign.Group, 0, len(b.table.Groups)*b.index.Classes+1)
	rest := assign.Group{ID: Rest}
	for i := range min(len(in.POPs), assign.MaxCandidates) {
		rest.Candidates = append(rest.Candidates, assign.Candidate{POP: uint16(i)}) //nolint:gosec // few
	}
	in.Groups = append(in.Groups, rest)
	for g, group := range b.table.Groups {
		if group.Name == "" || group.Name == Rest || len(group.Name) > longestName {
			b.counts["have names that are empty, too long or taken, and are left out"]++
			continue
		}
		demand := group.Octets
		if !(demand >= 0) || demand > mostOctets {
			b.counts["ask for what cannot be, which counts as nothing"]++
			demand = 0
		}
		for class := range b.index.Classes {
			in.Groups = b.group(in.Groups, g, class, float64(demand*b.share[class]))
		}
	}
	return in
}

// shares are the parts of all demand by class of sites.
func (b *builder) shares() []float64 {
	share := make([]float64, b.index.Classes)
	left := 1.0
	classes := b.plan.Policies.Sites()
	for _, s := range b.table.Sites {
		if class := classes[s.Site]; class > 0 && s.Share > 0 && s.Share <= 1 {
			share[class] += s.Share
			left -= s.Share
		}
	}
	share[0] = max(left, 0)
	return share
}

// changes are what is new of the POPs of a chart's map.
func (b *builder) changes(c *view.Chart) []assign.POPChange {
	var changes []assign.POPChange
	seen := c.Explainer.POPs()
	for i, name := range c.Map.POPs() {
		ch := assign.POPChange{POP: i, State: assign.Down, Capacity: seen[i].Capacity}
		if pop := b.plan.POP(name); pop >= 0 {
			ch.State, ch.Capacity = b.state(pop), b.capacity(pop)
		}
		if ch.State != seen[i].State || ch.Capacity != seen[i].Capacity {
			changes = append(changes, ch)
		}
	}
	return changes
}

// nearby are the neighbours of POPs, kept as long as nothing changes.
type nearby struct {
	plan   *view.Plan
	links  []*cdn.Link
	weight float64
	ms     [][]float32 // by POP of the plan, twice
}

func (n *nearby) update(p *view.Plan, links []*cdn.Link, weight float64) {
	if n.plan == p && n.weight == weight && slices.Equal(n.links, links) {
		return
	}
	*n = nearby{plan: p, links: links, weight: weight, ms: make([][]float32, len(p.POPs))}
	for i := range n.ms {
		n.ms[i] = make([]float32, len(p.POPs))
		for j := range n.ms[i] {
			n.ms[i][j] = cost.Geographic(p.Between(i, j)).R50
		}
	}
	for _, l := range links {
		i, j := p.POP(l.From), p.POP(cdn.POPName(l.To))
		if i < 0 || j < 0 || !(l.R50 >= 0) || l.R50 > 1e5 {
			continue
		}
		n.ms[i][j] = cost.Aged(l.Quality, cdn.Quality{R50: n.ms[i][j]}, weight).R50
	}
}

// of are the neighbours of a POP in an order, as a problem has them.
func (n *nearby) of(i int, order []int) []assign.Candidate {
	out := make([]assign.Candidate, 0, len(order))
	for j, pop := range order {
		if j != i {
			out = append(out, assign.Candidate{POP: uint16(j), Cost: n.ms[order[i]][pop]}) //nolint:gosec // see rank
		}
	}
	return out
}
