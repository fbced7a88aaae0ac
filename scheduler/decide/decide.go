package decide

import (
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/policy"
	"nearcast/scheduler/view"
)

// Query is what is asked.
type Query struct {
	// Domain is the site's domain that the visitor wants.
	Domain cdn.Domain
	// Class is the class of policies of the domain's site, if Classed says that it is known already; otherwise it is looked up.
	Class   int
	Classed bool
	// Client is the visitor's address or, in DNS without a client subnet, the
	// resolver's. The zero value means that nothing is known.
	Client netip.Addr
	// Now is the time; without it nobody is sent anywhere to explore.
	Now time.Time
	// Alone says that the answer is used for Client's network only, whatever its scope, as by a resolver that does not tell for whom it asks. Only then may a
	// network get another answer than those around it that have the same scope.
	Alone bool
	// Room is where to put the decision's nodes, if it is large enough; otherwise, as when it is nil, memory is allocated.
	Room []*cdn.Node
}

// Decision is where to send the visitor.
type Decision struct {
	// POP is the chosen POP; empty if there is none.
	POP cdn.POPName
	// Nodes are the POP's usable nodes, in the order in which this visitor should try
	// them for this domain. It is empty only if POP is.
	Nodes []*cdn.Node
	// Scope is the length of the prefix around Client for which the decision may be
	// reused (RFC 7871 section 7.2.1).
	Scope int
	// Reason says why this POP: one of the constants.
	Reason string
	// Outlook says how long the decision is likely to hold.
	Outlook Outlook
}

// Outlook is how long a decision is likely to hold.
type Outlook uint8

// The outlooks.
const (
	Ordinary Outlook = iota
	Stable           // the visitor's group has gone the same way for ten minutes, and the POP has room
	Leaving          // the POP is being drained
)

// Bounds of what is stable.
const (
	stableAfter = 10 * time.Minute
	stableBelow = 0.7 // utilisation of the POP
)

// Reasons for a decision.
const (
	Pinned    = "pinned"    // a policy says so
	Weighted  = "weighted"  // a policy divides the visitors
	Mapped    = "map"       // the map has it for the visitor's group
	Fallback  = "fallback"  // what the map has cannot be used now, and this is its next choice
	Explored  = "explored"  // to measure the way to a POP that could be as good
	Nearest   = "nearest"   // the nearest POP with a usable node and room; the visitor is in no group of the map
	Unplaced  = "unplaced"  // nobody knows where the visitor is; POPs take turns by network
	Forbidden = "forbidden" // policy leaves no POP that can be used
	NoNodes   = "empty"     // the fleet has no edge node
)

// asker is a visitor as answers see it.
type asker struct {
	network netip.Prefix // the zero value if nothing is known
	hash    uint64       // of network
	place   int
	class   int
	group   int // of the chart's index, or -1
	scope   int
	verdict *policy.Verdict
}

// Answer decides. What policy says goes first; then the visitor's group in the map, by weighted rendezvous on the network and the domain, so that
// shares hold and a network keeps its POP; and one answer in a hundred explores. Who is in no group gets the nearest POP that has room, or
// if nobody knows where they are, a POP by rendezvous on the network, so that one that fails gives away only its own share.
//
// No POP that policy forbids is ever chosen, and none without a usable node.
//
// Within the POP few nodes own a domain, so that its contents meet in their caches: two, or more of a domain that is much asked for. A visitor's
// network says which of them is first, unless that one has too much to do.
func Answer(v *view.View, q Query) Decision {
	a := ask(v, &q)
	pop, reason := choose(v, &q, &a)
	if pop < 0 {
		return Decision{Scope: a.scope, Reason: reason}
	}
	return Decision{
		POP: v.Usable[pop].Name, Nodes: rank(v, pop, &a, q.Domain, q.Room[:0]), Scope: a.scope, Reason: reason, Outlook: outlook(v, &q, &a, pop, reason),
	}
}

