package routequality

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/capacity"
	"nearcast/routequality/estimate"
	"nearcast/routequality/liveness"
	"nearcast/routequality/probe"
	"nearcast/routequality/report"
	"nearcast/routequality/table"
)

// How long a sender's number is remembered after its last report: longer than what may be held up on the way. A machine whose clock was set back
// is heard again after that.
const guardTime = 2 * time.Minute

// maxSenders bounds the senders that are remembered: those of twice the largest fleet.
const maxSenders = 50_000

// maxClocks bounds the wrong clocks that alarms name.
const maxClocks = 5

// world is what is heard of nodes and POPs. Its methods may be called from any goroutine.
type world struct {
	guard *report.Guard // of reports of POPs and of nodes

	mu       sync.Mutex // guards the following
	fleet    *cdn.Fleet // nil before the first apply
	nodes    map[cdn.NodeName]*cdn.Node
	tracker  *liveness.Tracker
	loads    capacity.Loads
	behind   map[cdn.POPName]float64
	clocks   map[cdn.NodeName]*estimate.Clock
	verdicts map[cdn.POPName]*probe.Verdict
	voters   map[cdn.POPName][]cdn.POPName
	unusable map[cdn.POPName][]cdn.NodeName // by POP
}

func newWorld(self cdn.NodeName) *world {
	w := &world{
		guard:  report.NewGuard(maxSenders, guardTime),
		clocks: make(map[cdn.NodeName]*estimate.Clock), verdicts: make(map[cdn.POPName]*probe.Verdict),
	}
	w.tracker = liveness.New(self, func(by, pop cdn.POPName) bool { return slices.Contains(w.voters[pop], by) }) // called with mu held
	return w
}

func (w *world) apply(fleet *cdn.Fleet) {
	addrs := fleet.Serving()
	pops := slices.Sorted(maps.Keys(addrs))
	voters := make(map[cdn.POPName][]cdn.POPName, len(pops))
	for _, pop := range pops {
		voters[pop] = report.Voters(pop, pops)
	}
	nodes := make(map[cdn.NodeName]*cdn.Node, len(fleet.Nodes))
	for i := range fleet.Nodes {
		nodes[fleet.Nodes[i].Name] = &fleet.Nodes[i]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fleet, w.nodes, w.voters = fleet, nodes, voters
	w.tracker.SetFleet(fleet)
	w.loads.Keep(fleet)
	for name := range w.clocks {
		if nodes[name] == nil {
			delete(w.clocks, name)
		}
	}
	for pop := range w.verdicts {
		if len(addrs[pop]) == 0 {
			delete(w.verdicts, pop)
		}
	}
}

// probeTimeout is how long a POP may take to answer a probe.
const probeTimeout = time.Second

// targets returns what a server probes: every POP.
func targets(f *cdn.Fleet) (all []probe.Target) {
	for pop, addrs := range f.Serving() {
		all = append(all, probe.Target{Name: string(pop), Addrs: addrs, Ask: true, Every: liveness.ProbeEvery, Timeout: probeTimeout})
	}
	return all
}

// probed takes the outcome of a probe of our own, and reports whether it is news.
func (w *world) probed(now time.Time, r *probe.Result) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pop := cdn.POPName(r.Target)
	if len(w.voters) == 0 || w.fleet.POP(pop) == nil {
		return false
	}
	v := w.verdicts[pop]
	if v == nil {
		v = new(probe.Verdict)
		w.verdicts[pop] = v
	}
	v.Observe(r.Err == nil)
	up, known := v.Up()
	return known && w.tracker.Probed(now, pop, up)
}

// hear takes a report. News is whether it says something else than its sender did before. What is in it that was heard before is taken
// out, its times become those of our clock, and absurd loads are counted. An error says why it is not taken at all.
func (w *world) hear(now time.Time, r *report.POP) (news bool, repeated, absurd int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fleet == nil:
		return false, 0, 0, cdn.Errorf(cdn.Unavailable, "", "no configuration yet")
	case !w.tracker.Knows(r.From, r.POP):
		return false, 0, 0, cdn.Errorf(cdn.NotFound, "", "the fleet has no node %q in a POP %q; if it is new, its configuration came before ours", r.From, r.POP)
	case !w.guard.Accept(now, "pop "+string(r.From), r.Incarnation, r.Seq):
		return false, 0, 0, cdn.Errorf(cdn.Conflict, "", "report %d of %q is older than one that was heard before", r.Seq, r.From)
	}
	said := &liveness.Report{From: r.From, POP: r.POP, Version: liveness.Version{Incarnation: r.Incarnation, Seq: r.Seq}}
	for _, m := range r.Members {
		said.Members = append(said.Members, liveness.Row{Node: m.Node, State: m.State, Incarnation: m.Incarnation})
	}
	for _, v := range r.Votes {
		said.Votes = append(said.Votes, liveness.Vote{POP: v.POP, Up: v.Up})
	}
	if news, err = w.tracker.Report(now, said); err != nil {
		return false, 0, 0, err
	}
	clock := w.clockLocked(now, r.From, r.At)
	for i := range r.Probes {
		r.Probes[i].At = clock.Right(r.Probes[i].At)
	}
	kept := r.Nodes[:0]
	for _, n := range r.Nodes {
		if !w.tracker.Knows(n.Node, r.POP) || !w.guard.Accept(now, n.Sender(), n.Incarnation, n.Seq) {
			repeated++ // the other aggregator was faster, mostly
			continue
		}
		clock := w.clockLocked(now, n.Node, n.At)
		absurd += w.refuseLocked(&n)
		if n.Visitors != nil {
			n.Visitors.At = clock.Right(n.Visitors.At)
		}
		if n.Load != nil && w.loads.Put(now, n.Node, liveness.Version{Incarnation: n.Incarnation, Seq: n.Seq}, n.Load) != nil {
			absurd++
		}
		kept = append(kept, n)
	}
	r.Nodes = kept
	return news, repeated, absurd, nil
}

