package liveness

import (
	"cmp"
	"slices"
	"time"

	"nearcast/cdn"
)

// Times of what is heard.
const (
	// Fresh is how long a word counts: two and a half reports.
	Fresh = 2500 * time.Millisecond
	// Ageing is how long a state outlives the last word.
	Ageing = 10 * time.Second
	// ProbeEvery is the time between two probes of a POP, and so between two answers that bring it back.
	ProbeEvery = 500 * time.Millisecond

	tombstone  = 2 * time.Minute
	pruneEvery = time.Minute
	// grace is how long after the beginning a POP that was never seen up may still be about to start.
	grace = 10 * time.Second
)

// Tracker follows the nodes and POPs of a fleet.
type Tracker struct {
	self  cdn.NodeName
	voter func(by, pop cdn.POPName) bool

	nodes   map[cdn.NodeName]*node
	pops    map[cdn.POPName]*pop
	byName  []*node // sorted
	popList []*pop  // sorted

	began   time.Time // of the first step
	pruned  time.Time
	changed bool // the fleet, since the last step
	freeze  freeze
}

// New returns a tracker without a fleet. Self is the route-quality node whose own probes come by [Tracker.Probed]. Voter says
// whether the nodes of a POP may vote on another; nil: all may.
func New(self cdn.NodeName, voter func(by, pop cdn.POPName) bool) *Tracker {
	if voter == nil {
		voter = func(cdn.POPName, cdn.POPName) bool { return true }
	}
	return &Tracker{self: self, voter: voter, nodes: make(map[cdn.NodeName]*node), pops: make(map[cdn.POPName]*pop)}
}

