// Package capacity says how much each POP can carry and how busy it is, from what its nodes report of themselves.
//
// It is pure: now is a value, and whoever shares [Loads] guards them. It is not for whether nodes are alive, nor for what is done when they
// are busy.
package capacity

import (
	"math"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/liveness"
)

// Fresh is how long a node's load is told of.
const Fresh = 5 * time.Second

// Most that is believed of a load: shares may be somewhat above all that there is, rates are bounded by what no machine does.
const (
	maxShare = 16
	maxRate  = 1e12
)

// Loads are what nodes have reported of themselves. The zero value has none.
type Loads struct {
	byNode map[cdn.NodeName]entry
}

type entry struct {
	version liveness.Version
	at      time.Time
	load    cdn.NodeLoad
}

// Put takes a node's load, unless it is older than what is there. One that cannot be is refused with an error of kind Invalid, and what
// was there before stays until it is too old.
func (l *Loads) Put(now time.Time, node cdn.NodeName, version liveness.Version, load *cdn.NodeLoad) error {
	if err := check(load); err != nil {
		return cdn.Errorf(cdn.Invalid, "", "load of %s: %w", node, err)
	}
	old, known := l.byNode[node]
	if known && now.Sub(old.at) <= Fresh && !version.Newer(old.version) {
		return nil
	}
	if l.byNode == nil {
		l.byNode = make(map[cdn.NodeName]entry)
	}
	l.byNode[node] = entry{version, now, *load}
	return nil
}

// Of returns a copy of what the node reported last, or nil if that is too long ago.
func (l *Loads) Of(now time.Time, node cdn.NodeName) *cdn.NodeLoad {
	e, known := l.byNode[node]
	if !known || now.Sub(e.at) > Fresh {
		return nil
	}
	return &e.load
}

// Keep forgets the nodes that are not of the fleet.
func (l *Loads) Keep(fleet *cdn.Fleet) {
	kept := make(map[cdn.NodeName]entry, len(l.byNode))
	for i := range fleet.Nodes {
		if e, known := l.byNode[fleet.Nodes[i].Name]; known {
			kept[fleet.Nodes[i].Name] = e
		}
	}
	l.byNode = kept
}

func check(l *cdn.NodeLoad) error {
	for _, n := range [...]struct {
		name    string
		x, most float64
	}{
		{"cpu", l.CPU, maxShare},
		{"memory", l.Memory, maxShare},
		{"connections", l.Connections, maxShare},
		{"egress", l.Egress, maxShare},
		{"disk", l.Disk, maxShare},
		{"fills", l.Fills, maxShare},
		{"requests", l.Requests, maxRate},
		{"octets", l.Octets, maxRate},
		{"hit_ratio", l.HitRatio, 1},
		{"errors", l.Errors, 1},
	} {
		if !(n.x >= 0 && n.x <= n.most) { // NaN fails
			return cdn.Errorf(cdn.Invalid, "", "%s is %v; want 0 to %v", n.name, n.x, n.most)
		}
	}
	return nil
}

// Fill puts the loads into the rows of nodes and POPs: into those of POPs what their nodes have together. Behind has the round trips
// to whom the POPs ask for what they do not have. Rows must be of the fleet; POPs must be sorted by name.
func (l *Loads) Fill(now time.Time, fleet *cdn.Fleet, nodes []cdn.NodeHealth, pops []cdn.POPHealth, behind map[cdn.POPName]float64) {
	sums := make(map[cdn.POPName]*sum, len(pops))
	for i := range pops {
		sums[pops[i].POP] = new(sum)
	}
	states := make(map[cdn.NodeName]*cdn.NodeHealth, len(nodes))
	for i := range nodes {
		nodes[i].Load = l.Of(now, nodes[i].Node)
		states[nodes[i].Node] = &nodes[i]
	}
	for i := range fleet.Nodes {
		n := &fleet.Nodes[i]
		s, row := sums[n.POP], states[n.Name]
		if s == nil || row == nil || !n.Has(cdn.RoleEdge) {
			continue
		}
		s.add(row, float64(n.Capacity.EgressMbps)*1e6/8)
	}
	for i := range pops {
		sums[pops[i].POP].fill(&pops[i])
		pops[i].Behind = round(behind[pops[i].POP], 100)
	}
}

// sum is what the nodes of a POP have together.
type sum struct {
	capacity                              float64
	cpu, connections, egress, disk, fills float64 // of the usable ones
	usable                                float64
	sent, canSend                         float64 // of those of them whose capacity is known
	sized                                 float64 // how many these are
	requests, octets, hits                float64 // of all
}

// add adds a node that can send so many octets a second; zero if that is not known.
func (s *sum) add(n *cdn.NodeHealth, capacity float64) {
	usable := n.State.Usable()
	if usable {
		s.capacity += capacity
	}
	if n.Load == nil {
		return
	}
	s.requests += n.Load.Requests
	s.octets += n.Load.Octets
	s.hits += n.Load.Requests * n.Load.HitRatio
	if !usable {
		return
	}
	s.usable++
	s.cpu += n.Load.CPU
	s.connections += n.Load.Connections
	s.egress += n.Load.Egress
	s.disk += n.Load.Disk
	s.fills += n.Load.Fills
	if capacity > 0 {
		s.sized++
		s.canSend += capacity
		s.sent += n.Load.Egress * capacity
	}
}

func (s *sum) fill(p *cdn.POPHealth) {
	p.Capacity, p.Load = s.capacity, -1
	p.Requests, p.Octets = round(s.requests, 100), round(s.octets, 1)
	if s.requests > 0 {
		p.HitRatio = round(s.hits/s.requests, 1e4)
	}
	if s.usable > 0 {
		egress := s.egress / s.usable
		if s.sized == s.usable { // a large node's share is worth more than a small one's
			egress = s.sent / s.canSend
		}
		p.Load = round(max(max(s.cpu, s.connections, s.disk, s.fills)/s.usable, egress), 1e4)
	}
}

func round(x, steps float64) float64 { return math.Round(x*steps) / steps }
