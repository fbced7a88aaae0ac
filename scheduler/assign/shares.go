package assign

import "math/bits"

// Whole is the sum of a group's weights.
const Whole = 1<<16 - 1

// Share is what a POP gets of a group.
type Share struct {
	// POP is its index in Map.POPs.
	POP uint16
	// Weight is its part of Whole. Zero is a stand-by: where to go if the others fail or are full.
	Weight uint16
}

// shareRow is a group's shares, the largest first; at most one stand-by is the last.
type shareRow struct {
	n      uint8
	shares [MaxShares]Share
}

func (r *shareRow) slice() []Share { return r.shares[:r.n] }

// weight of a POP.
func (r *shareRow) weight(pop uint16) int {
	for _, s := range r.slice() {
		if s.POP == pop {
			return int(s.Weight)
		}
	}
	return 0
}

// sort brings shares into order: by weight, equals by POP. There may be no stand-by yet.
func (r *shareRow) sort() {
	for i := 1; i < int(r.n); i++ {
		for j := i; j > 0 && before(r.shares[j], r.shares[j-1]); j-- {
			r.shares[j], r.shares[j-1] = r.shares[j-1], r.shares[j]
		}
	}
}

func before(a, b Share) bool {
	return a.Weight > b.Weight || a.Weight == b.Weight && a.POP < b.POP
}

// emit makes the map of what has been collected.
func (s *solver) emit() *Map {
	rows := make([]shareRow, len(s.units))
	for g := range rows {
		r := &rows[g]
		if s.row[g] != 0 {
			*r = s.rows[s.row[g]-1].shares()
			s.standBy(g, r)
			continue
		}
		if h := &s.homes[g]; h.pop != nowhere {
			r.n, r.shares[0] = 1, Share{h.pop, Whole}
			switch {
			case h.second == nowhere:
			case s.held[h.second].full:
				s.standBy(g, r)
			default:
				r.n, r.shares[1] = 2, Share{POP: h.second}
			}
		}
	}
	return &Map{names: s.t.names, rows: rows}
}

// shares turns amounts into weights. A share too small for its own POP goes to the others; what rounding leaves over goes to the largest.
func (a *amounts) shares() shareRow {
	var r shareRow
	total, most := int64(0), int64(0)
	for i := range a.n {
		total += a.amount[i]
		most = max(most, a.amount[i])
	}
	kept := total
	for i := range a.n {
		if a.amount[i] < total/leastShare && a.amount[i] < most {
			kept -= a.amount[i]
		}
	}
	rest := Whole
	for i := range a.n {
		if a.amount[i] < total/leastShare && a.amount[i] < most {
			continue
		}
		hi, lo := bits.Mul64(uint64(a.amount[i]), Whole)
		w, _ := bits.Div64(hi, lo, uint64(kept))
		if w == 0 {
			continue
		}
		r.shares[r.n] = Share{a.pop[i], uint16(w)}
		r.n++
		rest -= int(w)
	}
	if r.n > 0 {
		r.sort()
		r.shares[0].Weight += uint16(rest)
	}
	return r
}

// standBy adds the first candidate of a group that it has no share of and that is not full; if all are, the first choice.
func (s *solver) standBy(g int, r *shareRow) {
	if r.n == MaxShares || r.n == 0 {
		return
	}
	best, found := uint16(0), false
	for c, rank, ok := s.next(uint32(g), 0); ok; c, rank, ok = s.next(uint32(g), rank+1) {
		p := uint16(c.pop())
		if r.weight(p) > 0 {
			continue
		}
		if found && rank >= int(s.t.count[g]) {
			break
		}
		if !found {
			best, found = p, true
		}
		if !s.held[p].full {
			best = p
			break
		}
	}
	if found {
		r.shares[r.n] = Share{POP: best}
		r.n++
	}
}