// outlook is how long a decision is likely to hold.
func outlook(v *view.View, q *Query, a *asker, pop int, reason string) Outlook {
	switch {
	case v.Usable[pop].Draining:
		return Leaving
	case reason != Mapped || q.Now.IsZero() || !(v.Load[pop] < stableBelow): // false if the load is not known
		return Ordinary
	case v.Chart.Since(v.Chart.Group(a.group, a.class)) > q.Now.Add(-stableAfter).Unix():
		return Ordinary
	}
	return Stable
}

// ask finds out about the visitor.
func ask(v *view.View, q *Query) asker {
	a := asker{group: -1}
	a.network, _ = locate.Network(q.Client)
	a.hash = hashNetwork(a.network)
	a.place, a.scope = v.Clients.Lookup(q.Client)
	if a.class = q.Class; !q.Classed {
		_, a.class = v.Site(q.Domain)
	}
	var scope int
	if a.verdict, scope = v.Active.Verdict(policy.Visitor{Place: a.place, Addr: q.Client, Class: a.class}); scope > a.scope {
		a.scope = scope
	}
	if v.Chart != nil {
		if a.group, scope = v.Chart.Find(q.Client, a.place); scope > a.scope {
			a.scope = scope
		}
	}
	return a
}

// narrow makes the scope that of the visitor's network: others around it may get another answer.
func (a *asker) narrow() { a.scope = max(a.scope, a.network.Bits()) }

// choose returns the POP, or -1, and why.
func choose(v *view.View, q *Query, a *asker) (pop int, reason string) {
	if pop, reason = byPolicy(v, q, a); pop >= 0 {
		return pop, reason
	}
	if pop, reason = byMap(v, q, a); pop >= 0 {
		return pop, reason
	}
	pop, reason = byPlace(v, a), Nearest
	if pop < 0 {
		pop, reason = takeTurns(v, q, a), Unplaced
	}
	if pop >= 0 {
		return pop, reason
	}
	for i := range v.Usable {
		if len(v.Usable[i].Nodes) > 0 {
			return -1, Forbidden
		}
	}
	return -1, NoNodes
}

// ok reports whether the visitor may be sent to the POP, now.
func (a *asker) ok(v *view.View, pop int) bool {
	return pop >= 0 && len(v.Usable[pop].Nodes) > 0 && a.verdict.Allows(pop)
}

// byPolicy is the POP that a policy decides, or -1. A drain goes before it.
func byPolicy(v *view.View, q *Query, a *asker) (pop int, reason string) {
	if a.verdict == nil {
		return -1, ""
	}
	if a.verdict.Pin >= 0 && a.ok(v, a.verdict.Pin) && !v.Usable[a.verdict.Pin].Draining {
		return a.verdict.Pin, Pinned
	}
	best, score := -1, 0.0
	several := 0
	key := mix(a.hash ^ hashName(q.Domain))
	for _, w := range a.verdict.Weights {
		if !a.ok(v, w.POP) || v.Usable[w.POP].Draining {
			continue
		}
		several++
		if s, ok := below(score, key^v.POPs[w.POP].Hash, float64(w.Weight)); best < 0 || ok {
			best, score = w.POP, s
		}
	}
	if several > 1 {
		a.narrow()
	}
	return best, Weighted
}

// byMap is the POP that the map has for the visitor, or -1.
func byMap(v *view.View, q *Query, a *asker) (pop int, reason string) {
	c := v.Chart
	if c == nil {
		return -1, ""
	}
	g := c.Group(a.group, a.class)
	if g < 0 {
		return -1, ""
	}
	shares := c.Map.Shares(g)
	if len(shares) > 1 && shares[1].Weight > 0 {
		a.narrow()
	}
	if explored := explore(v, q, a); explored >= 0 {
		a.narrow()
		return explored, Explored
	}
	if at, ok := c.Map.Pick(g, key(a.network, q.Domain)); ok {
		if pop = c.POP(at); a.ok(v, pop) && !lifted(v, pop) {
			return pop, Mapped
		}
	}
	for _, s := range shares {
		if pop = c.POP(int(s.POP)); a.ok(v, pop) && !lifted(v, pop) {
			return pop, Fallback
		}
	}
	return -1, ""
}

