package assign

import (
	"fmt"
	"slices"
	"time"

	"nearcast/cdn"
)

const (
	// mostLost is the share of POPs, or of capacity, that may go down within Settings.Confirm before it is taken for an error of who measures.
	mostLost = 0.30
	// leastLeft is the share of the last map's POPs and groups that the next one must have.
	leastLeft = 0.50
)

// guard says why a table should not be believed; "" if it may.
func (c *Controller) guard(now time.Time, t *table, accept bool) string {
	if c.table == nil || accept {
		return ""
	}
	if was, is := len(c.table.names.groups), len(t.names.groups); float64(is) < float64(leastLeft*float64(was)) {
		return fmt.Sprintf("%d groups where there were %d: more than half are missing", is, was)
	}
	if was, is := len(c.table.pops), len(t.pops); float64(is) < float64(leastLeft*float64(was)) {
		return fmt.Sprintf("%d POPs where there were %d: more than half are missing", is, was)
	}
	return c.guardLosses(now, t)
}

// guardLosses counts who has gone down within the time. A single POP may always fail, however large. Who was draining, or is in the problem no more, has
// been taken away by an operator.
func (c *Controller) guardLosses(now time.Time, t *table) string {
	lost, all := 0, 0
	lostCapacity, capacity := 0.0, 0.0
	at := mapPOPs(c.table.names.pops, t.names.pops)
	for p := range c.table.pops {
		was := &c.table.pops[p]
		recent := was.state == Down && !c.pops[p].downed.IsZero() && now.Sub(c.pops[p].downed) < c.set.Confirm
		if was.state == Down && !recent || was.state == Draining || at[p] < 0 {
			continue
		}
		all++
		capacity += was.capacity
		if t.pops[at[p]].state == Down {
			lost++
			lostCapacity += was.capacity
		}
	}
	if lost < 2 {
		return ""
	}
	if float64(lost) > float64(mostLost*float64(all)) {
		return fmt.Sprintf("%d of %d POPs would be lost within %v", lost, all, c.set.Confirm)
	}
	if lostCapacity > float64(mostLost*capacity) {
		return fmt.Sprintf("%.0f %% of the capacity would be lost within %v", 100*lostCapacity/capacity, c.set.Confirm)
	}
	return ""
}

func findPOP(names []cdn.POPName, name cdn.POPName) (int, bool) {
	return slices.BinarySearch(names, name)
}

func alarmLoad(name cdn.POPName, load float64) string {
	return fmt.Sprintf("POP %s reports a load of %v, which cannot be: it counts as unknown", name, load)
}

// alarms are what a report gives reason for.
func (r *Report) alarms() []string {
	var out []string
	if r.AllDown {
		out = append(out, "every POP is down: they are all taken for up")
	}
	if r.Scale > 1 {
		out = append(out, fmt.Sprintf("the capacity does not suffice: every POP is given %.2f times what it should have", r.Scale))
	}
	if r.Overfilled > 0 {
		out = append(out, fmt.Sprintf("full POPs are given %.3g more, since no other was allowed or known", r.Overfilled))
	}
	if r.Stranded > 0 {
		out = append(out, fmt.Sprintf("%d groups have no POP that is up", r.Stranded))
	}
	return out
}
