package assign_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nearcast/scheduler/assign"
)

// loop is a world that a controller steers, second by second. The definitions are those of the simulations that the numbers of the controller come from: load is known
// after 3 s, visitors follow a map as their answers expire (20 s), capacity is 1.5 times the demand.
type loop struct {
	problem *assign.Problem
	rnd     *rand.Rand
	control *assign.Controller
	flash   []bool // by group: takes part in the flash crowd

	shares [][]float64 // by group and POP: where its traffic really goes
	loads  [][]float64 // by second and POP
	dead   int         // the POP that is down; -1: none
	known  bool        // that it is

	traffic, overloaded, excess, lost, moved, cost float64
	worst                                          float64
	frozen                                         int

	noise [][]float64 // by group and candidate: of the estimate, in its logarithm
	debug func(string, ...any)
}

const (
	loopSeconds = 2400
	loopGroups  = 600
	loadLag     = 3
	detection   = 3
	ttl         = 20
	flashFrom   = 600
	flashTo     = 1500
	flashRise   = 60 // seconds
	deathAt     = 1200
	returnAt    = 1800
)

func newLoop(seed uint64) *loop {
	l := &loop{problem: world(seed, loopGroups, 30, 10, 1.5), rnd: rand.New(rand.NewPCG(seed, 2)), dead: -1}
	l.control = assign.NewController(assign.Settings{})
	l.shares = make([][]float64, len(l.problem.Groups))
	l.noise = make([][]float64, len(l.problem.Groups))
	for g := range l.noise {
		l.noise[g] = make([]float64, len(l.problem.Groups[g].Candidates))
	}
	// The crowd is a tenth of the demand, around one POP.
	center := l.rnd.IntN(len(l.problem.POPs))
	l.flash = make([]bool, len(l.problem.Groups))
	total, crowd := 0.0, 0.0
	for _, g := range l.problem.Groups {
		total += g.Demand
	}
	near := append([]assign.Candidate{{POP: uint16(center)}}, l.problem.POPs[center].Near...)
	for _, c := range near {
		for g := range l.problem.Groups {
			if l.problem.Groups[g].Candidates[0].POP == c.POP && crowd+l.problem.Groups[g].Demand < 0.1*total {
				l.flash[g] = true
				crowd += l.problem.Groups[g].Demand
			}
		}
	}
	return l
}

// demand of a group at a second, as it really is.
func (l *loop) demand(g, second int) float64 {
	d := l.problem.Groups[g].Demand
	if !l.flash[g] || second < flashFrom || second > flashTo {
		return d
	}
	return d * (1 + 1.5*min(1, float64(second-flashFrom)/flashRise))
}

// input is what is known at a second: noisy, and late.
func (l *loop) input(second int) assign.Input {
	in := assign.Input{Problem: assign.Problem{POPs: slices.Clone(l.problem.POPs), Groups: slices.Clone(l.problem.Groups)}}
	for g := range in.Groups {
		in.Groups[g].Demand = l.demand(g, max(0, second-loadLag)) * math.Exp(0.05*l.rnd.NormFloat64())
		in.Groups[g].Candidates = slices.Clone(in.Groups[g].Candidates)
		for i := range in.Groups[g].Candidates {
			// Samples are off by 10 %; the estimate is their average over 60 s.
			l.noise[g][i] += 0.08 * (0.1*l.rnd.NormFloat64() - l.noise[g][i])
			in.Groups[g].Candidates[i].Cost *= float32(math.Exp(l.noise[g][i]))
		}
	}
	if l.dead >= 0 && l.known {
		in.POPs[l.dead].State = assign.Down
	}
	if second > loadLag {
		in.Load = slices.Clone(l.loads[second-loadLag-1])
		for p := range in.Load {
			in.Load[p] /= in.POPs[p].Capacity
		}
	}
	return in
}

// follow lets visitors' answers expire for a second, and counts.
func (l *loop) follow(m *assign.Map, second int) {
	load := make([]float64, len(l.problem.POPs))
	keep := math.Exp(-1.0 / ttl)
	for g := range l.shares {
		number, _ := m.Find(l.problem.Groups[g].ID)
		want := make([]float64, len(load))
		for _, s := range m.Shares(number) {
			want[s.POP] = float64(s.Weight) / assign.Whole
		}
		if l.shares[g] == nil {
			l.shares[g] = want
		}
		for p := range want {
			l.shares[g][p] = keep*l.shares[g][p] + (1-keep)*want[p]
			load[p] += l.shares[g][p] * l.demand(g, second)
			l.cost += l.shares[g][p] * l.demand(g, second) * l.rtt(g, p)
		}
	}
	l.count(load)
	l.loads = append(l.loads, load)
}

