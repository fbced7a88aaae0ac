package view

import (
	"slices"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// Chart is a map with what is needed to answer from it and to explain it. It is immutable and safe for concurrent use.
type Chart struct {
	*Index

	// Map says where groups go.
	Map *assign.Map
	// Version names the map.
	Version cdn.MapVersion
	// Table is what the map was made of.
	Table *cdn.RouteTable
	// Weight is the part of the table's measurements that still counts: 1 to 0.
	Weight float64
	// Frozen says why the map is not what was measured; empty if it is. Alarms are what somebody should look at.
	Frozen string
	Alarms []string
	// Moved is the part of the demand that the last step has moved.
	Moved float64
	// Explainer tells how the map sees its groups.
	Explainer *assign.Explainer

	pops   []int // by POP of the map: its index in the plan, or -1
	of     []int // by POP of the plan: its index in the map, or -1
	states []assign.POPView
	groups []int32 // by group and class: its number in the map, or -1
	since  []int64 // by number in the map: when the group's shares changed last, in Unix seconds
}

// Bind makes a chart of what is set of it, for a plan.
func (c Chart) Bind(p *Plan, before *Chart) *Chart {
	c.pops, c.states = nil, c.Explainer.POPs()
	c.of = slices.Repeat([]int{-1}, len(p.POPs))
	for i, name := range c.Map.POPs() {
		at := p.POP(name)
		c.pops = append(c.pops, at)
		if at >= 0 {
			c.of[at] = i
		}
	}
	c.since = c.changed(before)
	known := before != nil && before.Index == c.Index
	if known && before.Map.SameNames(c.Map) {
		c.groups = before.groups
		return &c
	}
	c.groups = make([]int32, len(c.IDs))
	for i, id := range c.IDs {
		if known {
			if g := before.groups[i]; g >= 0 && int(g) < c.Map.Len() && c.Map.ID(int(g)) == id {
				c.groups[i] = g
				continue
			}
		}
		c.groups[i] = -1
		if g, ok := c.Map.Find(id); ok {
			c.groups[i] = int32(g) //nolint:gosec // there are not so many
		}
	}
	return &c
}

// changed returns since when the groups' shares have been as they are.
func (c *Chart) changed(before *Chart) []int64 {
	if before != nil && before.Map == c.Map {
		return before.since
	}
	now := c.Version.At.Unix()
	since := make([]int64, c.Map.Len())
	same := before != nil && before.Map.SameNames(c.Map)
	for g := range since {
		since[g] = now
		if before == nil {
			continue
		}
		old, ok := g, true
		if !same {
			old, ok = before.Map.Find(c.Map.ID(g))
		}
		if ok && c.sameShares(g, before, old) {
			since[g] = before.since[old]
		}
	}
	return since
}

// sameShares reports whether a group goes where it went before, in the same parts.
func (c *Chart) sameShares(g int, before *Chart, old int) bool {
	return slices.EqualFunc(c.Map.Shares(g), before.Map.Shares(old), func(a, b assign.Share) bool {
		return a.Weight == b.Weight && c.Map.POPs()[a.POP] == before.Map.POPs()[b.POP]
	})
}

// Since is when the shares of a group of the map changed last, in Unix seconds.
func (c *Chart) Since(of int) int64 { return c.since[of] }

// Group is the number in the map of a group of the index and a class of policies, or -1.
func (c *Chart) Group(group, class int) int {
	if group < 0 {
		return -1
	}
	return int(c.groups[group*c.Classes+class])
}

// POP is the index in the plan of a POP of the map, or -1.
func (c *Chart) POP(of int) int { return c.pops[of] }

// Seen is how the map sees a POP of the plan, and false if it does not know it.
func (c *Chart) Seen(pop int) (assign.POPView, bool) {
	if c == nil || c.of[pop] < 0 {
		return assign.POPView{}, false
	}
	return c.states[c.of[pop]], true
}

// Planned is the utilisation that the map plans for a POP of the plan: 0 if it does not know it.
func (c *Chart) Planned(pop int) float64 {
	s, ok := c.Seen(pop)
	if !ok {
		return 0
	}
	return s.Planned / s.Capacity
}

// closed reports whether the map takes a POP of the plan for down.
func (c *Chart) closed(pop int) bool {
	s, ok := c.Seen(pop)
	return ok && s.State == assign.Down
}
