package assign

import (
	"math"
	"strings"
	"time"

	"nearcast/cdn"
)

// What the controller believes, and how soon (reference: the numbers come from simulations; docs/scheduling.md has the results).
const (
	// A cost is taken over only when it differs from the one in use by more than both.
	costBand      = 3000 // microseconds
	costBandShare = 10   // one in so many: 10 %

	demandGain  = 0.2  // of the difference, per slot
	demandSurge = 1.25 // above it the demand is followed at once,
	demandClamp = 1.5  // but by no more than this per slot

	headroom     = 0.85 // of its capacity that a POP is given
	hot          = 0.92 // utilisation above which a POP has too much
	factorLoss   = 0.06 // of a hot POP's factor, per slot, at most
	factorGain   = 1.005
	lowestFactor = 0.3

	warmStart = 0.1 // of its capacity that a POP begins with when it comes back
)

// match returns what is known of the POPs of a new table.
func (c *Controller) match(t *table, load []float64) []popState {
	pops := make([]popState, len(t.pops))
	var old []cdn.POPName
	if c.table != nil {
		old = c.table.names.pops
	}
	at := mapPOPs(t.names.pops, old)
	for p := range pops {
		pops[p] = popState{factor: 1}
		if at[p] >= 0 {
			pops[p] = c.pops[at[p]]
		}
		pops[p].load = load[p]
	}
	return pops
}

// mapPOPs finds each name of a sorted list in another: -1 if it is not there.
func mapPOPs(names, in []cdn.POPName) []int {
	at := make([]int, len(names))
	j := 0
	for i, name := range names {
		for j < len(in) && in[j] < name {
			j++
		}
		at[i] = -1
		if j < len(in) && in[j] == name {
			at[i] = j
		}
	}
	return at
}

// eachKnown calls f with every group that is in both tables.
func eachKnown(t, old *table, f func(g, before int)) {
	j := 0
	for g, id := range t.names.groups {
		for j < len(old.names.groups) && strings.Compare(old.names.groups[j], id) < 0 {
			j++
		}
		if j < len(old.names.groups) && old.names.groups[j] == id {
			f(g, j)
			j++
		}
	}
}

// smooth replaces what has been measured by what is believed.
func (c *Controller) smooth(t *table, slots int) {
	old := c.table
	if old == nil {
		return
	}
	back := mapPOPs(t.names.pops, old.names.pops)
	eachKnown(t, old, func(g, before int) {
		t.demand[g] = followDemand(old.demand[before], t.demand[g], slots)
		row, was := t.row(g), old.row(before)
		for i, ch := range row {
			if p := back[ch.pop()]; p >= 0 {
				row[i] = holdCost(ch, was, uint16(p))
			}
		}
	})
	if old.names.same(t.names) {
		t.names = old.names
	}
}

// followDemand moves an average: slowly, except up when there is much more than it says.
func followDemand(average, measured float64, slots int) float64 {
	for range slots {
		if measured > float64(demandSurge*average) && average > 0 {
			average = min(measured, float64(demandClamp*average))
			continue
		}
		average += float64(demandGain * (measured - average))
	}
	return average
}

// holdCost returns the choice with the cost that was used before, if that is still near enough. The POP is its number in the row from before.
func holdCost(ch choice, was []choice, pop uint16) choice {
	for _, w := range was {
		if uint16(w.pop()) != pop {
			continue
		}
		if diff := ch.cost() - w.cost(); max(diff, -diff) <= max(costBand, w.cost()/costBandShare) {
			return makeChoice(uint64(w.cost()), uint16(ch.pop()))
		}
		return ch
	}
	return ch
}

// learn moves the factors by which POPs take less than they say. It is an integrator: it makes up for whatever is wrong with the demand.
func learn(pops []popState, slots int) {
	for i := range pops {
		p := &pops[i]
		for range slots {
			switch {
			case p.load > hot:
				p.factor = max(lowestFactor, p.factor*(1-float64(factorLoss*min(1, (p.load-headroom)/(1-headroom)))))
			case p.load < headroom && p.factor < 1:
				p.factor = min(1, p.factor*factorGain)
			}
		}
	}
}

// keepTime remembers when POPs began to drain, to warm up, and went down.
func (c *Controller) keepTime(now time.Time, t *table, pops []popState) {
	for p := range pops {
		is, was := t.pops[p].state, c.before(t.names.pops[p], t.pops[p].state)
		s := &pops[p]
		switch {
		case is == was:
		case is == Draining:
			s.since, s.warming = now, false
		case is == Down:
			s.downed, s.warming = now, false
		case was == Down:
			s.since, s.warming = now, true
		}
		if s.warming && now.Sub(s.since) >= c.set.Warm {
			s.warming = false
		}
	}
}

// before is the state of a POP at the last step: the one it has now if it is new.
func (c *Controller) before(name cdn.POPName, now State) State {
	if c.table == nil {
		return now
	}
	if p, ok := findPOP(c.table.names.pops, name); ok {
		return c.table.pops[p].state
	}
	return now
}

// limits are what the POPs are given at most.
func (c *Controller) limits(now time.Time) []float64 {
	limits := make([]float64, len(c.pops))
	for p := range limits {
		row := &c.table.pops[p]
		limits[p] = row.capacity * headroom * c.pops[p].factor * c.ramp(now, row.state, &c.pops[p])
	}
	return limits
}

// ramp is the part of its capacity that a POP has on its way in or out.
func (c *Controller) ramp(now time.Time, is State, s *popState) float64 {
	switch {
	case is == Draining && s.since.IsZero(): // it was so when the controller began
		return 0
	case is == Draining:
		return 1 - passed(now, s.since, c.set.Drain)
	case s.warming:
		return warmStart + float64((1-warmStart)*passed(now, s.since, c.set.Warm))
	}
	return 1
}

// passed is the part of a time that is over: 0 to 1.
func passed(now, since time.Time, of time.Duration) float64 {
	if of <= 0 {
		return 1
	}
	return math.Min(1, math.Max(0, float64(now.Sub(since))/float64(of)))
}
