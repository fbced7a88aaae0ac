package assign_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// problems draws problems of a few POPs and groups, among them such as have too little capacity, and such as have plenty.
func problems() *rapid.Generator[*assign.Problem] {
	return rapid.Custom(func(t *rapid.T) *assign.Problem {
		pops := rapid.IntRange(1, 9).Draw(t, "POPs")
		states := rapid.SampledFrom([]assign.State{assign.Up, assign.Up, assign.Up, assign.Draining, assign.Down})
		costs := rapid.Float32Range(0, 300)
		p := &assign.Problem{}
		for i := range pops {
			pop := assign.POP{
				Name:     cdn.POPName(fmt.Sprintf("p%d", i)),
				Capacity: rapid.Float64Range(0.1, 30).Draw(t, "capacity"),
				State:    states.Draw(t, "state"),
			}
			if rapid.Bool().Draw(t, "neighbours") {
				for j := range pops {
					pop.Near = append(pop.Near, assign.Candidate{POP: uint16(j), Cost: costs.Draw(t, "distance")})
				}
			}
			p.POPs = append(p.POPs, pop)
		}
		for i := range rapid.IntRange(1, 30).Draw(t, "groups") {
			g := assign.Group{
				ID:     fmt.Sprintf("g%d", i),
				Demand: rapid.Float64Range(0, 10).Draw(t, "demand"),
				Strict: rapid.IntRange(0, 9).Draw(t, "strict") == 0,
			}
			for _, j := range rapid.Permutation(seq(pops)).Draw(t, "candidates")[:rapid.IntRange(1, pops).Draw(t, "count")] {
				g.Candidates = append(g.Candidates, assign.Candidate{POP: uint16(j), Cost: costs.Draw(t, "cost")})
			}
			p.Groups = append(p.Groups, g)
		}
		return p
	})
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// TestRows checks what every map must hold, whatever the problem: demand is conserved, nobody is at more than four POPs, no share is tiny, and a POP that
// is down has none.
func TestRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := problems().Draw(t, "problem")
		m, r, err := assign.Solve(p)
		if err != nil {
			t.Fatal(err)
		}
		if m.Len() != len(p.Groups) {
			t.Fatalf("%d groups in the map, want %d", m.Len(), len(p.Groups))
		}
		stranded := 0
		for _, g := range p.Groups {
			number, ok := m.Find(g.ID)
			if !ok {
				t.Fatalf("%s is not in the map", g.ID)
			}
			shares := m.Shares(number)
			if len(shares) == 0 {
				stranded++
				continue
			}
			checkShares(t, p, &g, shares, r.AllDown)
		}
		if stranded != r.Stranded {
			t.Errorf("%d groups have no POP, the report says %d", stranded, r.Stranded)
		}
	})
}

func checkShares(t *rapid.T, p *assign.Problem, g *assign.Group, shares []assign.Share, allDown bool) {
	sum := 0
	seen := make(map[uint16]bool)
	for i, s := range shares {
		sum += int(s.Weight)
		pop := int(s.POP) // the generator's names are in order
		switch {
		case seen[s.POP]:
			t.Errorf("%s: POP %d is there twice", g.ID, pop)
		case p.POPs[pop].State == assign.Down && !allDown:
			t.Errorf("%s: POP %d is down", g.ID, pop)
		case i > 0 && s.Weight > shares[i-1].Weight:
			t.Errorf("%s: shares are not in order: %v", g.ID, shares)
		case s.Weight == 0 && i < len(shares)-1:
			t.Errorf("%s: more than one stand-by: %v", g.ID, shares)
		case s.Weight > 0 && s.Weight < assign.Whole/51:
			t.Errorf("%s: a tiny share: %v", g.ID, shares)
		case g.Strict && !slices.ContainsFunc(g.Candidates, func(c assign.Candidate) bool { return c.POP == s.POP }):
			t.Errorf("%s is strict, POP %d no candidate", g.ID, pop)
		}
		seen[s.POP] = true
	}
	if sum != assign.Whole || len(shares) > assign.MaxShares {
		t.Errorf("%s: %d shares of %d in all: %v", g.ID, len(shares), sum, shares)
	}
}

// TestCapacity checks that no POP gets more than it takes, unless the report says that somebody had to; and that nobody is sent past a POP that it likes
// better and that has room.
func TestCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := problems().Draw(t, "problem")
		m, r, err := assign.Solve(p)
		if err != nil {
			t.Fatal(err)
		}
		if r.Overfilled > 0 {
			t.Skip("some had to be overfilled")
		}
		tiny := 0.0 // what rounding may add: weights, and shares that were too small
		for _, g := range p.Groups {
			tiny = max(tiny, g.Demand/50)
		}
		room := make([]bool, len(p.POPs))
		for i, planned := range r.Planned {
			limit := p.POPs[i].Capacity * r.Scale
			if planned > limit+tiny+1e-3 {
				t.Errorf("%s is given %v, and takes %v", p.POPs[i].Name, planned, limit)
			}
			room[i] = (p.POPs[i].State != assign.Down || r.AllDown) && planned < limit-3*tiny-1e-3
		}
		for _, g := range p.Groups {
			number, _ := m.Find(g.ID)
			checkEnvy(t, &g, m.Shares(number), room)
		}
	})
}

// checkEnvy holds that the candidate with the highest cost that a group goes to has no better one with room.
func checkEnvy(t *rapid.T, g *assign.Group, shares []assign.Share, room []bool) {
	if len(shares) == assign.MaxShares {
		return
	}
	worst := float32(-1)
	for _, c := range g.Candidates {
		if slices.ContainsFunc(shares, func(s assign.Share) bool { return s.POP == c.POP && s.Weight > 0 }) {
			worst = max(worst, c.Cost)
		}
	}
	for _, c := range g.Candidates {
		if c.Cost < worst-0.001 && room[c.POP] {
			t.Errorf("%s goes to %v, but POP %d at %v ms has room", g.ID, shares, c.POP, c.Cost)
		}
	}
}

// TestDeterminism checks that the map does not depend on the order of what is given, nor on the number of cores.
func TestDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := problems().Draw(t, "problem")
		want, _, err := assign.Solve(p)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := shuffle(p, rapid.Uint64().Draw(t, "seed"))
		for _, cores := range []int{1, 2} {
			before := runtime.GOMAXPROCS(cores)
			got, _, err := assign.Solve(shuffled)
			runtime.GOMAXPROCS(before)
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest() != want.Digest() {
				t.Fatalf("in another order the map is another:\n%s\n%s", text(want), text(got))
			}
		}
	})
}

// shuffle returns the same problem in another order.
func shuffle(p *assign.Problem, seed uint64) *assign.Problem {
	rnd := rand.New(rand.NewPCG(seed, 3))
	order := rnd.Perm(len(p.POPs))
	move := func(list []assign.Candidate) []assign.Candidate {
		list = slices.Clone(list)
		for i := range list {
			list[i].POP = uint16(order[list[i].POP])
		}
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	q := &assign.Problem{POPs: make([]assign.POP, len(p.POPs)), Groups: slices.Clone(p.Groups)}
	for i, to := range order {
		q.POPs[to] = p.POPs[i]
		q.POPs[to].Near = move(p.POPs[i].Near)
	}
	for i := range q.Groups {
		q.Groups[i].Candidates = move(q.Groups[i].Candidates)
	}
	rnd.Shuffle(len(q.Groups), func(i, j int) { q.Groups[i], q.Groups[j] = q.Groups[j], q.Groups[i] })
	return q
}
