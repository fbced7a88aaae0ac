package assign

// Report tells what a solve came to.
type Report struct {
	// Demand is that of all groups, Capacity what POPs that are open could take, both in the caller's unit.
	Demand, Capacity float64
	// Scale is by how much capacities had to be overdrawn, all alike: 1 if they suffice.
	Scale float64
	// Overfilled is the demand that was given to full POPs, since no other was allowed or known.
	Overfilled float64
	// Stranded is how many groups have no POP.
	Stranded int
	// AllDown says that every POP was down, and that they were all taken for up.
	AllDown bool
	// Planned is the demand of each POP of the map, in the order of Map.POPs.
	Planned []float64
}

// report tells of the last solve, and of a map that came of it.
func (s *solver) report(t *table, m *Map) Report {
	r := Report{Scale: s.scale, AllDown: s.lifted, Planned: make([]float64, len(t.pops))}
	for _, o := range s.left {
		r.Overfilled += float64(t.demand[o.group].used * (float64(o.amount) / float64(s.units[o.group])))
	}
	for g, d := range t.demand {
		r.Demand += d.used
		if m.rows[g].n == 0 {
			r.Stranded++
		}
	}
	for p := range t.pops {
		if s.open[p] {
			r.Capacity += t.pops[p].capacity
		}
	}
	plan(t, m.rows, r.Planned)
	return r
}

// plan sums up what each POP gets of the rows.
func plan(t *table, rows []shareRow, sums []float64) {
	clear(sums)
	for g := range rows {
		for _, s := range rows[g].slice() {
			sums[s.POP] += float64(t.demand[g].used * (float64(s.Weight) / Whole))
		}
	}
}
