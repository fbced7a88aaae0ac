package assign

import (
	"math"
	"math/bits"
	"slices"
)

const (
	// leastShare is the smallest share of a group that is worth its own POP: 1/50.
	leastShare = 50
	// fullest is how much of all capacity is used at most before capacities are scaled up, all alike: without some slack the last groups would ask
	// every POP there is.
	fullest = 0.98
	// noRegret and mostRegret bound how much worse a group's next choice is, in microseconds.
	noRegret, mostRegret = 0, 1<<32 - 1
)

// Solve computes the map of one moment: of nothing but its input, and with all capacity that POPs have. If all of them are down they are all
// taken for up: a map that sends people to where it may work is better than none. It refuses a problem that cannot be right, with an error
// that says where.
func Solve(p *Problem) (*Map, Report, error) {
	t, _, err := compile(p)
	if err != nil {
		return nil, Report{}, err
	}
	t.sort()
	limits := make([]float64, len(t.pops))
	for i := range t.pops {
		limits[i] = t.pops[i].capacity
	}
	var s solver
	m := s.solve(t, limits)
	return m, s.report(t, m), nil
}

// solver holds what one solve needs, to be used again for the next.
type solver struct {
	t      *table
	open   []bool // by POP: takes traffic
	spare  []bool // by POP: takes traffic of groups that it is no candidate of
	limit  []int64
	held   []holding
	units  []int64 // by group: its demand
	offers []offer // to be placed in the next round
	round  []offer // and in this one
	left   []offer // what nobody has room for
	scale  float64
	lifted bool // all POPs were down, and are taken for up

	// Nearly all groups are whole at their first choice, their home, which is all there is to them. What has become of the others is in rows, under their number in
	// row less one.
	homes []home
	row   []int32
	rows  []amounts
	// The groups of each home: those of POP p are lodgers[lodging[p]:lodging[p+1]].
	lodgers []uint32
	lodging []int32
}

// home is a group's first choice, the choice after that, and by how much it is worse. It is what is needed of the choices of most groups.
type home struct {
	pop, second uint16 // or nowhere
	rank        uint16
	regret      uint32
}

const (
	nowhere = 1<<popBits - 1
	pinned  = 1 << 15 // is added to the rank of traffic that has asked everywhere
)

// offer is traffic that asks for a POP, from a rank of its group's choices on.
type offer struct {
	group  uint32
	rank   uint16
	amount int64
}

// solve assigns everything, with so much capacity of each POP.
func (s *solver) solve(t *table, limits []float64) *Map {
	s.t = t
	s.openPOPs(limits)
	s.quantise(limits)
	s.first()
	for s.overflowAll(); len(s.offers) > 0; s.overflowAll() {
		s.round, s.offers = s.offers, s.round[:0]
		for _, o := range s.round {
			s.place(o)
		}
	}
	for _, o := range s.left {
		s.overfill(o)
	}
	return s.emit()
}

// openPOPs finds out who takes traffic.
func (s *solver) openPOPs(limits []float64) {
	s.open, s.spare = resize(s.open, len(limits)), resize(s.spare, len(limits))
	s.lifted = true
	for p, limit := range limits {
		s.open[p] = s.t.pops[p].state != Down && limit > 0
		s.spare[p] = s.open[p] && s.t.pops[p].state == Up
		s.lifted = s.lifted && !s.open[p]
	}
	if s.lifted {
		for p := range s.open {
			s.open[p], s.spare[p] = true, true
			limits[p] = s.t.pops[p].capacity
		}
	}
}

// quantise turns demand and limits into whole numbers of a unit so small that nothing is lost, and scales the limits up if they do not suffice.
// Every group has a unit at least, so that it has a place even if nobody knows of its demand.
func (s *solver) quantise(limits []float64) {
	demand, capacity := 0.0, 0.0
	for _, d := range s.t.demand {
		demand += d.used
	}
	for p, limit := range limits {
		if s.open[p] {
			capacity += limit
		}
	}
	_, exponent := math.Frexp(max(demand, capacity))
	unit := math.Ldexp(1, exponent-50)
	s.scale = 1
	if demand > float64(fullest*capacity) {
		s.scale = demand / float64(fullest*capacity)
	}
	s.units = resize(s.units, len(s.t.demand))
	for g, d := range s.t.demand {
		s.units[g] = max(1, int64(math.Round(d.used/unit)))
	}
	s.limit = resize(s.limit, len(limits))
	for p, limit := range limits {
		s.limit[p] = 0
		if s.open[p] { // what is closed may be larger than all that counted for the unit
			s.limit[p] = int64(math.Round(limit * s.scale / unit))
		}
	}
}

