package main

import (
	"cmp"
	"math"
	"slices"
)

// detector takes a POP for dead after so many probes in a row without an answer, and for alive after one.
type detector struct {
	every, after int // seconds between probes; misses
	misses       []int
}

// probe takes the answers of a second and reports whether anything has changed.
func (d *detector) probe(s sight) (changed bool) {
	if d.misses == nil {
		d.misses = make([]int, len(s.answered))
	}
	if s.t%d.every != 0 {
		return false
	}
	for p, ok := range s.answered {
		was := d.down(p)
		d.misses[p]++
		if ok {
			d.misses[p] = 0
		}
		changed = changed || was != d.down(p)
	}
	return changed
}

func (d *detector) down(p int) bool { return d.misses[p] >= d.after }

// geo sends everybody to the nearest POP that lives, as gdnsd, PowerDNS, CoreDNS-GSLB and geodns do. Probes every 10 s, three of which must fail.
type geo struct {
	w *world
	detector
	m [][]share
}

func newGeo(w *world) controller { return &geo{w: w, detector: detector{every: 10, after: 3}} }

func (c *geo) second(s sight) ([][]share, bool) {
	if changed := c.probe(s); c.m != nil && !changed {
		return c.m, false
	}
	c.m = nearest(c.w, func(p int) bool { return !c.down(p) })
	return c.m, true
}

// nearest makes a map of the nearest POP that a function accepts; if it accepts none, of the nearest.
func nearest(w *world, accept func(p int) bool) [][]share {
	m := make([][]share, len(w.groups))
	for g, km := range w.km {
		best, bestKm := lowest(km), math.Inf(1)
		for p, k := range km {
			if k < bestKm && accept(p) {
				best, bestKm = p, k
			}
		}
		m[g] = []share{{best, 1}}
	}
	return m
}

// binary is geography with a threshold, as Traffic Monitor has it: a POP that is used by more than 0.9 is out, until it is used by less than
// 0.8. Polls every 6 s, one of which must fail; loads are compared every 5 s.
type binary struct {
	w *world
	detector
	out []bool
	m   [][]share
}

func newBinary(w *world) controller {
	return &binary{w: w, detector: detector{every: 6, after: 1}, out: make([]bool, len(w.names))}
}

const (
	binaryOut  = 0.9
	binaryBack = 0.8
)

func (c *binary) second(s sight) ([][]share, bool) {
	changed := c.probe(s)
	if s.t%5 == 0 {
		for p, u := range s.load {
			if was := c.out[p]; !was && u > binaryOut || was && u < binaryBack {
				c.out[p] = !was
				changed = true
			}
		}
	}
	if c.m != nil && !changed {
		return c.m, false
	}
	c.m = nearest(c.w, func(p int) bool { return !c.down(p) && !c.out[p] })
	return c.m, true
}

// ranked returns the indices of numbers in rising order.
func ranked(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	return order
}
