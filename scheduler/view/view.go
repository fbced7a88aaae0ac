package view

import (
	"math"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/policy"
)

// What becomes of a route table that is no longer confirmed.
const (
	// MaxTableAge is how old a route table may be for its loads to be believed: the server confirms it every 25 s, so two
	// confirmations are missing by then.
	MaxTableAge = 60 * time.Second
	// MaxStateAge is how old it may be for its nodes' states to be.
	MaxStateAge = 15 * time.Minute
)

// View is a plan with the health of the moment. It is immutable.
type View struct {
	*Plan

	// Usable are, for each of Plan.POPs, the nodes that visitors may be sent to;
	// an entry without nodes is a POP to pass over.
	Usable []POP
	// HealthIgnored says that so much looked unusable that health is not believed.
	HealthIgnored bool
	// Active is the policies in force; nil is none.
	Active *policy.Active
	// Chart is the map; nil if there is none yet.
	Chart *Chart
	// Health is what the route table says of each of Plan.POPs; nil for a POP that it does not have.
	Health []*cdn.POPHealth
	// Load is the utilisation of each of Plan.POPs, and NodeLoads those of the nodes in Usable, as reported last; NaN is unknown.
	Load      []float64
	NodeLoads [][]float64
	// Sites are the parts of all octets that are sent for sites.
	Sites map[cdn.SiteName]float64
	// Received is when the route table was received or confirmed last; zero if there is none.
	Received time.Time
	// Loads and States say that those of the route table are still believed.
	Loads, States bool
	// Alarms are what somebody should look at, beside the chart's.
	Alarms []string
}

// News is what a view is made of beside the plan.
type News struct {
	// Table has the states of nodes and POPs, and loads; nil is none: every node is unknown, which counts as healthy.
	Table *cdn.RouteTable
	// Loads says that the table's loads are still believed, and States that its states are.
	Loads, States bool
	// Chart is the map, which stands for the POPs' states; nil is none.
	Chart *Chart
	// Active is the policies in force.
	Active *policy.Active
}

// Join makes a view of a plan and a table that is fresh, or nil, without a map.
func Join(p *Plan, table *cdn.RouteTable) *View {
	return New(p, News{Table: table, Loads: true, States: true})
}

// New makes a view.
//
// If more than half of all nodes look unusable, that is taken for an error of the
// measurement, and health is ignored: a health check must never take down the last
// capacity. Nodes that are leaving are still spared then, unless there are no others, or operators drain all that work. Where there is a map, what
// counts of POPs as a whole is what the map has accepted, since it has guards of its own; and of nodes those in POPs that are open.
func New(p *Plan, n News) *View {
	v := &View{Plan: p, Chart: n.Chart, Active: n.Active, Loads: n.Loads, States: n.States}
	v.readTable(&n)
	var state map[cdn.NodeName]cdn.NodeState
	if n.States {
		state = states(n.Table)
	}
	closed := v.closed(n.States)
	v.HealthIgnored = v.ignoreHealth(state, closed)
	left := 0
	for i := range p.POPs {
		v.Usable = append(v.Usable, v.usable(i, state, closed[i]))
		left += len(v.Usable[i].Nodes)
	}
	if left == 0 || v.HealthIgnored && v.onlyDrained(state) { // somebody must serve
		v.Usable, v.HealthIgnored = p.last(state), false
	}
	v.readLoads(&n)
	return v
}

// State is a node's, with what operators drain.
func (p *Plan) state(name cdn.NodeName, state map[cdn.NodeName]cdn.NodeState) cdn.NodeState {
	if p.drained[name] {
		return cdn.StateDraining
	}
	return state[name]
}

// closed says which POPs are not to be used.
func (v *View) closed(believed bool) []bool {
	closed := make([]bool, len(v.POPs))
	open := 0
	for i := range closed {
		if _, known := v.Chart.Seen(i); known {
			closed[i] = v.Chart.closed(i)
		} else {
			closed[i] = believed && v.Health[i] != nil && !v.Health[i].State.Usable()
		}
		if !closed[i] {
			open++
		}
	}
	if open == 0 { // somebody must serve
		clear(closed)
	}
	return closed
}

// ignoreHealth reports whether so much looks unusable that it cannot be.
func (v *View) ignoreHealth(state map[cdn.NodeName]cdn.NodeState, closed []bool) bool {
	total, unusable := 0, 0
	for i := range v.POPs {
		if closed[i] && v.Chart != nil {
			continue
		}
		for _, name := range v.POPs[i].Names {
			if v.drained[name] {
				continue // that is no measurement
			}
			total++
			if closed[i] || !state[name].Usable() {
				unusable++
			}
		}
	}
	return 2*unusable > total
}

