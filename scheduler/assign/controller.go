package assign

import (
	"math"
	"time"
)

// Settings of a [Controller]. The zero value of a field is its default.
type Settings struct {
	// Slot is the time between two steps that the controller learns from: 5 s.
	Slot time.Duration
	// Drain is within what time a draining POP's capacity goes down to nothing, Warm within what time that of one that comes back goes up from a tenth
	// to all: 60 s each. Negative is at once.
	Drain, Warm time.Duration
	// Confirm is within what time so many POPs must not go down: 30 s.
	Confirm time.Duration
}

func (s Settings) withDefaults() Settings {
	s.Slot = orDefault(s.Slot, 5*time.Second)
	s.Drain = orDefault(s.Drain, 60*time.Second)
	s.Warm = orDefault(s.Warm, 60*time.Second)
	s.Confirm = orDefault(s.Confirm, 30*time.Second)
	return s
}

func orDefault(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return d
}

// Input is what is known at a time.
type Input struct {
	// Problem is with the POPs' full capacities and with costs, demand and states as they were measured.
	Problem
	// Load is the utilisation of each POP as measured, in the order of POPs and of as many: 1 is all of its capacity. NaN is unknown; so are all if
	// it is nil, and what cannot be (below 0, above MaxLoad), which raises an alarm.
	Load []float64
	// Accept says that somebody has looked and it is true: the guards do not freeze the map.
	Accept bool
}

// MaxLoad is the highest utilisation that is believed.
const MaxLoad = 20

// Result is what a step came to.
type Result struct {
	// Map to be published: never nil.
	Map *Map
	// Report on it. If the map is frozen it is the report from when it was made.
	Report Report
	// Frozen says why the map is the last one although something else was asked for; empty if it is not.
	Frozen string
	// Alarms are what somebody should look at, in a fixed order. What freezes the map is among them.
	Alarms []string
	// Moved is the share of all demand that goes elsewhere than in the last map: 0 to 1.
	Moved float64
}

// POPChange is news of one POP.
type POPChange struct {
	// POP is its index in the POPs of the last [Controller.Step].
	POP int
	// State is what it now is.
	State State
	// Capacity is what it now takes; 0 leaves it as it was.
	Capacity float64
}

// Controller makes maps in a loop. It is not for concurrent use.
//
// What a map is depends on everything that the controller has seen since it was made or restored: for schedulers to agree they take their steps at the same times with
// the same inputs; one that comes later is made by [Restore] of another's state.
type Controller struct {
	set    Settings
	solver solver
	table  *table   // as smoothed; nil before the first step
	place  []uint16 // the last caller's POPs in the table
	pops   []popState
	slot   int64
	last   Result
}

// popState is what a controller knows of a POP.
type popState struct {
	factor   float64   // of its capacity that it really takes: lowestFactor to 1
	ideal    float64   // what the factor should be, as learnt
	planned  float64   // its demand by the map in force
	expected float64   // the demand that has come to it already
	leaving  float64   // its demand by the map in force when it began to drain
	load     float64   // as measured last; NaN if unknown
	since    time.Time // when it began to drain or to warm up
	warming  bool
	downed   time.Time // when it last went down; zero: never
}

// NewController returns one that has seen nothing.
func NewController(s Settings) *Controller { return &Controller{set: s.withDefaults()} }

// Step takes an input and makes the next map. It is to be called once in a slot; earlier ones learn nothing but solve everything again. An input
// that cannot be right is refused with an error that says where, and the controller is as before.
func (c *Controller) Step(now time.Time, in Input) (Result, error) {
	t, place, err := compile(&in.Problem)
	if err != nil {
		return Result{}, err
	}
	if in.Load != nil && len(in.Load) != len(in.POPs) {
		return Result{}, refuse("load of %d POPs, but there are %d", len(in.Load), len(in.POPs))
	}
	var alarms []string
	load := loads(&in, t, place, &alarms)
	pops := c.match(t, load)
	if reason := c.guard(now, t, in.Accept); reason != "" {
		return c.freeze(reason, alarms), nil
	}
	elapsed := c.slots(now)
	c.smooth(t, elapsed)
	t.sort()
	c.keepTime(now, t, pops)
	prev := c.previous(t)
	c.learn(t, pops, prev, elapsed)
	c.table, c.place, c.pops = t, place, pops
	return c.solve(now, prev, max(elapsed, 1), alarms), nil
}