// SetFleet makes it follow a fleet. What is known of those that stay is kept; a node that has moved to another POP starts anew.
func (t *Tracker) SetFleet(fleet *cdn.Fleet) {
	nodes, pops := make(map[cdn.NodeName]*node, len(fleet.Nodes)), make(map[cdn.POPName]*pop, len(fleet.POPs))
	t.byName, t.popList = t.byName[:0], t.popList[:0]
	for i := range fleet.POPs {
		name := fleet.POPs[i].Name
		p := t.pops[name]
		if p == nil {
			p = &pop{name: name, votes: make(heard[ballot]), share: 1}
		}
		p.nodes = nil
		pops[name] = p
		t.popList = append(t.popList, p)
	}
	for i := range fleet.Nodes {
		f := &fleet.Nodes[i]
		p := pops[f.POP]
		n := t.nodes[f.Name]
		if n == nil || n.pop != p {
			n = &node{name: f.Name, pop: p, heard: make(heard[Row])}
		}
		n.cache = f.Has(cdn.RoleEdge)
		nodes[f.Name] = n
		t.byName = append(t.byName, n)
		if p != nil && n.cache {
			p.nodes = append(p.nodes, n)
		}
	}
	slices.SortFunc(t.byName, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(t.popList, func(a, b *pop) int { return cmp.Compare(a.name, b.name) })
	t.nodes, t.pops, t.changed = nodes, pops, true
}

// Knows reports whether the fleet has the node in that POP, so that its reports count.
func (t *Tracker) Knows(node cdn.NodeName, pop cdn.POPName) bool {
	n := t.nodes[node]
	return n != nil && n.pop != nil && n.pop.name == pop
}

// Report takes a report. News is whether it says something else than its sender did before, so that a step is worth while at once. Who
// is not of the fleet, or of another POP than it says, is refused. Rows of nodes that are not of that POP, and votes of those who are
// no voters, change nothing.
func (t *Tracker) Report(now time.Time, r *Report) (news bool, err error) {
	from := t.nodes[r.From]
	if !t.Knows(r.From, r.POP) {
		return false, cdn.Errorf(cdn.NotFound, "", "report of %q from POP %q: the fleet has no such node there; if it is new, its configuration comes before ours", r.From, r.POP)
	}
	from.pop.reported = now
	for _, row := range r.Members {
		n := t.nodes[row.Node]
		if n == nil || n.pop != from.pop {
			continue
		}
		before, fresh, taken := n.heard.put(now, r.From, r.Version, row)
		news = news || taken && (!fresh || before != row)
	}
	for _, v := range r.Votes {
		if p := t.pops[v.POP]; p != nil && p != from.pop && t.voter(r.POP, v.POP) {
			news = t.vote(now, p, r.From, r.Version, ballot{string(r.POP), v.Up}) || news
		}
	}
	return news, nil
}

// Probed takes the vote of the tracker's own node on a POP. News is as for [Tracker.Report].
func (t *Tracker) Probed(now time.Time, name cdn.POPName, up bool) (news bool) {
	p := t.pops[name]
	if p == nil {
		return false
	}
	version := Version{Seq: 1}
	if w := p.votes[""]; w != nil {
		version.Seq = w.version.Seq + 1
	}
	return t.vote(now, p, "", version, ballot{string(t.self), up}) // it has no name among the reporters
}

func (t *Tracker) vote(now time.Time, p *pop, by cdn.NodeName, version Version, b ballot) (news bool) {
	before, fresh, taken := p.votes.put(now, by, version, b)
	return taken && (!fresh || before.up != b.up)
}

// Step judges everybody. WAN is what the pool of gateways says of a node, unknown if nothing. News is whether a state or an alarm is
// another than after the step before. It should come a few times a second, and at once after news of reports.
func (t *Tracker) Step(now time.Time, wan func(cdn.NodeName) cdn.NodeState) (news bool) {
	if t.began.IsZero() {
		t.began = now
	}
	news, t.changed = t.changed, false
	falling, all := t.judgePOPs(now, wan)
	news = t.freeze.decide(now, falling, t.popList, all) || news
	for _, p := range t.popList {
		news = p.settle(now) || news
	}
	for _, p := range t.popList {
		p.island = p.isIsland(now)
	}
	for _, n := range t.byName {
		news = n.set(now, t.judgeNode(now, n, wan)) || news
	}
	t.prune(now)
	return news
}

// judgePOPs returns the POPs that would fall, and how many there are that have cache nodes.
func (t *Tracker) judgePOPs(now time.Time, wan func(cdn.NodeName) cdn.NodeState) (falling []*pop, all int) {
	reporting, answering := 0, 0
	for _, p := range t.popList {
		p.said, p.absent = silence, false
		if len(p.nodes) == 0 {
			continue
		}
		all++
		if p.began.IsZero() {
			p.began = now
		}
		if p.reports(now) {
			reporting++
		}
		if p.said = p.judge(now, wan); p.said == answers {
			answering++
		}
	}
	for _, p := range t.popList {
		if p.said == answers && 2*reporting >= all && p.hangs(now, wan) {
			p.said = dead
		}
		p.absent = p.said == dead && !p.seenUp && 2*answering > all
		switch p.said {
		case answers:
			p.answered(now)
		case dead:
			if t.falls(now, p) {
				falling = append(falling, p)
			}
		case silence:
		}
	}
	return falling, all
}

// falls reports whether a POP that is dead goes down by that. One that was never there does not: it is no sign of bad probers.
func (t *Tracker) falls(now time.Time, p *pop) bool {
	switch {
	case p.down(now):
		return false
	case !p.absent:
		return p.seenUp || now.Sub(t.began) >= grace
	case now.Sub(p.began) >= grace:
		p.fall(now, true)
	}
	return false
}

// judgeNode returns what is to be believed of a node.
func (t *Tracker) judgeNode(now time.Time, n *node, wan func(cdn.NodeName) cdn.NodeState) cdn.NodeState {
	if !n.cache { // no reporter speaks of it
		return wan(n.name)
	}
	state := n.judge(now)
	if own := n.heard[n.name]; state == cdn.StateDown && own != nil && own.fresh(now) && n.pop != nil && n.pop.island {
		return own.value.State
	}
	return state
}

func (t *Tracker) prune(now time.Time) {
	if now.Sub(t.pruned) < pruneEvery {
		return
	}
	t.pruned = now
	for _, n := range t.byName {
		n.heard.prune(now)
	}
	for _, p := range t.popList {
		p.votes.prune(now)
	}
}

// View is what is believed after a step. It shares nothing with the tracker.
type View struct {
	Nodes  []cdn.NodeHealth // Node, State and Since, sorted by name
	POPs   []cdn.POPHealth  // POP, State, Since, Share and Votes, sorted by name
	Alarms []string
}

// View returns what is believed since the last step.
func (t *Tracker) View(now time.Time) View {
	v := View{Nodes: make([]cdn.NodeHealth, 0, len(t.byName)), POPs: make([]cdn.POPHealth, 0, len(t.popList)), Alarms: t.freeze.alarms()}
	for _, n := range t.byName {
		v.Nodes = append(v.Nodes, cdn.NodeHealth{Node: n.name, State: n.state, Since: n.since})
	}
	for _, p := range t.popList {
		_, votes := p.tally(now)
		v.POPs = append(v.POPs, cdn.POPHealth{POP: p.name, State: p.state, Since: p.since, Share: p.share, Load: -1, Votes: votes})
	}
	return v
}

// Heard reports whether every POP with cache nodes has reported since the beginning.
func (t *Tracker) Heard() bool {
	for _, p := range t.popList {
		if len(p.nodes) > 0 && p.reported.IsZero() {
			return false
		}
	}
	return true
}