// usable is a POP with the nodes that visitors may be sent to.
func (v *View) usable(pop int, state map[cdn.NodeName]cdn.NodeState, closed bool) POP {
	p := &v.POPs[pop]
	if closed && (!v.HealthIgnored || v.Chart != nil) {
		return p.only(func(cdn.NodeName) bool { return false })
	}
	staying := func(n cdn.NodeName) bool { return v.state(n, state) != cdn.StateDraining }
	if v.HealthIgnored {
		return p.only(staying)
	}
	some := p.only(func(n cdn.NodeName) bool { return v.state(n, state).Usable() })
	if len(some.Nodes) == 0 && v.Chart != nil && v.Chart.Frozen != "" { // the map does not believe it
		return p.only(staying)
	}
	return some
}

// works reports whether it is known that a node works.
func works(s cdn.NodeState) bool { return s != cdn.StateUnknown && s.Usable() }

// onlyDrained reports whether some nodes are known to work, and operators drain all that may: they still serve, and better than what does not work.
func (p *Plan) onlyDrained(state map[cdn.NodeName]cdn.NodeState) bool {
	some := false
	for i := range p.POPs {
		for _, name := range p.POPs[i].Names {
			switch {
			case state[name].Usable() && !p.drained[name]:
				return false
			case works(state[name]):
				some = true
			}
		}
	}
	return some
}

// last are the POPs with all nodes that are known to work, be they drained; if there is none, with those that are not leaving; and if there is none either, with all.
func (p *Plan) last(state map[cdn.NodeName]cdn.NodeState) []POP {
	for _, accept := range []func(cdn.NodeName) bool{
		func(n cdn.NodeName) bool { return works(state[n]) },
		func(n cdn.NodeName) bool { return p.state(n, state) != cdn.StateDraining },
	} {
		left := 0
		all := make([]POP, len(p.POPs))
		for i := range p.POPs {
			all[i] = p.POPs[i].only(accept)
			left += len(all[i].Nodes)
		}
		if left > 0 {
			return all
		}
	}
	return p.POPs
}

// readTable takes over what the table says of POPs and sites.
func (v *View) readTable(n *News) {
	v.Health = make([]*cdn.POPHealth, len(v.POPs))
	v.Load = make([]float64, len(v.POPs))
	for i := range v.Load {
		v.Load[i] = math.NaN()
	}
	if n.Table == nil {
		return
	}
	for i := range n.Table.POPs {
		h := &n.Table.POPs[i]
		at := v.POP(h.POP)
		if at < 0 {
			continue
		}
		v.Health[at] = h
		if n.Loads && h.Load >= 0 && h.Load <= assign.MaxLoad {
			v.Load[at] = h.Load
		}
	}
	v.Sites = make(map[cdn.SiteName]float64, len(n.Table.Sites))
	for _, s := range n.Table.Sites {
		v.Sites[s.Site] = s.Share
	}
}

// readLoads takes over the loads of nodes.
func (v *View) readLoads(n *News) {
	if n.Table == nil || !n.Loads {
		return
	}
	loads := make(map[cdn.NodeName]float64, len(n.Table.Nodes))
	for i := range n.Table.Nodes {
		if l := n.Table.Nodes[i].Load; l != nil {
			loads[n.Table.Nodes[i].Node] = l.Utilisation()
		}
	}
	if len(loads) == 0 {
		return
	}
	v.NodeLoads = make([][]float64, len(v.Usable))
	for i := range v.Usable {
		for _, name := range v.Usable[i].Names {
			u, ok := loads[name]
			if !ok || !(u >= 0) || u > assign.MaxLoad {
				u = math.NaN()
			}
			v.NodeLoads[i] = append(v.NodeLoads[i], u)
		}
	}
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

// UsableNodes are how many nodes of each of POPs may be sent visitors by a table, however many that are; and which POPs have some that could be, but
// operators drain them all.
func (p *Plan) UsableNodes(table *cdn.RouteTable) (usable []int, drained []bool) {
	state := states(table)
	usable, drained = make([]int, len(p.POPs)), make([]bool, len(p.POPs))
	for i := range p.POPs {
		for _, name := range p.POPs[i].Names {
			switch {
			case p.state(name, state).Usable():
				usable[i]++
			case state[name].Usable():
				drained[i] = true
			}
		}
		drained[i] = drained[i] && usable[i] == 0
	}
	return usable, drained
}

// only returns the POP with those of its nodes that the function accepts.
func (p *POP) only(accept func(cdn.NodeName) bool) POP {
	out := POP{Name: p.Name, Draining: p.Draining, Hash: p.Hash}
	for i, name := range p.Names {
		if accept(name) {
			out.add(p.Nodes[i], p.Claims[i], p.Capacities[i])
		}
	}
	return out
}