// Change is a step between slots: states or capacities of a few POPs have changed, everything else is as in the last step. It costs a fraction of a step, and
// comes to exactly what a step with the same would.
func (c *Controller) Change(now time.Time, changes []POPChange) (Result, error) {
	if c.table == nil {
		return Result{}, refuse("a change before the first step")
	}
	t := *c.table
	t.pops = append([]popRow(nil), t.pops...)
	for i, ch := range changes {
		switch {
		case ch.POP < 0 || ch.POP >= len(c.place):
			return Result{}, refuse("change %d: there is no POP %d, only %d", i, ch.POP, len(c.place))
		case ch.State > Down:
			return Result{}, refuse("change %d: unknown state %d", i, ch.State)
		case ch.Capacity != 0 && !(ch.Capacity >= minCapacity) || ch.Capacity > maxAmount:
			return Result{}, refuse("change %d: capacity %v, want a number above 0, or 0 for no change", i, ch.Capacity)
		}
		row := &t.pops[c.place[ch.POP]]
		row.state = ch.State
		if ch.Capacity > 0 {
			row.capacity = ch.Capacity
		}
	}
	if reason := c.guard(now, &t, false); reason != "" {
		return c.freeze(reason, nil), nil
	}
	c.keepTime(now, &t, c.pops)
	c.table = &t
	return c.solve(now, c.last.Map.rows, 1, nil), nil
}

// slots returns how many slots have begun since the last step, and remembers.
func (c *Controller) slots(now time.Time) int {
	slot := now.UnixNano() / int64(c.set.Slot)
	elapsed := slot - c.slot
	if c.table == nil || elapsed < 0 {
		elapsed = 0
	}
	c.slot = slot
	return int(min(elapsed, mostSlots))
}

// mostSlots is how many slots are made up for after a pause.
const mostSlots = 12

// loads brings the measured loads into the table's order.
func loads(in *Input, t *table, place []uint16, alarms *[]string) []float64 {
	load := make([]float64, len(t.pops))
	for p := range load {
		load[p] = math.NaN()
	}
	for i, u := range in.Load {
		if u < 0 || u > MaxLoad {
			*alarms = append(*alarms, alarmLoad(t.names.pops[place[i]], u))
			continue
		}
		load[place[i]] = u
	}
	return load
}

// solve makes the next map from the table.
func (c *Controller) solve(now time.Time, prev []shareRow, slots int, alarms []string) Result {
	t := c.table
	limits := c.limits(now)
	target := c.solver.solve(t, limits)
	m := target
	if prev != nil {
		m = c.settle(target, prev, limits, slots)
	}
	r := Result{Map: m, Report: c.solver.report(t, m), Alarms: alarms}
	for p, planned := range r.Report.Planned {
		c.pops[p].planned = planned
		if prev == nil { // as if visitors had always gone there
			c.pops[p].expected = planned
		}
	}
	if prev != nil {
		r.Moved = moved(t, prev, m.rows)
	}
	r.Alarms = append(r.Alarms, r.Report.alarms()...)
	c.last = r
	return r
}

// freeze returns the last result again.
func (c *Controller) freeze(reason string, alarms []string) Result {
	r := c.last
	r.Frozen, r.Moved = reason, 0
	r.Alarms = append(append(alarms, "the map is frozen: "+reason), r.Report.alarms()...)
	return r
}

// moved is the share of the demand that changes its POP.
func moved(t *table, prev, next []shareRow) float64 {
	sum, total := 0.0, 0.0
	for g, d := range t.demand {
		total += d.used
		if prev[g] != next[g] {
			sum += float64(d.used * (float64(distance(&prev[g], &next[g])) / Whole))
		}
	}
	if total == 0 {
		return 0
	}
	return sum / total
}
