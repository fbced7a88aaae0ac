package steer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/cost"
	"nearcast/scheduler/policy"
	"nearcast/scheduler/view"
)

const (
	// ageingStep is at which multiples of wall-clock time measurements grow older.
	ageingStep = 5 * time.Minute
	// maxAhead is how far a publisher's clock may be ahead.
	maxAhead = time.Minute
	// fewLast is how long tables must have too few groups for that to be the truth.
	fewLast = 10 * time.Minute
	// leastLeft is the part of the groups, and of the POPs, of a table that the next one must have.
	leastLeft = 0.5
)

func weight(age time.Duration) float64 { return cost.Weight(age) }

// measured is when the table was published.
func (m *Mapper) measured() time.Time {
	if m.table.At.IsZero() {
		return m.received
	}
	return m.table.At
}

// refuse says why a table cannot be right; "" if it may be.
func (m *Mapper) refuse(now time.Time, t *cdn.RouteTable) string {
	name := fmt.Sprintf("%s/%d", t.Epoch, t.Version)
	switch ahead := t.At.Sub(now); {
	case t.Base != 0:
		return fmt.Sprintf("%s is a difference to version %d: it must be put together first", name, t.Base)
	case ahead > maxAhead:
		return fmt.Sprintf("%s is from the future, by %v: set the clocks", name, ahead.Round(time.Second))
	}
	was := m.table
	if was == nil || !sameGroups(was.Groups, t.Groups) { // what is new between slots is of POPs
		if reason := disorder(t); reason != "" {
			return name + " " + reason
		}
	}
	if was == nil {
		return ""
	}
	switch confirmed := now.Sub(m.received) <= view.MaxTableAge; {
	case was.Epoch == t.Epoch && t.Version < was.Version:
		return fmt.Sprintf("%s comes after version %d: it goes backwards", name, was.Version)
	case was.Epoch == t.Epoch && t.Slot < was.Slot:
		return fmt.Sprintf("%s is of slot %d and comes after slot %d: it goes backwards", name, t.Slot, was.Slot)
	case was.Epoch != t.Epoch && confirmed && t.At.Before(was.At.Add(-maxAhead)):
		return fmt.Sprintf("%s is older than %s/%d by %v, and that one is in force: it goes backwards", name, was.Epoch, was.Version, was.At.Sub(t.At).Round(time.Second))
	}
	return ""
}

// doubt says why a table that is in order should not be believed; "" if it may, or if somebody has accepted it.
func (m *Mapper) doubt(t *cdn.RouteTable) string {
	if m.table == nil || m.accept {
		return ""
	}
	if had, has := m.known(m.table), m.known(t); float64(has) < leastLeft*float64(had) {
		return fmt.Sprintf("%s/%d has %d of the fleet's POPs where there were %d: more than half are missing", t.Epoch, t.Version, has, had)
	}
	return ""
}

// sameGroups reports whether two lists are one.
func sameGroups(a, b []*cdn.VisitorGroup) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// disorder says what is out of order in a table.
func disorder(t *cdn.RouteTable) string {
	if !slices.IsSortedFunc(t.Groups, func(a, b *cdn.VisitorGroup) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		return "is out of order: its groups are not sorted"
	}
	for i := 1; i < len(t.Groups); i++ {
		if len(t.Groups[i].Name) > 4096 {
			return fmt.Sprintf("has a group whose name has %d octets", len(t.Groups[i].Name))
		}
		if t.Groups[i].Name == t.Groups[i-1].Name {
			return fmt.Sprintf("has the group %q twice", t.Groups[i].Name)
		}
	}
	return ""
}

// known is how many POPs of the plan are in a table.
func (m *Mapper) known(t *cdn.RouteTable) int {
	n := 0
	for i := range t.POPs {
		if m.plan.POP(t.POPs[i].POP) >= 0 {
			n++
		}
	}
	return n
}

// tooFew returns the table, or while it has less than half of the groups that there were, as after a restart of who measures, the table with the
// groups that there were: what it says of nodes and POPs counts nevertheless. What stays for ten minutes is true.
func (m *Mapper) tooFew(t *cdn.RouteTable) *cdn.RouteTable {
	if m.chart == nil || m.accept || float64(len(t.Groups)) >= leastLeft*float64(len(m.table.Groups)) {
		m.shrunk = time.Time{}
		return t
	}
	if m.shrunk.IsZero() {
		m.shrunk = t.At
	}
	if t.At.Sub(m.shrunk) >= fewLast {
		m.shrunk = time.Time{}
		m.accept = true
		return t
	}
	mixed := *t
	mixed.Groups, mixed.Links = m.table.Groups, m.table.Links
	return &mixed
}

// regrouped reports whether policies have made other groups than there were.
func (m *Mapper) regrouped(before *policy.Active) bool {
	return before != m.active || m.classes != m.classNames()
}

func (m *Mapper) classNames() string {
	names := make([]string, m.plan.Policies.Classes())
	for c := range names {
		names[c] = m.plan.Policies.ClassName(c)
	}
	return strings.Join(names, "|")
}

// loses reports whether an input has fewer POPs, or more that are down, than the map.
func (m *Mapper) loses(in *assign.Input) bool {
	if m.chart == nil {
		return false
	}
	seen := m.chart.Explainer.POPs()
	for i, name := range m.chart.Map.POPs() {
		at := slices.IndexFunc(in.POPs, func(p assign.POP) bool { return p.Name == name })
		if at < 0 || in.POPs[at].State == assign.Down && seen[i].State != assign.Down {
			return true
		}
	}
	return false
}
