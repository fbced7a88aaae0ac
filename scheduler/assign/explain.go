package assign

import "nearcast/cdn"

// Choice is a POP as a group sees it.
type Choice struct {
	// POP is its name.
	POP cdn.POPName
	// Cost in milliseconds, as it is used: what was measured last may differ from it by less than the dead-band.
	Cost float64
	// Neighbour says that it is no candidate: it is near the first of them.
	Neighbour bool
	// Weight is its share of the group, as part of Whole.
	Weight uint16
	// State is the POP's.
	State State
	// Factor is the part of its capacity that it really takes, as learnt: above 0, at most 1.
	Factor float64
	// Utilisation is the demand that is planned for it as part of its capacity, and Load what was measured last; NaN is unknown.
	Utilisation, Load float64
	// Reason says why it has its share: one of the Reason constants.
	Reason string
}

// Reasons for the share of a POP.
const (
	ReasonDown    = "down"            // it takes nothing
	ReasonFirst   = "first choice"    // it has the lowest cost of all that take traffic
	ReasonSpill   = "others are full" // those of lower cost have no room for all
	ReasonFull    = "full"            // it has a lower cost than where the group goes, but no room: others would lose more by going elsewhere
	ReasonStandBy = "stand-by"        // where the group goes if the others fail
	ReasonDearer  = "costs more"      // than where the group goes
)

// Explain tells how a group of the last map is seen: its choices by cost, candidates and, as far as it goes there, neighbours. It takes microseconds, and
// reports false if there is no such group.
func (c *Controller) Explain(id string) ([]Choice, bool) {
	if c.table == nil {
		return nil, false
	}
	g, ok := c.last.Map.Find(id)
	if !ok {
		return nil, false
	}
	r := &c.last.Map.rows[g]
	row := c.table.row(g)
	list := make([]Choice, 0, len(row)+MaxShares)
	for _, ch := range row {
		list = append(list, c.choice(ch.pop(), ch.cost()))
	}
	near := c.table.pops[row[0].pop()].near
	for _, ch := range near {
		if !has(row, ch.pop()) && r.has(uint16(ch.pop())) {
			n := c.choice(ch.pop(), ch.cost()+row[0].cost())
			n.Neighbour = true
			list = append(list, n)
		}
	}
	c.reasons(list, r)
	return list, true
}

func (c *Controller) choice(pop int, micros int64) Choice {
	row, s := &c.table.pops[pop], &c.pops[pop]
	return Choice{
		POP:         c.table.names.pops[pop],
		Cost:        float64(micros) / 1000,
		State:       row.state,
		Factor:      s.factor,
		Utilisation: s.planned / row.capacity,
		Load:        s.load,
	}
}

// reasons fills in weights, and why they are so.
func (c *Controller) reasons(list []Choice, r *shareRow) {
	last := -1 // the last with a share
	for i := range list {
		p, _ := findPOP(c.table.names.pops, list[i].POP)
		if list[i].Weight = uint16(r.weight(uint16(p))); list[i].Weight > 0 {
			last = i
		}
	}
	first := true
	for i := range list {
		ch := &list[i]
		p, _ := findPOP(c.table.names.pops, ch.POP)
		switch {
		case ch.State == Down && ch.Weight == 0:
			ch.Reason = ReasonDown
			continue
		case ch.Weight > 0 && first:
			ch.Reason = ReasonFirst
		case ch.Weight > 0:
			ch.Reason = ReasonSpill
		case i < last:
			ch.Reason = ReasonFull
		case r.has(uint16(p)):
			ch.Reason = ReasonStandBy
		default:
			ch.Reason = ReasonDearer
		}
		first = false
	}
}

// has reports whether a POP is in a row, be it as a stand-by.
func (r *shareRow) has(pop uint16) bool {
	for _, s := range r.slice() {
		if s.POP == pop {
			return true
		}
	}
	return false
}

// Explainer tells of a controller's last map what [Controller.Explain] does, and goes on doing so whatever the controller does then. It is for concurrent use.
type Explainer struct {
	of Controller // with what is needed of it
}

// Explainer returns one for the last map. Before the first step it knows no group.
func (c *Controller) Explainer() *Explainer {
	return &Explainer{Controller{table: c.table, pops: append([]popState(nil), c.pops...), last: Result{Map: c.last.Map}}}
}

// Explain tells how a group is seen, as [Controller.Explain] does.
func (e *Explainer) Explain(id string) ([]Choice, bool) { return e.of.Explain(id) }

// POPView is what is known of a POP.
type POPView struct {
	// State is what the controller takes it for.
	State State
	// Capacity is what it can take, and Factor the part of that which it really takes, as learnt.
	Capacity, Factor float64
	// Planned is the demand that the map gives it, and Load the utilisation that was measured last; NaN is unknown.
	Planned, Load float64
}

// POPs are what is known of the POPs, in the order of [Map.POPs].
func (e *Explainer) POPs() []POPView {
	out := make([]POPView, len(e.of.pops))
	for p := range out {
		row, s := &e.of.table.pops[p], &e.of.pops[p]
		out[p] = POPView{row.state, row.capacity, s.factor, s.planned, s.load}
	}
	return out
}

// Last is the result of the last step or change; its map is nil if there was none.
func (c *Controller) Last() Result { return c.last }