// lifted reports whether the map has a POP that is drained only because all look down: that is an error of who measures, and a drain is none.
func lifted(v *view.View, pop int) bool {
	if !v.Usable[pop].Draining {
		return false
	}
	seen, ok := v.Chart.Seen(pop)
	return ok && seen.State == assign.Down
}

// full is the utilisation from which on a POP gets nobody whom the map does not send.
const full = 0.92

// byPlace is the nearest POP that is usable and has room, else that is usable, or -1 if there is none or it is not known where the visitor is. Who has been
// measured gets the cheapest if that is not known.
func byPlace(v *view.View, a *asker) int {
	var near []int
	if a.place != locate.None {
		near = v.Nearest(a.place)
	}
	switch {
	case near == nil && a.group < 0:
		return -1
	case near == nil || a.verdict.Prefers():
		return cheapest(v, a)
	}
	if pop := first(v, a, near, true); pop >= 0 {
		return pop
	}
	if len(near) == len(v.POPs) {
		return first(v, a, near, false)
	}
	if pop := farther(v, a, true); pop >= 0 {
		return pop
	}
	return farther(v, a, false)
}

// farther is first for all POPs in the order of their distance, which nobody has at hand for so many. Visitors whom policy sends far away need it each time.
func farther(v *view.View, a *asker, room bool) int {
	best, least := -1, 0.0
	for pop := range v.POPs {
		if !a.ok(v, pop) || room && !hasRoom(v, pop) {
			continue
		}
		km, _ := v.Kilometres(a.place, pop)
		if best < 0 || km < least || km == least && v.POPs[pop].Name < v.POPs[best].Name {
			best, least = pop, km
		}
	}
	return best
}

// first returns the first POP of an order that is usable, and if need be has room, or -1.
func first(v *view.View, a *asker, order []int, room bool) int {
	for _, pop := range order {
		if a.ok(v, pop) && (!room || hasRoom(v, pop)) {
			return pop
		}
	}
	return -1
}

// hasRoom reports whether a POP takes visitors whom the map does not send. A load that is not known is none.
func hasRoom(v *view.View, pop int) bool { return !(v.Load[pop] >= full) && !v.Usable[pop].Draining }

// exploredOne is of how many networks one is sent elsewhere, in a minute.
const exploredOne = 100

// Bounds of what is worth exploring.
const (
	exploreWithin = 30  // milliseconds behind the best
	exploreBelow  = 8   // samples: there are fewer
	exploreRoom   = 0.8 // utilisation that the map plans: there is less
	exploreAsks   = 1   // requests a second of the group: of one with less too few answers come back to learn from
)

// explore is a POP whose way to the visitor is little known and could be as good, or -1. It is for one network in a hundred, others every minute. An
// answer that is shared is left alone if it is for more than one network; and so is everybody while nobody learns from it, or knows who is full.
func explore(v *view.View, q *Query, a *asker) int {
	if q.Now.IsZero() || !v.Loads || v.HealthIgnored || !a.network.IsValid() || !q.Alone && a.scope < a.network.Bits() {
		return -1
	}
	turn := mix(a.hash ^ uint64(q.Now.Unix()/60)) //nolint:gosec // the bits
	if turn%exploredOne != 0 {
		return -1
	}
	return prospect(v, a, turn/exploredOne)
}

// turnTime is how long a network that nobody has measured keeps its POP.
const turnTime = 10 * time.Minute

// takeTurns returns the POP whose turn the network is, or -1. While nobody has measured it that changes over time, so that it becomes measured.
func takeTurns(v *view.View, q *Query, a *asker) int {
	key := a.hash
	if !q.Now.IsZero() && v.Chart != nil && a.network.IsValid() {
		key = mix(key ^ uint64(q.Now.UnixNano()/int64(turnTime))) //nolint:gosec // the bits
	}
	best, score := -1, 0.0
	for _, room := range [...]bool{true, false} {
		for i := range v.Usable {
			if !a.ok(v, i) || room && !hasRoom(v, i) {
				continue
			}
			if s, ok := below(score, key^v.Usable[i].Hash, v.Usable[i].Capacity); best < 0 || ok {
				best, score = i, s
			}
		}
		if best >= 0 {
			a.narrow()
			break
		}
	}
	return best
}
