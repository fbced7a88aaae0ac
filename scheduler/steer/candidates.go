package steer

import (
	"cmp"
	"net/netip"
	"slices"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/cost"
	"nearcast/scheduler/policy"
	"nearcast/scheduler/view"
)

// group appends a group of a class of sites. What policy decides alone is a part of the group with one candidate, so that its demand counts there.
func (b *builder) group(groups []assign.Group, g, class int, demand float64) []assign.Group {
	id := b.index.IDs[g*b.index.Classes+class]
	var addr netip.Addr
	if n := b.index.Networks[g]; n.IsValid() {
		addr = n.Addr()
	}
	verdict, _ := b.active.Verdict(policy.Visitor{Place: b.index.Places[g], Addr: addr, Class: class})
	if verdict != nil && verdict.Pin >= 0 && b.state(verdict.Pin) == assign.Up {
		return append(groups, b.part(id, verdict.Pin, demand))
	}
	total := 0
	if verdict != nil {
		for _, w := range verdict.Weights {
			if b.state(w.POP) == assign.Up {
				total += w.Weight
			}
		}
	}
	if total > 0 {
		for _, w := range verdict.Weights {
			if b.state(w.POP) == assign.Up {
				groups = append(groups, b.part(id, w.POP, demand*float64(w.Weight)/float64(total)))
			}
		}
		return groups
	}
	list := b.candidates(g, verdict)
	if len(list) == 0 { // policy leaves none
		b.counts["may be sent nowhere by policy"]++
		return groups
	}
	return append(groups, assign.Group{ID: id, Demand: demand, Candidates: list, Strict: verdict != nil && verdict.Strict})
}

// part is what goes to one POP, whatever it costs.
func (b *builder) part(id string, pop int, demand float64) assign.Group {
	return assign.Group{
		ID: view.Part(id, b.plan.POPs[pop].Name), Demand: demand, Strict: true, Candidates: []assign.Candidate{{POP: b.rank[pop]}},
	}
}

// candidates are the POPs that a group may be sent to, with their costs.
func (b *builder) candidates(g int, verdict *policy.Verdict) []assign.Candidate {
	group, place := b.table.Groups[g], b.index.Places[g]
	list := make([]assign.Candidate, 0, assign.MaxCandidates)
	var failing []assign.Candidate
	for i := range group.Paths {
		path := &group.Paths[i]
		pop := b.plan.POP(path.POP)
		switch {
		case pop < 0 || !verdict.Allows(pop) || has(list, b.rank[pop]) || has(failing, b.rank[pop]):
			continue
		case !sound(&path.Quality):
			b.counts["have a path with numbers that cannot be, which is left out"]++
			continue
		}
		q := path.Quality
		if b.weight < 1 {
			if km, ok := b.plan.Kilometres(place, pop); ok {
				q = cost.Aged(q, cost.Geographic(km), b.weight)
			}
		}
		c := b.candidate(pop, &q, verdict)
		if q.Failures > fails && q.N >= failsN {
			failing = append(failing, c)
			continue
		}
		list = append(list, c)
	}
	if len(list) == 0 { // better than none
		list = failing
	}
	if len(list) == 0 || verdict != nil && verdict.Strict {
		list = b.fill.add(list, place, verdict)
	}
	slices.SortFunc(list, func(a, b assign.Candidate) int { return cmp.Or(cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.POP, b.POP)) })
	return list[:min(len(list), assign.MaxCandidates)]
}

func (b *builder) candidate(pop int, q *cdn.Quality, verdict *policy.Verdict) assign.Candidate {
	terms := cost.Of(q, b.health[pop], b.plan.Price(pop), verdict.Prefer(pop))
	return assign.Candidate{POP: b.rank[pop], Cost: float32(terms.Sum())}
}

// sound reports whether a path's numbers can be.
func sound(q *cdn.Quality) bool {
	return q.R50 >= 0 && q.R50 <= 1e5 && q.R90 >= 0 && q.R90 <= 1e5 && q.Loss >= 0 && q.Loss <= 1 && q.Failures >= 0 && q.Failures <= 1 && q.N >= 0
}

func has(list []assign.Candidate, pop uint16) bool {
	return slices.ContainsFunc(list, func(c assign.Candidate) bool { return c.POP == pop })
}

// filler finds POPs for groups that have measured too few: the nearest, of those that policy allows.
type filler struct {
	*builder

	allowed map[*policy.Verdict][]int
	near    map[int][]geographic // by place
}

// geographic is a POP and what is usual between it and a place.
type geographic struct {
	pop int
	q   cdn.Quality
}

func newFiller(b *builder) *filler {
	return &filler{builder: b, allowed: make(map[*policy.Verdict][]int), near: make(map[int][]geographic)}
}

// add fills up a list of candidates.
func (f *filler) add(list []assign.Candidate, place int, verdict *policy.Verdict) []assign.Candidate {
	for _, n := range f.nearest(place, verdict) {
		if !has(list, f.rank[n.pop]) {
			list = append(list, f.candidate(n.pop, &n.q, verdict))
		}
	}
	return list
}

// nearest are up to 16 POPs that policy allows, or all if there are no more.
func (f *filler) nearest(place int, verdict *policy.Verdict) []geographic {
	allowed, known := f.allowed[verdict]
	if !known {
		for _, pop := range f.order {
			if verdict.Allows(pop) {
				allowed = append(allowed, pop)
			}
		}
		f.allowed[verdict] = allowed
	}
	if len(allowed) <= assign.MaxCandidates {
		out := make([]geographic, len(allowed))
		for i, pop := range allowed {
			out[i] = f.at(place, pop)
		}
		return out
	}
	var order []int
	if place == locate.None {
		order = allowed
	} else if order = f.plan.Nearest(place); order == nil {
		order = allowed
	}
	out := f.first(order, place, verdict)
	if len(out) < assign.MaxCandidates/2 {
		out = f.first(f.plan.All(place), place, verdict)
	}
	return out
}

// first are the first 16 of an order that policy allows.
func (f *filler) first(order []int, place int, verdict *policy.Verdict) []geographic {
	out := make([]geographic, 0, assign.MaxCandidates)
	for _, pop := range order {
		if len(out) < assign.MaxCandidates && verdict.Allows(pop) {
			out = append(out, f.at(place, pop))
		}
	}
	return out
}

// usual is the round trip, in milliseconds, of a group of which it is not known where it is.
const usual = 100

func (f *filler) at(place, pop int) geographic {
	known := f.near[place]
	if i := slices.IndexFunc(known, func(n geographic) bool { return n.pop == pop }); i >= 0 {
		return known[i]
	}
	n := geographic{pop, cdn.Quality{R50: usual, R90: usual}}
	if km, ok := f.plan.Kilometres(place, pop); ok {
		n.q = cost.Geographic(km)
	}
	f.near[place] = append(known, n)
	return n
}
