package assign

import (
	"cmp"
	"slices"
)

// How far a map may move.
const (
	// still is the part of a group's traffic that is not worth moving: 0.05.
	still = Whole / 20
	// slew is the part of a group's traffic that moves in a slot at most: 0.25.
	slew = Whole / 4
	// passes is how often what is too much is looked for.
	passes = 3
)

// previous returns the rows of the last map in the order of a new table: nil if there is none. Groups that are new have no shares.
func (c *Controller) previous(t *table) []shareRow {
	if c.last.Map == nil {
		return nil
	}
	old := c.last.Map
	if old.names == t.names {
		return old.rows
	}
	rows := make([]shareRow, len(t.names.groups))
	to := mapPOPs(old.names.pops, t.names.pops)
	eachKnown(t, c.table, func(g, before int) {
		for _, s := range old.rows[before].slice() {
			if p := to[s.POP]; p >= 0 {
				rows[g].shares[rows[g].n] = Share{uint16(p), s.Weight}
				rows[g].n++
			}
		}
	})
	return rows
}

// settle moves the last map towards the target: not at all where they nearly agree, and by no more than the slew elsewhere. But all of a group moves
// at once if it has traffic at a POP that takes none any more, or that has, or would have, too much; or if it would be at too many POPs on its way.
func (c *Controller) settle(target *Map, prev []shareRow, slots int) *Map {
	bad := make([]bool, len(c.pops))
	for p := range bad {
		bad[p] = !c.solver.open[p] || c.pops[p].load > hot
	}
	rows := make([]shareRow, len(target.rows))
	most := min(slew*slots, Whole)
	for g := range rows {
		rows[g] = c.move(g, &prev[g], &target.rows[g], bad, most)
	}
	planned := make([]float64, len(c.pops))
	for range passes {
		plan(c.table, rows, planned)
		if !c.overloaded(planned, bad) {
			break
		}
		for g := range rows {
			if touches(&rows[g], bad) {
				rows[g] = target.rows[g]
			}
		}
	}
	return &Map{names: target.names, rows: rows}
}

// overloaded makes bad those POPs for which too much is planned, and reports whether there are more of them now.
func (c *Controller) overloaded(planned []float64, bad []bool) bool {
	more := false
	for p, d := range planned {
		if !bad[p] && d > float64(hot*c.table.pops[p].capacity) {
			bad[p], more = true, true
		}
	}
	return more
}

// touches reports whether a row has traffic at one of those POPs.
func touches(r *shareRow, pops []bool) bool {
	for _, s := range r.slice() {
		if s.Weight > 0 && pops[s.POP] {
			return true
		}
	}
	return false
}

// distance is the weight that moves between two rows.
func distance(from, to *shareRow) int {
	sum, whole := 0, 0
	for _, s := range from.slice() {
		whole += int(s.Weight)
		sum += min(int(s.Weight), to.weight(s.POP))
	}
	return whole - sum
}

// move returns the next row of a group.
func (c *Controller) move(g int, prev, target *shareRow, bad []bool, most int) shareRow {
	if target.n == 0 || sum(prev) != Whole || touches(prev, bad) {
		return *target
	}
	d := distance(prev, target)
	if d > still && d <= most {
		return *target
	}
	r := *prev
	r.dropStandBy()
	if d > still {
		var ok bool
		if r, ok = towards(prev, target, most); !ok {
			return *target
		}
	}
	c.solver.standBy(g, &r)
	return r
}

func (r *shareRow) dropStandBy() {
	if s := &r.shares[r.n-1]; s.Weight == 0 {
		*s = Share{}
		r.n--
	}
}

func sum(r *shareRow) int {
	total := 0
	for _, s := range r.slice() {
		total += int(s.Weight)
	}
	return total
}

// shift is what a POP has of a group and what it is to have.
type shift struct {
	pop        uint16
	have, want int
}

// towards moves so much weight from shares that are to shrink to those that are to grow. Those that are to go, go first, the smallest first; and the largest of
// the target grow first, so that there are few. It reports false if there would be too many nevertheless.
func towards(prev, target *shareRow, most int) (shareRow, bool) {
	var all [2 * MaxShares]shift
	list := shifts(all[:0], prev, target)
	slices.SortFunc(list, func(a, b shift) int {
		return cmp.Or(cmp.Compare(min(a.want, 1), min(b.want, 1)), cmp.Compare(a.have, b.have), cmp.Compare(a.pop, b.pop))
	})
	moving := 0
	for i := range list {
		s := &list[i]
		n := min(max(s.have-s.want, 0), most)
		if n > 0 && s.want == 0 && s.have-n < Whole/leastShare {
			n = s.have
		}
		s.have -= n
		moving += n
		most = max(most-n, 0)
	}
	slices.SortFunc(list, func(a, b shift) int {
		return cmp.Or(cmp.Compare(b.want, a.want), cmp.Compare(a.pop, b.pop))
	})
	var r shareRow
	for _, s := range list {
		n := min(max(s.want-s.have, 0), moving)
		moving -= n
		if s.have+n == 0 {
			continue
		}
		if r.n == MaxShares {
			return shareRow{}, false
		}
		r.shares[r.n] = Share{s.pop, uint16(s.have + n)}
		r.n++
	}
	r.sort()
	return r, true
}

// shifts appends the POPs of both rows.
func shifts(list []shift, prev, target *shareRow) []shift {
	for _, s := range prev.slice() {
		if s.Weight > 0 {
			list = append(list, shift{s.POP, int(s.Weight), target.weight(s.POP)})
		}
	}
	for _, s := range target.slice() {
		if prev.weight(s.POP) == 0 && s.Weight > 0 {
			list = append(list, shift{s.POP, 0, int(s.Weight)})
		}
	}
	return list
}