// mostTimes is how many times what a node can send it may say that it sends.
const mostTimes = 16

// refuseLocked takes out what a node cannot have sent, and returns how many parts of its report that were.
func (w *world) refuseLocked(n *report.Node) (refused int) {
	most := mostTimes * float64(w.nodes[n.Node].Capacity.EgressMbps) * 1e6 / 8
	if most == 0 { // nobody has said what it can
		return 0
	}
	if n.Load != nil && n.Load.Octets > most {
		n.Load = nil
		refused++
	}
	if v := n.Visitors; v != nil {
		var samples, sites float64
		for i := range v.Samples {
			samples += float64(v.Samples[i].Octets)
		}
		for i := range v.Sites {
			sites += float64(v.Sites[i].Octets)
		}
		if max(samples, sites) > most*max(1, v.Interval.Seconds()) {
			n.Visitors = nil
			refused++
		}
	}
	return refused
}

func (w *world) clockLocked(now time.Time, node cdn.NodeName, bears time.Time) *estimate.Clock {
	c := w.clocks[node]
	if c == nil {
		c = new(estimate.Clock)
		w.clocks[node] = c
	}
	c.Hear(now, bears)
	return c
}

// step judges everybody, and reports whether a state has changed.
func (w *world) step(now time.Time, pool func(cdn.NodeName) cdn.NodeState) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fleet != nil && w.tracker.Step(now, pool)
}

// view returns what is believed since the last step.
func (w *world) view(now time.Time) table.News {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.tracker.View(now)
	w.unusable = unusableOf(w.nodes, v.Nodes)
	w.loads.Fill(now, w.fleet, v.Nodes, v.POPs, w.behind)
	return table.News{Nodes: v.Nodes, POPs: v.POPs, Alarms: append(v.Alarms, w.wrongClocksLocked()...)}
}

// helpless returns the nodes of other POPs that are not to be asked, as of the last view: first those of POPs that a POP asks on a miss, then
// those of its own tier, to which it sends visitors when it is overloaded.
func (w *world) helpless(pop cdn.POPName) (nodes []cdn.NodeName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fleet == nil || w.fleet.POP(pop) == nil {
		return nil
	}
	own := w.fleet.POP(pop)
	parents := w.fleet.Parents(own)
	for _, parent := range parents {
		nodes = append(nodes, w.unusable[parent]...)
	}
	for i := range w.fleet.POPs {
		p := &w.fleet.POPs[i]
		if p.Name != pop && cmp.Or(p.Tier, cdn.TierEdge) == cmp.Or(own.Tier, cdn.TierEdge) && !slices.Contains(parents, p.Name) {
			nodes = append(nodes, w.unusable[p.Name]...)
		}
	}
	return nodes[:min(len(nodes), report.MaxUnusable)]
}

// unusableOf sorts the nodes that are not to be asked by their POPs.
func unusableOf(nodes map[cdn.NodeName]*cdn.Node, rows []cdn.NodeHealth) map[cdn.POPName][]cdn.NodeName {
	out := make(map[cdn.POPName][]cdn.NodeName)
	for i := range rows {
		if n := nodes[rows[i].Node]; !rows[i].State.Usable() && n != nil {
			out[n.POP] = append(out[n.POP], n.Name)
		}
	}
	return out
}

func (w *world) wrongClocksLocked() []string {
	var wrong []cdn.NodeName
	for node, c := range w.clocks {
		if c.Wrong() {
			wrong = append(wrong, node)
		}
	}
	slices.Sort(wrong)
	var alarms []string
	for i, node := range wrong {
		if i == maxClocks {
			return append(alarms, fmt.Sprintf("the clocks of %d more nodes are wrong", len(wrong)-i))
		}
		alarms = append(alarms, fmt.Sprintf("the clock of node %s is wrong by more than %v: set it", node, estimate.MaxAhead))
	}
	return alarms
}

func (w *world) setBehind(behind map[cdn.POPName]float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behind = behind
}

// ready reports whether every POP has reported.
func (w *world) ready() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fleet != nil && w.tracker.Heard()
}
