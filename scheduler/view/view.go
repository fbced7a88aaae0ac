package view

import (
	"time"

	"nearcast/cdn"
)

// MaxTableAge is how old a route table may be before it counts as unknown: the
// server confirms it every 25 s, so two confirmations are missing by then.
const MaxTableAge = 60 * time.Second

// View is a plan with the health of the moment. It is immutable.
type View struct {
	*Plan

	// Usable are, for each of Plan.POPs, the nodes that visitors may be sent to;
	// an entry without nodes is a POP to pass over.
	Usable []POP
	// HealthIgnored says that so much looked unusable that health is not believed.
	HealthIgnored bool
}

// Fresh reports whether a table that was received, or confirmed, at a time still
// counts. None, which is nil, never does.
func Fresh(table *cdn.RouteTable, received, now time.Time) bool {
	return table != nil && now.Sub(received) <= MaxTableAge
}

// Join makes a view of a plan and a table. Nil is no table: every node is unknown,
// which counts as healthy. Pass nil for a table that is not [Fresh].
//
// If more than half of all nodes look unusable, that is taken for an error of the
// measurement, and health is ignored: a health check must never take down the last
// capacity. Nodes that say themselves that they are leaving are still spared then,
// unless there are no others.
func Join(p *Plan, table *cdn.RouteTable) *View {
	state := states(table)
	total, unusable, leaving := 0, 0, 0
	for _, pop := range p.POPs {
		for _, name := range pop.Names {
			total++
			if !state[name].Usable() {
				unusable++
			}
			if state[name] == cdn.StateDraining {
				leaving++
			}
		}
	}
	v := &View{Plan: p, HealthIgnored: 2*unusable > total}
	accept := cdn.NodeState.Usable
	if v.HealthIgnored {
		accept = func(s cdn.NodeState) bool { return s != cdn.StateDraining || leaving == total }
	}
	for _, pop := range p.POPs {
		v.Usable = append(v.Usable, pop.only(func(n cdn.NodeName) bool { return accept(state[n]) }))
	}
	return v
}

// states indexes a table. A node that is not in it has the zero state, unknown.
func states(table *cdn.RouteTable) map[cdn.NodeName]cdn.NodeState {
	m := make(map[cdn.NodeName]cdn.NodeState)
	if table != nil {
		for _, row := range table.Nodes {
			m[row.Node] = row.State
		}
	}
	return m
}

// only returns the POP with those of its nodes that the function accepts.
func (p POP) only(accept func(cdn.NodeName) bool) POP {
	out := POP{Name: p.Name}
	for i, name := range p.Names {
		if accept(name) {
			out.Nodes = append(out.Nodes, p.Nodes[i])
			out.Names = append(out.Names, name)
		}
	}
	return out
}
