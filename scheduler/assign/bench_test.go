package assign_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// world makes a problem: POPs and groups at places on a sphere, costs from the distance and from chance as in measurements of the internet, demand with a
// heavy tail, and capacity of so many times the demand that comes to each POP if all go to the nearest.
func world(seed uint64, groups, pops, candidates int, capacity float64) *assign.Problem {
	rnd := rand.New(rand.NewPCG(seed, 1))
	at := make([][3]float64, pops)
	p := &assign.Problem{POPs: make([]assign.POP, pops), Groups: make([]assign.Group, groups)}
	for i := range at {
		at[i] = somewhere(rnd)
		p.POPs[i].Name = cdn.POPName(fmt.Sprintf("pop%03d", i))
	}
	for i := range at {
		for j := range at {
			if i != j {
				p.POPs[i].Near = append(p.POPs[i].Near, assign.Candidate{POP: uint16(j), Cost: float32(3 + 1.8*km(at[i], at[j])/100)})
			}
		}
	}
	for i := range at {
		nearestFirst(p.POPs[i].Near, pops-1)
	}
	all := make([]assign.Candidate, min(pops, 40))
	wish := make([]float64, pops)
	total := 0.0
	for g := range p.Groups {
		home := rnd.IntN(pops)
		here := at[home]
		spot := somewhere(rnd)
		for k := range here { // most clients are near some POP
			here[k] += 0.3 * spot[k]
		}
		here = unit(here)
		for i := range all {
			j := uint16(home)
			if i > 0 {
				j = p.POPs[home].Near[i-1].POP
			}
			stretch := 1.5 + 1.2*rnd.ExpFloat64()
			all[i] = assign.Candidate{POP: j, Cost: float32(3 + stretch*km(here, at[j])/100)}
		}
		nearestFirst(all, candidates)
		p.Groups[g] = assign.Group{
			ID:         fmt.Sprintf("10.%d.%d.0/24 AS%d", g>>8, g&255, 1000+g%977),
			Demand:     math.Exp(rnd.NormFloat64()),
			Candidates: slices.Clone(all[:candidates]),
		}
		wish[all[0].POP] += p.Groups[g].Demand
		total += p.Groups[g].Demand
	}
	for i := range p.POPs { // half by what is wished, half alike: some will be full
		p.POPs[i].Capacity = capacity * (0.5*wish[i] + 0.5*total/float64(pops))
	}
	return p
}

// nearestFirst brings the so many cheapest to the front, in order.
func nearestFirst(all []assign.Candidate, n int) {
	for i, c := range all {
		j := i
		if i >= n {
			if c.Cost >= all[n-1].Cost {
				continue
			}
			j = n - 1
			all[i] = all[j]
		}
		for ; j > 0 && all[j-1].Cost > c.Cost; j-- {
			all[j] = all[j-1]
		}
		all[j] = c
	}
}

func somewhere(rnd *rand.Rand) [3]float64 {
	return unit([3]float64{rnd.NormFloat64(), rnd.NormFloat64(), rnd.NormFloat64()})
}

func unit(v [3]float64) [3]float64 {
	n := math.Sqrt(v[0]*v[0] + v[1]*v[1] + v[2]*v[2])
	return [3]float64{v[0] / n, v[1] / n, v[2] / n}
}

func km(a, b [3]float64) float64 {
	return 6371 * math.Acos(max(-1, min(1, a[0]*b[0]+a[1]*b[1]+a[2]*b[2])))
}

// worlds of 200,000 groups and 300 POPs, of 10 candidates each: with room, and with hardly or not enough, where most groups have to ask more than one POP.
func worlds(b *testing.B, run func(b *testing.B, c *assign.Controller, in assign.Input, now time.Time)) {
	b.Helper()
	for _, capacity := range []float64{1.5, 1.2, 1} {
		b.Run(fmt.Sprintf("capacity=%v", capacity), func(b *testing.B) {
			in := assign.Input{Problem: *world(1, 200_000, 300, 10, capacity)}
			c := assign.NewController(assign.Settings{})
			now := time.Unix(1_800_000_000, 0)
			if _, err := c.Step(now, in); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			defer reportCPU(b)()
			run(b, c, in, now)
		})
	}
}

// BenchmarkFull is a whole step of the controller: checks, dead-bands, order, solve, settling, digest.
func BenchmarkFull(b *testing.B) {
	worlds(b, func(b *testing.B, c *assign.Controller, in assign.Input, now time.Time) {
		b.Helper()
		for b.Loop() {
			now = now.Add(5 * time.Second)
			r, err := c.Step(now, in)
			if err != nil {
				b.Fatal(err)
			}
			_ = r.Map.Digest()
		}
	})
}

// BenchmarkIncremental is a POP that goes down, and comes back in the next round: new map and digest.
func BenchmarkIncremental(b *testing.B) {
	worlds(b, func(b *testing.B, c *assign.Controller, _ assign.Input, now time.Time) {
		b.Helper()
		state := assign.Down
		for b.Loop() {
			now = now.Add(40 * time.Second)
			r, err := c.Change(now, []assign.POPChange{{POP: 7, State: state}})
			if err != nil || r.Frozen != "" {
				b.Fatal(err, r.Frozen)
			}
			_ = r.Map.Digest()
			state = assign.Down - state
		}
	})
}

// reportCPU reports the processor time per round, which other programs on the machine do not lengthen as they do the time on the clock, and
// the most memory that the process has had.
func reportCPU(b *testing.B) func() {
	b.Helper()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	return func() {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
			b.Fatal(err)
		}
		used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(used)/float64(b.N)/1e6, "cpu-ms/op")
		b.ReportMetric(float64(after.Maxrss)/1024, "peak-MiB")
	}
}
