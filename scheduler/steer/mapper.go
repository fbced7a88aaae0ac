package steer

import (
	"encoding/hex"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/policy"
	"nearcast/scheduler/view"
)

// settings of the controller. Who comes back gets a rising share of its capacity by the route table; to warm it up here too would do so twice.
var settings = assign.Settings{Slot: cdn.SlotTime, Warm: -1} //nolint:gochecknoglobals // constant

// Mapper makes maps in a loop. It is not for concurrent use.
type Mapper struct {
	plan     *view.Plan // nil before the first Configure
	ctl      *assign.Controller
	table    *cdn.RouteTable // accepted last; nil if none
	received time.Time       // when table was received or confirmed last, by the clock here
	steps    uint64          // that the controller has taken
	made     cdn.Generation  // of the plan that the map was made for
	aged     time.Time       // when the last step was that ageing made; zero if it was a table's
	shrunk   time.Time       // since when tables have had too few groups to be obeyed; zero if they have not
	active   *policy.Active  // the policies that the map was made with
	classes  string          // of sites, likewise
	dirty    bool            // the plan is newer than the map
	accept   bool            // somebody has looked, and the next step is true

	chart   *view.Chart
	index   *view.Index
	near    nearby
	weight  float64  // that measurements had in the last step
	refused string   // why the last table was refused; empty if it was not
	doubted string   // likewise, if somebody may say that it is true nevertheless
	failed  string   // why there was no step although there should have been one; empty if there was
	absurd  []string // what was corrected in the last step
}

// New returns a mapper that has seen nothing.
func New() *Mapper {
	return &Mapper{ctl: assign.NewController(settings), weight: 1}
}

// Configure makes a plan the one that maps are for. What it changes about POPs comes into the map with its next step; names and places are
// looked up in it at once.
func (m *Mapper) Configure(p *view.Plan, now time.Time) {
	first := m.plan == nil
	m.plan, m.dirty = p, true
	if first && m.table != nil { // it came before
		t := m.table
		m.table = nil
		m.Table(now, t)
		return
	}
	m.bind()
}

// Accept says that somebody has looked and what the next table says is true, however much is lost by it: the guards do not freeze the map then. It
// returns what it is that counts from the next step on, and fails if there is nothing that has been frozen or refused.
func (m *Mapper) Accept() (held string, err error) {
	switch {
	case m.doubted != "":
		held = m.doubted
	case m.chart != nil:
		held = m.chart.Frozen
	}
	if held == "" {
		return "", cdn.Errorf(cdn.Conflict, "scheduler/steer", "no table is doubted and the map is not frozen: there is nothing to accept")
	}
	m.accept = true
	return held, nil
}

// Table takes a route table, in the order in which they were published. One of another slot is a step of the map, one of the same slot only
// changes what has changed of POPs, and the same one again confirms it. A table that cannot be right is refused: the map stays, and an
// alarm says why. It reports whether anything is new.
func (m *Mapper) Table(now time.Time, t *cdn.RouteTable) bool {
	if m.plan == nil {
		m.table, m.received = t, now
		return false
	}
	if m.table != nil && m.table.Epoch == t.Epoch && m.table.Version == t.Version {
		late := now.Sub(m.received) > view.MaxTableAge
		m.received = now
		if !late || m.aged.IsZero() {
			return late
		}
	} else {
		reason := m.refuse(now, t)
		if reason == "" {
			m.doubted = m.doubt(t)
			reason = m.doubted
		}
		if reason != "" {
			changed := m.refused != reason
			m.refused = reason
			return changed
		}
	}
	slot := m.table == nil || m.table.Epoch != t.Epoch || m.table.Slot != t.Slot || !m.aged.IsZero() || m.chart == nil
	t = m.tooFew(t)
	m.table, m.received, m.refused = t, now, ""
	at := t.At
	if at.IsZero() {
		at = now
	}
	if slot && m.shrunk.IsZero() {
		m.aged, m.weight = time.Time{}, 1
		m.step(now, at, true)
	} else {
		m.change(now, at)
	}
	return true
}

// Tick lets measurements grow old that no table has followed for a minute: at multiples of five minutes, so that all schedulers do the same.
// It is to be called once a second or so, and reports whether anything is new.
func (m *Mapper) Tick(now time.Time) bool {
	if m.plan == nil || m.table == nil || now.Sub(m.received) <= view.MaxTableAge {
		return false
	}
	boundary := now.Truncate(ageingStep)
	at := m.measured()
	if boundary.After(at) && boundary.After(m.aged) && boundary.Sub(at) >= view.MaxTableAge {
		m.aged, m.weight = boundary, weight(boundary.Sub(at))
		m.step(now, boundary, boundary.Sub(at) < view.MaxStateAge)
		return true
	}
	if m.dirty && m.chart != nil {
		m.change(now, now.Truncate(cdn.SlotTime))
		return true
	}
	return false
}