// rtt is the cost of a POP for a group as it really is.
func (l *loop) rtt(g, p int) float64 {
	group := &l.problem.Groups[g]
	for _, c := range group.Candidates {
		if int(c.POP) == p {
			return float64(c.Cost)
		}
	}
	for _, c := range l.problem.POPs[group.Candidates[0].POP].Near {
		if int(c.POP) == p {
			return float64(group.Candidates[0].Cost + c.Cost)
		}
	}
	return 500
}

func (l *loop) count(load []float64) {
	for p, d := range load {
		l.traffic += d
		if p == l.dead {
			l.lost += d
			load[p] = 0
			continue
		}
		u := d / l.problem.POPs[p].Capacity
		l.worst = max(l.worst, u)
		if u > 1 {
			l.overloaded += d
			l.excess += d - l.problem.POPs[p].Capacity
		}
	}
}

// biggest is the POP with most load.
func (l *loop) biggest() int {
	last := l.loads[len(l.loads)-1]
	return slices.Index(last, slices.Max(last))
}

func (l *loop) run(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	var r assign.Result
	for second := range loopSeconds {
		now := start.Add(time.Duration(second) * time.Second)
		var err error
		switch {
		case second == deathAt:
			l.dead = l.biggest()
		case second == returnAt:
			r, err = l.control.Change(now, []assign.POPChange{{POP: l.dead, State: assign.Up}})
			l.moved += r.Moved
			l.dead, l.known = -1, false
		case second == deathAt+detection:
			l.known = true
			r, err = l.control.Change(now, []assign.POPChange{{POP: l.dead, State: assign.Down}})
			l.moved += r.Moved
		}
		if err == nil && second%5 == 0 {
			r, err = l.control.Step(now, l.input(second))
			l.moved += r.Moved
		}
		if err != nil {
			t.Fatalf("second %d: %v", second, err)
		}
		if r.Frozen != "" {
			l.frozen++
		}
		l.follow(r.Map, second)
		if l.debug != nil && second%10 == 0 && second > 590 && second < 1500 {
			for p, d := range l.loads[second] {
				if u := d / l.problem.POPs[p].Capacity; u > 1 && p != l.dead {
					l.debug("%4d s: POP %d %.3f: %s", second, p, u, l.control.Debug(p, &r))
				}
			}
		}
		if l.debug != nil && second%60 == 59 {
			l.debug("%4d s: moved %.1f %%, overloaded %.4f %%, scale %.2f, load %.2f alarms %v", second, 100*l.moved, 100*l.overloaded/l.traffic*float64(second+1)/loopSeconds, r.Report.Scale, r.Report.Demand/r.Report.Capacity, r.Alarms)
		}
	}
}

// TestLoop is the flash crowd of 2.5 times the demand, and then the loss of the biggest POP: what is overloaded and what moves stays within its limits, whatever the
// world.
func TestLoop(t *testing.T) {
	for seed := range uint64(10) {
		l := newLoop(seed)
		l.run(t)
		overloaded, churn := l.overloaded/l.traffic, l.moved/(loopSeconds/60)
		t.Logf("seed %2d: %.4f %% of traffic on overloaded POPs (%.4f %% in excess), at most %.2f; %.1f %% moves a minute; %.3f %% to the dead POP; %.1f ms; frozen %d s",
			seed, 100*overloaded, 100*l.excess/l.traffic, l.worst, 100*churn, 100*l.lost/l.traffic, l.cost/l.traffic, l.frozen)
		if overloaded > 0.001 {
			t.Errorf("seed %d: %.3f %% of the traffic was on overloaded POPs, want at most 0.1 %%", seed, 100*overloaded)
		}
		if churn > 0.15 {
			t.Errorf("seed %d: %.1f %% of the traffic moved in a minute, want at most 15 %%", seed, 100*churn)
		}
	}
}
