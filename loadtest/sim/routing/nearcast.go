package main

import (
	"fmt"
	"slices"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
	"nearcast/scheduler/assign"
)

const (
	slot  = 5   // seconds between two steps of the controller
	first = 150 // seconds of measuring before the first step; until then geography is all there is
	// answerLag is how long it takes until the outcome of a probe counts, in seconds: with three probes to a death, one each second, the map knows of it
	// after 3 s, as --gossip finds. The rivals know at once.
	answerLag = 1
	leastSeen = 8 // samples, without which a POP is not offered to the controller: it remembers the first cost that it is told
)

// nearcast steers as the running system does: estimates from measurement, states from estimate.Health, the map from assign.Controller.
type nearcast struct {
	w       *world
	measure *measurement
	control *schedulers
	health  []estimate.Health
	states  []assign.State
	pops    []assign.POP
	place   []int // the map's POPs in the world
	rows    []int // the map's groups in the world
	m       [][]share
	answers []bool // by POP: of the second before
	frozen  int    // steps whose map was frozen
	err     error
}

// newNearcast returns a system of so many schedulers.
func newNearcast(w *world, schedulers int) *nearcast {
	c := &nearcast{
		w: w, measure: newMeasurement(w), control: newSchedulers(schedulers, len(w.names), w.seed),
		health: make([]estimate.Health, len(w.names)), states: make([]assign.State, len(w.names)),
	}
	for p, name := range w.names {
		pop := assign.POP{Name: cdn.POPName(name)}
		for _, q := range ranked(w.mesh[p]) {
			if q != p {
				pop.Near = append(pop.Near, assign.Candidate{POP: uint16(q), Cost: float32(w.mesh[p][q])}) //nolint:gosec // at most maxSites
			}
		}
		c.pops = append(c.pops, pop)
	}
	return c
}

// second measures, watches, and steps when a slot begins or a state has changed.
func (c *nearcast) second(s sight) ([][]share, bool) {
	c.measure.second(s)
	var changes []assign.POPChange
	answers := c.lagged(s)
	for p := range c.health {
		c.health[p].Observe(clock(s.t), answers[p])
		state := assign.Up
		if is, _ := c.health[p].State(clock(s.t)); is == estimate.Down || is == estimate.Suppressed {
			state = assign.Down
		}
		if state != c.states[p] {
			changes = append(changes, assign.POPChange{POP: p, State: state})
			c.states[p] = state
		}
	}
	if s.t < first-warmUp {
		return c.begin()
	}
	var r assign.Result
	var err error
	switch {
	case s.t%slot == 0:
		r, err = c.control.step(clock(s.t), c.input(s))
	case len(changes) > 0:
		r, err = c.control.change(clock(s.t), changes)
	default:
		return c.m, false
	}
	if err != nil {
		c.err = fmt.Errorf("seed %d, second %d: %w", c.w.seed, s.t, err)
		return c.m, false
	}
	if r.Frozen != "" {
		c.frozen++
		return c.m, false
	}
	c.m = c.translate(r.Map)
	return c.m, true
}

// lagged returns which POPs answered a second ago (answerLag), to probes or by reporting.
func (c *nearcast) lagged(s sight) []bool {
	now := slices.Clone(s.answered)
	for p := range now {
		now[p] = now[p] || s.heard[p]
	}
	before := c.answers
	c.answers = now
	if before == nil { // it has just begun
		return now
	}
	return before
}

// begin is the map of before anything is known.
func (c *nearcast) begin() ([][]share, bool) {
	if c.m != nil {
		return c.m, false
	}
	c.m = nearest(c.w, func(int) bool { return true })
	return c.m, true
}

// input is what the controller is told.
func (c *nearcast) input(s sight) assign.Input {
	in := assign.Input{Load: s.load}
	in.POPs = slices.Clone(c.pops)
	for p := range in.POPs {
		in.POPs[p].Capacity, in.POPs[p].State = s.capacity[p], c.states[p]
	}
	for g, id := range c.w.groups {
		row := assign.Group{ID: id, Demand: s.demand[g]}
		for _, p := range c.measure.offered(g, s.t) {
			row.Candidates = append(row.Candidates, assign.Candidate{POP: uint16(p), Cost: float32(c.measure.cost(g, p, s.t))}) //nolint:gosec // at most maxSites
		}
		in.Groups = append(in.Groups, row)
	}
	return in
}

// translate brings a map into the world's order.
func (c *nearcast) translate(m *assign.Map) [][]share {
	if c.place == nil {
		for _, name := range m.POPs() {
			c.place = append(c.place, slices.Index(c.w.names, string(name)))
		}
		for i := range m.Len() {
			c.rows = append(c.rows, slices.Index(c.w.groups, m.ID(i)))
		}
	}
	out := make([][]share, len(c.w.groups))
	for i, g := range c.rows {
		for _, s := range m.Shares(i) {
			if s.Weight > 0 {
				out[g] = append(out[g], share{c.place[s.POP], float64(s.Weight) / assign.Whole})
			}
		}
	}
	return out
}
