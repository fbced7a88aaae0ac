package decide

import (
	"math"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/cost"
	"nearcast/scheduler/view"
)

// quality is what is believed of the way from the visitor to a POP: what was measured, as far as that still counts, or else what is usual over such
// a distance.
func quality(v *view.View, a *asker, pop int) cdn.Quality {
	q := cdn.Quality{R50: unknownRTT, R90: unknownRTT}
	km, located := v.Kilometres(a.place, pop)
	if located {
		q = cost.Geographic(km)
	}
	if a.group < 0 || v.Chart == nil {
		return q
	}
	group := v.Chart.Table.Groups[a.group]
	for i := range group.Paths {
		if path := &group.Paths[i]; path.POP == v.POPs[pop].Name {
			if !located {
				return path.Quality
			}
			return cost.Aged(path.Quality, q, v.Chart.Weight)
		}
	}
	return q
}

// unknownRTT is the round trip, in milliseconds, to a POP of which nothing is known.
const unknownRTT = 100

// terms are the parts of the cost to send the visitor to a POP.
func terms(v *view.View, a *asker, pop int, q *cdn.Quality) cost.Terms {
	return cost.Of(q, v.Health[pop], v.Price(pop), a.verdict.Prefer(pop))
}

// cheapest is the POP with the lowest cost, of those that are usable and have room, else of those that are usable; -1 if there is none.
func cheapest(v *view.View, a *asker) int {
	for _, room := range [...]bool{true, false} {
		best, least := -1, math.Inf(1)
		for pop := range v.POPs {
			if !a.ok(v, pop) || room && !hasRoom(v, pop) {
				continue
			}
			q := quality(v, a, pop)
			t := terms(v, a, pop, &q)
			if sum := t.Sum(); sum < least || sum == least && v.POPs[pop].Name < v.POPs[best].Name {
				best, least = pop, sum
			}
		}
		if best >= 0 {
			return best
		}
	}
	return -1
}

// prospect is a POP that is worth exploring, or -1; of several, one by turn.
func prospect(v *view.View, a *asker, turn uint64) int {
	group := v.Chart.Table.Groups[a.group]
	if !(group.Requests >= exploreAsks) {
		return -1
	}
	var at [assign.MaxCandidates]int
	var ms [assign.MaxCandidates]float64
	var thin [assign.MaxCandidates]bool
	n, best := 0, math.Inf(1)
	for i := range group.Paths {
		pop := v.POP(group.Paths[i].POP)
		if n == len(at) || !a.ok(v, pop) || v.Chart.Planned(pop) > exploreRoom || !hasRoom(v, pop) {
			continue
		}
		q := quality(v, a, pop)
		t := terms(v, a, pop, &q)
		at[n], ms[n], thin[n] = pop, t.Sum(), q.N < exploreBelow
		best = min(best, ms[n])
		n++
	}
	few := 0
	for i := range n {
		if thin[i] && ms[i] <= best+exploreWithin && ms[i] > best {
			at[few] = at[i]
			few++
		}
	}
	if few == 0 {
		return -1
	}
	return at[turn%uint64(few)]
}
