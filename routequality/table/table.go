package table

import (
	"time"

	"nearcast/cdn"
)

// Builder makes a sequence of tables, each newer than the one before. It is not
// safe for concurrent use.
type Builder struct {
	last *cdn.RouteTable // immutable; nil before the first
	// epoch is in every table; the publisher picks a new one for each process.
	epoch string
}

// New returns a builder of tables of the given epoch.
func New(epoch string) *Builder { return &Builder{epoch: epoch} }

// Update returns the table for a fleet at a time: a row for each of its nodes, in
// its order, with the state that the function says. Nodes that are not of the fleet
// do not appear, whoever gossips about them. If nothing has changed, the result is
// the last table itself.
func (b *Builder) Update(now time.Time, fleet *cdn.Fleet, state func(cdn.NodeName) cdn.NodeState) *cdn.RouteTable {
	next := &cdn.RouteTable{Epoch: b.epoch, Version: 1, At: now, Nodes: make([]cdn.NodeHealth, 0, len(fleet.Nodes))}
	before := make(map[cdn.NodeName]cdn.NodeHealth)
	changed := b.last == nil
	if b.last != nil {
		next.Version = b.last.Version + 1
		changed = len(b.last.Nodes) != len(fleet.Nodes)
		for _, row := range b.last.Nodes {
			before[row.Node] = row
		}
	}
	for i := range fleet.Nodes {
		row := cdn.NodeHealth{Node: fleet.Nodes[i].Name, Since: now}
		row.State = state(row.Node)
		if old, known := before[row.Node]; known && old.State == row.State {
			row.Since = old.Since
		} else {
			changed = true
		}
		next.Nodes = append(next.Nodes, row)
	}
	if !changed {
		return b.last
	}
	b.last = next
	return next
}