// next returns the first choice of a group from a rank on that takes traffic. Behind its candidates come the neighbours of the first of them.
func (s *solver) next(g uint32, rank int) (choice, int, bool) {
	row := s.t.row(int(g))
	for ; rank < len(row); rank++ {
		if s.open[row[rank].pop()] {
			return row[rank], rank, true
		}
	}
	if s.t.strict[g] {
		return 0, 0, false
	}
	near := s.t.pops[row[0].pop()].near
	for ; rank-len(row) < len(near); rank++ {
		c := near[rank-len(row)]
		if s.spare[c.pop()] && !has(row, c.pop()) {
			return c + row[0]>>popBits<<popBits, rank, true
		}
	}
	return 0, 0, false
}

// cost of a POP for a group; of one that it cannot come to it is MaxCost.
func (s *solver) cost(g, pop int) int64 {
	row := s.t.row(g)
	for _, c := range row {
		if c.pop() == pop {
			return c.cost()
		}
	}
	for _, c := range s.t.pops[row[0].pop()].near {
		if c.pop() == pop {
			return c.cost() + row[0].cost()
		}
	}
	return MaxCost * 1000
}

func has(row []choice, pop int) bool {
	for _, c := range row {
		if c.pop() == pop {
			return true
		}
	}
	return false
}

// first gives every group its first choice, full or not.
func (s *solver) first() {
	s.held, s.lodging = resize(s.held, len(s.limit)), resize(s.lodging, len(s.limit)+1)
	for p := range s.held {
		s.held[p] = holding{entries: s.held[p].entries[:0]}
	}
	clear(s.lodging)
	s.offers, s.left, s.rows = s.offers[:0], s.left[:0], s.rows[:0]
	s.homes, s.row = resize(s.homes, len(s.units)), resize(s.row, len(s.units))
	clear(s.row)
	for g, amount := range s.units {
		h := s.findHome(uint32(g))
		s.homes[g] = h
		if h.pop == nowhere {
			s.left = append(s.left, offer{uint32(g), 0, amount})
			continue
		}
		s.held[h.pop].load += amount
		s.lodging[h.pop]++
	}
	s.lodge()
}

func (s *solver) findHome(g uint32) home {
	c, rank, ok := s.next(g, 0)
	if !ok {
		return home{pop: nowhere, second: nowhere}
	}
	h := home{uint16(c.pop()), nowhere, uint16(rank), mostRegret}
	if after, _, ok := s.next(g, rank+1); ok {
		h.second, h.regret = uint16(after.pop()), regret(c, after)
	}
	return h
}

// regret is by how much a choice is worse than the one before.
func regret(c, after choice) uint32 {
	return uint32(min(max(after.cost()-c.cost(), noRegret), mostRegret))
}

func makeKey(regret, g uint32) uint64 { return uint64(regret)<<32 | uint64(^g) }

// lodge lists the groups of each home, in their order. It has been counted how many there are.
func (s *solver) lodge() {
	s.lodgers = resize(s.lodgers, len(s.homes))
	end := int32(0)
	for p, n := range s.lodging {
		end += n
		s.lodging[p] = end
	}
	for g, home := range slices.Backward(s.homes) {
		if p := home.pop; p != nowhere {
			s.lodging[p]--
			s.lodgers[s.lodging[p]] = uint32(g)
		}
	}
}

