package estimate

import (
	"cmp"
	"math"
	"slices"
)

// How many POPs a group is measured from.
const (
	byDistance   = 6 // nearest by geography
	byCoordinate = 4 // of the others, nearest by coordinates
	byExploring  = 4 // of the others, the best that exploring has found
	// MaxShortlist is the most POPs on a shortlist.
	MaxShortlist = byDistance + byCoordinate + byExploring
)

// Prospect is a POP as a group of visitors sees it before anybody measures.
type Prospect struct {
	Km        float64 // distance; NaN: the group's place is not known
	Predicted float64 // round trip by coordinates, ms; NaN: not known
	Measured  float64 // round trip by the last samples, however old, ms; NaN: none yet
}

// Shortlist returns the POPs from which the group is to be measured all the time, as indices in order: the 6 nearest by geography, of the
// others the 4 nearest by coordinates, and of the others up to 4 that [Explore] has found to be no more than 30 ms or half as much again behind
// the best. What is not known does not help: without places and coordinates the list is what exploring has found.
func Shortlist(pops []Prospect) []int {
	list := make([]int, 0, min(len(pops), MaxShortlist))
	list = nearest(list, len(pops), byDistance, func(i int) float64 { return pops[i].Km })
	list = nearest(list, len(pops), byCoordinate, func(i int) float64 { return pops[i].Predicted })
	best := math.Inf(1)
	for _, p := range pops {
		if p.Measured < best {
			best = p.Measured
		}
	}
	bound := best + max(30, best/2)
	return nearest(list, len(pops), byExploring, func(i int) float64 {
		if pops[i].Measured > bound {
			return math.NaN()
		}
		return pops[i].Measured
	})
}

// nearest appends up to n of all indices that are not in the list yet, by what a function says of each, in rising order; those of which it
// says NaN are left out. Of equals the first comes first.
func nearest(list []int, all, n int, by func(i int) float64) []int {
	before := len(list)
	var found [max(byDistance, byCoordinate, byExploring)]float64 // what by says of those that were appended
	for i := range all {
		x := by(i)
		k := len(list) - before
		if math.IsNaN(x) || k == n && x >= found[k-1] || slices.Contains(list[:before], i) {
			continue
		}
		if k < n {
			list = append(list, i)
			k++
		}
		for k--; k > 0 && found[k-1] > x; k-- { // those behind it move up
			found[k], list[before+k] = found[k-1], list[before+k-1]
		}
		found[k], list[before+k] = x, i
	}
	return list
}

// Explore returns up to n POPs that are not on the shortlist and worth one look, because light in a fibre could be there and back before the
// best measured answer, of best ms. They take turns: with turn rising by one each time, all of them come. Those by which coordinates
// promise most come first.
//
// On real networks the best POP is in no list that places and coordinates make for one group in thirty. This finds it, within minutes and at
// n probes a turn.
func Explore(pops []Prospect, shortlist []int, best float64, turn, n int) []int {
	var worth []int
	for i, p := range pops {
		if !slices.Contains(shortlist, i) && !(FibreTime(p.Km) >= best) {
			worth = append(worth, i)
		}
	}
	slices.SortStableFunc(worth, func(a, b int) int { return cmp.Compare(promise(pops[a]), promise(pops[b])) })
	var chosen []int
	for k := range min(n, len(worth)) {
		chosen = append(chosen, worth[(turn*n+k)%len(worth)])
	}
	return chosen
}

// promise returns the round trip that a POP may have, for an order among those that were never measured.
func promise(p Prospect) float64 {
	if !math.IsNaN(p.Predicted) {
		return p.Predicted
	}
	return p.Km
}