// step makes the next map of everything.
func (m *Mapper) step(now, at time.Time, states bool) {
	before := m.active
	m.active = m.plan.Policies.At(at, before)
	m.index = view.NewIndex(m.plan, m.table.Groups, m.index)
	b := newBuilder(m, states)
	in := b.input()
	m.absurd = b.alarms()
	in.Accept = m.accept || m.regrouped(before) && !m.loses(&in)
	result, err := m.ctl.Step(at, in)
	if err != nil {
		m.failed = err.Error()
		return
	}
	m.failed = ""
	if result.Frozen == "" {
		if m.accept {
			m.steps++ // those go on from this map who have not heard that it is true
		}
		m.accept, m.dirty, m.classes, m.made = false, false, m.classNames(), m.plan.Generation
	}
	m.steps++
	m.publish(now, &result)
}

// change takes over what is new of POPs between slots.
func (m *Mapper) change(now, at time.Time) {
	b := newBuilder(m, m.aged.IsZero() || m.aged.Sub(m.measured()) < view.MaxStateAge)
	changes := b.changes(m.chart)
	m.dirty = false // what else the plan has changed comes with the next step
	if len(changes) == 0 {
		if m.chart.Frozen == "" && m.shrunk.IsZero() {
			m.bind()
			return
		}
		r := m.ctl.Last() // why it was frozen may be no longer so
		m.publish(now, &r)
		return
	}
	result, err := m.ctl.Change(at, changes)
	if err != nil {
		m.failed = err.Error()
		return
	}
	m.failed = ""
	m.steps++
	m.publish(now, &result)
}

// publish makes the chart of a result.
func (m *Mapper) publish(now time.Time, r *assign.Result) {
	digest := r.Map.Digest()
	frozen := r.Frozen
	alarms := r.Alarms
	if frozen == "" && !m.shrunk.IsZero() {
		frozen = "the route table has less than half of the groups that it had"
		alarms = append([]string{"the map is frozen: " + frozen}, alarms...)
	}
	c := view.Chart{
		Index: m.index, Map: r.Map, Table: m.table, Weight: m.weight, Frozen: frozen, Alarms: append(slices.Clip(alarms), m.absurd...),
		Moved: r.Moved, Explainer: m.ctl.Explainer(),
		Version: cdn.MapVersion{
			Epoch: m.table.Epoch, Version: m.table.Version, Slot: m.table.Slot, Digest: hex.EncodeToString(digest[:]), Steps: m.steps, Generation: m.made, At: now,
		},
	}
	m.chart = c.Bind(m.plan, m.chart)
}

// bind makes the chart again for a new plan, or a new version of the table with the same map.
func (m *Mapper) bind() {
	if m.chart == nil {
		return
	}
	m.index = view.NewIndex(m.plan, m.table.Groups, m.index)
	c := *m.chart
	c.Index, c.Table = m.index, m.table
	c.Version.Epoch, c.Version.Version, c.Version.Slot = m.table.Epoch, m.table.Version, m.table.Slot
	m.chart = c.Bind(m.plan, m.chart)
}

// View is what to answer from now. It is nil before the first [Mapper.Configure].
func (m *Mapper) View(now time.Time, before *view.View) *view.View {
	if m.plan == nil {
		return nil
	}
	n := view.News{Table: m.table, Chart: m.chart}
	if before != nil {
		n.Active = before.Active
	}
	n.Active = m.plan.Policies.At(now, n.Active)
	n.Loads, n.States = m.believes(now)
	v := view.New(m.plan, n)
	if m.table != nil {
		v.Received = m.received
	}
	if m.refused != "" {
		v.Alarms = append(v.Alarms, "a route table was refused: "+m.refused)
	}
	if m.failed != "" {
		v.Alarms = append(v.Alarms, "the map stays as it is: "+m.failed)
	}
	return v
}

// believes says what of the table still counts.
func (m *Mapper) believes(now time.Time) (loads, states bool) {
	age := now.Sub(m.received)
	return m.table != nil && age <= view.MaxTableAge, m.table != nil && age <= view.MaxStateAge
}

// Differs reports whether a view is no longer what [Mapper.View] would be, because time has passed.
func (m *Mapper) Differs(now time.Time, v *view.View) bool {
	if m.plan == nil || v == nil {
		return false
	}
	loads, states := m.believes(now)
	return loads != v.Loads || states != v.States || m.plan.Policies.At(now, v.Active) != v.Active
}