// fill makes the heap of a POP that has too much for the first time.
func (s *solver) fill(p int) {
	h := &s.held[p]
	h.full = true
	for _, g := range s.lodgers[s.lodging[p]:s.lodging[p+1]] {
		h.entries = append(h.entries, entry{makeKey(s.homes[g].regret, g), s.units[g], s.homes[g].rank})
	}
	for i := len(h.entries)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

// key of a group's traffic at a choice.
func (s *solver) key(g uint32, c choice, rank int) uint64 {
	if after, _, ok := s.next(g, rank+1); ok {
		return makeKey(regret(c, after), g)
	}
	return makeKey(mostRegret, g)
}

// place finds the first POP that takes the offer, or some of it.
func (s *solver) place(o offer) {
	a := s.amounts(o.group)
	if o.rank >= pinned {
		s.pin(o, a, int(o.rank-pinned))
		return
	}
	c, rank, ok := s.next(o.group, int(o.rank))
	for ok {
		h := &s.held[c.pop()]
		if a.n < MaxShares || a.has(c.pop()) {
			if key := s.key(o.group, c, rank); h.takes(key, s.limit[c.pop()]) {
				s.take(c.pop(), entry{key, o.amount, uint16(rank)})
				return
			}
		}
		c, rank, ok = s.next(o.group, rank+1)
	}
	s.pin(o, a, 0)
}

// pin places traffic that has asked everywhere, or everywhere it may: of a group that is at as many POPs as it may be, others have to make room at these. It asks them
// from a rank on.
func (s *solver) pin(o offer, a *amounts, from int) {
	if a.n == MaxShares {
		key := makeKey(mostRegret, o.group)
		for c, rank, ok := s.next(o.group, from); ok; c, rank, ok = s.next(o.group, rank+1) {
			if a.has(c.pop()) && s.held[c.pop()].takes(key, s.limit[c.pop()]) {
				s.take(c.pop(), entry{key, o.amount, uint16(pinned + rank)})
				return
			}
		}
	}
	s.left = append(s.left, o)
}

func (s *solver) take(p int, e entry) {
	s.held[p].push(e)
	s.amounts(e.group()).add(p, e.amount)
}

// overflowAll ends a round: only now do POPs let go, since what the next offer displaces has then not come in vain.
func (s *solver) overflowAll() {
	for p := range s.held {
		s.overflow(p)
	}
}

// overflow lets a POP that has too much let go of what loses least. What would leave too small a share of a group goes whole.
func (s *solver) overflow(p int) {
	h := &s.held[p]
	if h.load <= s.limit[p] {
		return
	}
	if !h.full {
		s.fill(p)
	}
	for h.load > s.limit[p] {
		e := &h.entries[0]
		least := s.units[e.group()] / leastShare
		out := offer{e.group(), e.rank + 1, max(h.load-s.limit[p], least)}
		if e.amount-out.amount <= least {
			out.amount = e.amount
			h.pop()
		} else {
			e.amount -= out.amount
		}
		h.load -= out.amount
		s.amounts(out.group).sub(p, out.amount)
		s.offers = append(s.offers, out)
	}
}

// amounts of a group, which from now on is not simply at home.
func (s *solver) amounts(g uint32) *amounts {
	if s.row[g] == 0 {
		a := amounts{}
		if p := s.homes[g].pop; p != nowhere {
			a.add(int(p), s.units[g])
		}
		s.rows = append(s.rows, a)
		s.row[g] = int32(len(s.rows))
	}
	return &s.rows[s.row[g]-1]
}

// overfill gives a group's candidates more than they have room for, in proportion to their capacity.
func (s *solver) overfill(o offer) {
	if s.amounts(o.group).n == MaxShares { // shares are of what it has
		return
	}
	var pops []int
	total := uint64(0)
	for _, c := range s.t.row(int(o.group)) {
		if p := c.pop(); s.open[p] && len(pops) < MaxShares {
			pops = append(pops, p)
			total += uint64(s.limit[p])
		}
	}
	if len(pops) == 0 {
		s.adopt(o)
		return
	}
	for _, p := range pops {
		hi, lo := bits.Mul64(uint64(o.amount), uint64(s.limit[p]))
		part, _ := bits.Div64(hi, lo, max(total, 1))
		s.amounts(o.group).add(p, max(int64(part), 1))
	}
}

// adopt finds a POP for a group none of whose candidates nor their neighbours takes traffic: any, by turns.
func (s *solver) adopt(o offer) {
	if s.t.strict[o.group] {
		return
	}
	for i := range s.spare {
		if p := (int(o.group) + i) % len(s.spare); s.spare[p] {
			s.amounts(o.group).add(p, o.amount)
			return
		}
	}
}

// resize returns a slice of that length, the old one if it is long enough. Its contents are whatever they were.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
