package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"nearcast/scheduler/assign"
)

// schedulers are several of one system that are told the same, each in an order of its own, and must come to the same maps.
type schedulers struct {
	all  []*assign.Controller
	pops [][]int // by scheduler: where it has each POP; the first has them as they come
	dice *rand.Rand

	compared int // maps, each with that of every other scheduler
}

func newSchedulers(n, pops int, seed uint64) *schedulers {
	s := &schedulers{dice: rand.New(rand.NewPCG(seed, 0x5c4ed))}
	for range n {
		s.all = append(s.all, assign.NewController(assign.Settings{}))
		s.pops = append(s.pops, s.dice.Perm(pops))
	}
	return s
}

// step lets all of them step and returns the first one's result, or an error if another has come to another map.
func (s *schedulers) step(now time.Time, in assign.Input) (assign.Result, error) {
	return s.agree(func(k int) (assign.Result, error) {
		if k == 0 {
			return s.all[k].Step(now, in)
		}
		return s.all[k].Step(now, s.shuffled(in, s.pops[k]))
	})
}

// change tells all of them of changes between two steps.
func (s *schedulers) change(now time.Time, changes []assign.POPChange) (assign.Result, error) {
	return s.agree(func(k int) (assign.Result, error) {
		if k == 0 {
			return s.all[k].Change(now, changes)
		}
		var mine []assign.POPChange
		for _, c := range changes {
			c.POP = s.pops[k][c.POP]
			mine = append(mine, c)
		}
		return s.all[k].Change(now, mine)
	})
}

func (s *schedulers) agree(of func(k int) (assign.Result, error)) (first assign.Result, err error) {
	for k := range s.all {
		r, err := of(k)
		if err != nil {
			return r, err
		}
		if k == 0 {
			first = r
		} else if r.Map.Digest() != first.Map.Digest() {
			return first, fmt.Errorf("scheduler %d has another map than the first", k+1)
		}
	}
	if len(s.all) > 1 {
		s.compared++
	}
	return first, nil
}

// shuffled returns the same input with POP p at to[p], and the groups in any order.
func (s *schedulers) shuffled(in assign.Input, to []int) assign.Input {
	out := in
	out.POPs, out.Load, out.Groups = make([]assign.POP, len(in.POPs)), make([]float64, len(in.Load)), make([]assign.Group, len(in.Groups))
	move := func(list []assign.Candidate) []assign.Candidate {
		moved := make([]assign.Candidate, len(list))
		for i, at := range s.dice.Perm(len(list)) {
			moved[at] = assign.Candidate{POP: uint16(to[list[i].POP]), Cost: list[i].Cost} //nolint:gosec // at most maxSites
		}
		return moved
	}
	for p := range in.POPs {
		out.POPs[to[p]], out.Load[to[p]] = in.POPs[p], in.Load[p]
		out.POPs[to[p]].Near = move(in.POPs[p].Near)
	}
	for g, at := range s.dice.Perm(len(in.Groups)) {
		out.Groups[at] = in.Groups[g]
		out.Groups[at].Candidates = move(in.Groups[g].Candidates)
	}
	return out
}
