package assign

import (
	"math"
	"strings"
	"time"

	"nearcast/cdn"
)

// What the controller believes, and how soon. The numbers were found by simulation: see TestLoop.
const (
	// A cost is taken over only when it differs from the one in use by more than both.
	costBand      = 3000 // microseconds
	costBandShare = 10   // one in so many: 10 %

	demandGain = 0.2  // of the difference, per slot
	surge      = 1.12 // times the average: above it, and
	surgeStart = 1.05 // above this in the slot before, demand is believed at once,
	surgeAhead = 4    // and what it has risen by is expected to come so many times more,
	surgeClamp = 1.5  // but neither may make it more than this times what it was
	demandBand = 0.05 // the average is taken over only when it differs from the demand in use by more

	headroom     = 0.85 // of its capacity that a POP is given
	hot          = 0.92 // utilisation above which a POP has too much
	lead         = 2    // by how much more than its excess a POP is given less while the excess lasts,
	lowestRoom   = 0.3  // but not less than this part of its capacity
	lowestFactor = 0.3
	factorLoss   = 0.25 // of the difference by which the factor is too high, per slot
	factorGain   = 0.05 // and too low
	factorBand   = 0.03 // the factor is taken over only when it differs from the one in use by more
	believed     = 0.2  // utilisation from which on it says something of the factor

	expiry = 0.22 // of the visitors have heard of a new map after a slot: answers live for 20 s

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
		pops[p] = popState{factor: 1, ideal: 1}
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
		t.demand[g].follow(&old.demand[before], slots)
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

// follow updates the average of a group's demand, and what it is taken for: the average, or what that was before if it is near enough. When demand rises fast it is
// believed at once and taken for what it will be when visitors have heard of the next map.
func (d *demand) follow(before *demand, slots int) {
	if slots == 0 {
		*d = *before
		return
	}
	measured := d.last
	d.average, d.used = before.average, before.used
	for range slots {
		if measured > float64(surge*d.average) && before.last > float64(surgeStart*d.average) {
			d.average = min(measured, float64(surgeClamp*d.average))
			rise := float64(max(0, measured-before.last) * surgeAhead)
			d.used = d.average + min(rise, float64((surgeClamp-1)*d.average))
			return
		}
		d.average += float64(demandGain * (measured - d.average))
	}
	if math.Abs(d.average-d.used) > float64(demandBand*d.used) {
		d.used = d.average
	}
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

// learn moves the factors by which POPs take less than they say: by comparing the load that was measured with the one
// that there should be by the demand and by the last maps, of which visitors hear only as their answers expire. A mere
// integrator of the load would take what is still under way for a mistake, and wind up.
func (c *Controller) learn(t *table, pops []popState, prev []shareRow, slots int) {
	if prev == nil {
		return
	}
	planned := make([]float64, len(pops))
	plan(t, prev, planned)
	for p := range pops {
		s := &pops[p]
		if s.planned > 0 { // who asks for more does so at once
			s.expected *= planned[p] / s.planned
		}
		if !(s.expected <= maxSum) { // it was next to nothing
			s.expected = planned[p]
		}
		s.planned = planned[p]
		for range slots {
			s.expected += float64(expiry * (planned[p] - s.expected))
			s.learn(t.pops[p].capacity)
		}
	}
}

func (s *popState) learn(capacity float64) {
	if s.load >= believed && s.expected >= believed*capacity { // false if the load is unknown
		ideal := min(1, max(lowestFactor, s.expected/(s.load*capacity)))
		gain := factorGain
		if ideal < s.ideal {
			gain = factorLoss
		}
		s.ideal += float64(gain * (ideal - s.ideal))
	}
	if math.Abs(s.ideal-s.factor) > float64(factorBand*s.factor) {
		s.factor = s.ideal
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
			if s.since, s.leaving, s.warming = now, s.planned, false; was == Down { // nobody is there whom it would have to lose slowly
				s.since = time.Time{}
			}
		case is == Down:
			if s.warming = false; was == Up { // else it is no loss
				s.downed = now
			}
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

// limits are what the POPs are given at most. One that has too much already, because visitors have not yet heard of the map that relieves it, is given less than it
// will be in the end, so that those leave sooner who have.
func (c *Controller) limits(now time.Time) []float64 {
	limits := make([]float64, len(c.pops))
	for p := range limits {
		row := &c.table.pops[p]
		s := &c.pops[p]
		over := max(0, s.expected/(row.capacity*s.factor)-hot)
		limit := row.capacity * max(lowestRoom, headroom-float64(lead*over)) * s.factor
		if row.state == Draining { // what leaves is what was there, or an idle POP would keep all of it to the last moment
			limit = min(limit, s.leaving)
		}
		limits[p] = limit * ramp(now, row.state, s, c.set)
	}
	return limits
}

// ramp is the part of its capacity that a POP has on its way in or out.
func ramp(now time.Time, is State, s *popState, set Settings) float64 {
	switch {
	case is == Draining && s.since.IsZero(): // it was so when the controller began
		return 0
	case is == Draining:
		return 1 - passed(now, s.since, set.Drain)
	case s.warming:
		return warmStart + float64((1-warmStart)*passed(now, s.since, set.Warm))
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
