package assign

import (
	"cmp"
	"math"
	"slices"
)

// How far a map may move.
const (
	// still is the part of a group's traffic that is not worth moving: 0.05.
	still = Whole / 20
	// slew is the part of a group's traffic that moves in a slot at most: 0.25.
	slew = Whole / 4
	// leastGain is by how many microseconds a group's mean cost must fall for it to move without need. Most moves of a solve only make room for somebody else; as
	// long as there is room, they can be left undone.
	leastGain = 1000
	// passes is how often it is looked for who has too much.
	passes = 10
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

// settle moves the last map towards the target where that is worth it, and by no more than the slew. Where a POP takes no traffic any more, its groups go at once; and
// where it would have too much, as many as have to.
func (c *Controller) settle(target *Map, prev []shareRow, limits []float64, slots int) *Map {
	closed := make([]bool, len(c.pops))
	for p := range closed {
		closed[p] = !c.solver.open[p]
	}
	rows := make([]shareRow, len(target.rows))
	most := min(slew*slots, Whole)
	for g := range rows {
		rows[g] = c.move(g, &prev[g], &target.rows[g], closed, most)
	}
	c.relieve(rows, target.rows, limits)
	return &Map{names: target.names, rows: rows}
}

// relieve moves traffic towards the targets from POPs that would have too much, until they have not. Where it goes somebody else may have to give way, so
// it looks again.
func (c *Controller) relieve(rows, target []shareRow, limits []float64) {
	planned := make([]float64, len(limits))
	most := make([]float64, len(limits))
	for p, limit := range limits {
		most[p] = limit * c.solver.scale / headroom * hot
	}
	plan(c.table, rows, planned)
	for range passes {
		moved := false
		for g := range rows {
			if rows[g] == target[g] {
				continue
			}
			if pop, over := tooMuch(&rows[g], &target[g], planned, most); over > 0 {
				c.account(g, &rows[g], planned, -1)
				rows[g] = c.giveWay(g, &rows[g], &target[g], pop, over)
				c.account(g, &rows[g], planned, 1)
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}

// tooMuch finds a POP of a row that has too much and is to have less of the row, and how much too much it has.
func tooMuch(r, target *shareRow, planned, most []float64) (pop uint16, over float64) {
	for _, s := range r.slice() {
		if planned[s.POP] > most[s.POP] && int(s.Weight) > target.weight(s.POP) {
			return s.POP, planned[s.POP] - most[s.POP]
		}
	}
	return 0, 0
}

// giveWay returns a row with so much demand less at a POP, or what the target has less.
func (c *Controller) giveWay(g int, r, target *shareRow, pop uint16, over float64) shareRow {
	n := Whole
	if part := over / c.table.demand[g].used; part < 1 {
		n = max(int(math.Ceil(part*Whole)), still)
	}
	var all [2 * MaxShares]shift
	list := shifts(all[:0], r, target)
	for i := range list {
		if s := &list[i]; s.pop == pop {
			n = s.shrink(n)
		}
	}
	next, ok := grow(list, n)
	if !ok {
		return *target
	}
	c.solver.standBy(g, &next)
	return next
}

// account adds a group's demand to what is planned, or takes it away.
func (c *Controller) account(g int, r *shareRow, planned []float64, sign float64) {
	for _, s := range r.slice() {
		planned[s.POP] += float64(sign * c.table.demand[g].used * (float64(s.Weight) / Whole))
	}
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
func (c *Controller) move(g int, prev, target *shareRow, closed []bool, most int) shareRow {
	if *prev == *target || target.n == 0 || sum(prev) != Whole || touches(prev, closed) {
		return *target
	}
	d := distance(prev, target)
	if d > still && (c.gain(g, prev, target) < leastGain || c.drains(prev, target)) {
		d = 0
	}
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

// drains reports whether a target would send more to a POP that is about to leave.
func (c *Controller) drains(prev, target *shareRow) bool {
	for _, s := range target.slice() {
		if c.table.pops[s.POP].state == Draining && int(s.Weight) > prev.weight(s.POP) {
			return true
		}
	}
	return false
}

// gain is by how much a group's mean cost falls from one row to the other, in microseconds.
func (c *Controller) gain(g int, from, to *shareRow) int64 {
	sum := int64(0)
	for _, s := range from.slice() {
		sum += int64(s.Weight) * c.solver.cost(g, int(s.POP))
	}
	for _, s := range to.slice() {
		sum -= int64(s.Weight) * c.solver.cost(g, int(s.POP))
	}
	return sum / Whole
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

// shrink takes away so much at most, and returns how much. Of a share that is to go, nothing is left that would be too small.
func (s *shift) shrink(most int) int {
	n := min(max(s.have-s.want, 0), most)
	if n > 0 && s.want == 0 && s.have-n < Whole/leastShare {
		n = s.have
	}
	s.have -= n
	return n
}

// towards moves so much weight from shares that are to shrink to those that are to grow. Those that are to go, go first, the smallest first, so that there are
// few. It reports false if there would be too many nevertheless.
func towards(prev, target *shareRow, most int) (shareRow, bool) {
	var all [2 * MaxShares]shift
	list := shifts(all[:0], prev, target)
	slices.SortFunc(list, func(a, b shift) int {
		return cmp.Or(cmp.Compare(min(a.want, 1), min(b.want, 1)), cmp.Compare(a.have, b.have), cmp.Compare(a.pop, b.pop))
	})
	moving := 0
	for i := range list {
		moving += list[i].shrink(max(most-moving, 0))
	}
	return grow(list, moving)
}

// grow gives out so much, to whoever is to have most first, and makes a row of the result. It reports false if that has too many shares.
func grow(list []shift, moving int) (r shareRow, ok bool) {
	slices.SortFunc(list, func(a, b shift) int {
		return cmp.Or(cmp.Compare(b.want, a.want), cmp.Compare(a.pop, b.pop))
	})
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
