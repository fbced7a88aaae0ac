package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// spare is how much more than its steady demand a POP can carry.
	spare = 1.5
	// largest is the share of all demand that one site's visitors have at most.
	largest = 0.03
	// finest is the share of what an average POP serves that one group has at most: larger cities are several networks.
	finest = 0.3
	// clientTime is the mean time in seconds after which visitors ask for a POP again: the TTL of answers.
	clientTime = 20
)

// world is one seed: who is where, how much they want, and what happens. It is the truth, which controllers see only through a sight.
type world struct {
	seed   uint64
	rtt    [][]float64 // ms, by group and POP
	mesh   [][]float64 // ms, by POP and POP
	km     [][]float64 // by group and POP
	popKm  [][]float64
	names  []string  // of POPs
	groups []string  // names
	demand []float64 // by group, in the steady state; they sum up to 1
	room   []float64 // by POP: the capacity of all its nodes
	nodes  []int     // by POP
	flash  []bool    // by group: it is in the crowd
	skewed []float64 // by POP: how far its clock is ahead, in seconds
	hidden []bool    // by POP: behind the partition
	big    int       // the POP with the most capacity
	gray   int       // the POP that loses packets in a gray failure: the second
	outs   []outage
	script script
}

// outage is a node that is away.
type outage struct {
	pop      int
	from, to int // seconds
}

// newWorld puts POPs on so many sites by chance, visitors on all others, and gives each POP the room for those
// who are nearest to it, by geography or by round trip: whoever steers by one builds by it.
func newWorld(net *network, pops, nodes int, seed uint64, s script, byPlace bool) (*world, error) {
	if pops < 3 || 2*len(net.sites) < 3*pops {
		return nil, fmt.Errorf("--pops %d of %d sites: want 3 at least, and half as many sites more for visitors", pops, len(net.sites))
	}
	if nodes < 2*pops {
		return nil, fmt.Errorf("--nodes %d for %d POPs: want two for each at least", nodes, pops)
	}
	dice := rand.New(rand.NewPCG(seed, 0x0f1))
	order := dice.Perm(len(net.sites))
	at, from := order[:pops], order[pops:]
	w := &world{seed: seed, script: s}
	for _, p := range at {
		w.names = append(w.names, net.sites[p].id)
		w.mesh = append(w.mesh, pick(at, func(q int) float64 { return net.rtt[p][q] }))
		w.popKm = append(w.popKm, pick(at, func(q int) float64 { return net.km(p, q) }))
	}
	for _, g := range from {
		w.groups = append(w.groups, net.sites[g].id)
		w.rtt = append(w.rtt, pick(at, func(p int) float64 { return net.rtt[g][p] }))
		w.km = append(w.km, pick(at, func(p int) float64 { return net.km(g, p) }))
		want := net.sites[g].population
		if want <= 0 {
			want = 1e5
		}
		w.demand = append(w.demand, want*math.Exp(0.3*dice.NormFloat64()))
	}
	w.level()
	w.split()
	if byPlace {
		w.build(nodes, w.km)
	} else {
		w.build(nodes, w.rtt)
	}
	w.crowd(dice)
	w.trouble(dice)
	return w, nil
}

func pick(sites []int, f func(int) float64) []float64 {
	out := make([]float64, len(sites))
	for i, s := range sites {
		out[i] = f(s)
	}
	return out
}

// level makes the demand sum up to 1 and cuts what is too large.
func (w *world) level() {
	for range 20 {
		sum := 0.0
		for _, d := range w.demand {
			sum += d
		}
		for g := range w.demand {
			w.demand[g] = min(w.demand[g]/sum, largest)
		}
	}
}

// split makes several groups of those that are large. They are as far from everything as they were.
func (w *world) split() {
	most := finest / float64(len(w.names))
	for g := range w.groups {
		n := int(math.Ceil(w.demand[g] / most))
		for k := 1; k < n; k++ {
			w.groups = append(w.groups, fmt.Sprintf("%s#%d", w.groups[g], k))
			w.rtt, w.km = append(w.rtt, w.rtt[g]), append(w.km, w.km[g])
			w.demand = append(w.demand, w.demand[g]/float64(n))
		}
		w.demand[g] /= float64(max(n, 1))
	}
}

// build gives each POP one and a half times the room for those who are nearest to it, and half of what an average one needs at least.
func (w *world) build(nodes int, far [][]float64) {
	w.room, w.nodes = make([]float64, len(w.names)), make([]int, len(w.names))
	for g, d := range w.demand {
		w.room[lowest(far[g])] += spare * d
	}
	sum := 0.0
	for p := range w.room {
		w.room[p] = max(w.room[p], 0.5*spare/float64(len(w.room)))
		sum += w.room[p]
	}
	for p := range w.room {
		w.nodes[p] = max(2, int(math.Round(float64(nodes)*w.room[p]/sum)))
	}
	ranked := make([]int, len(w.room))
	for p := range ranked {
		ranked[p] = p
	}
	slices.SortStableFunc(ranked, func(a, b int) int { return cmp.Compare(w.room[b], w.room[a]) })
	w.big, w.gray = ranked[0], ranked[1]
}

// crowd gathers the groups nearest to one that was drawn until they have an crowd's share of the demand.
func (w *world) crowd(dice *rand.Rand) {
	centre := dice.IntN(len(w.groups))
	near := make([]int, len(w.groups))
	apart := make([]float64, len(w.groups))
	for g := range near {
		near[g] = g
		for p := range w.names { // as they see the POPs, so they are to each other
			apart[g] += math.Abs(w.km[g][p] - w.km[centre][p])
		}
	}
	slices.SortStableFunc(near, func(a, b int) int { return cmp.Compare(apart[a], apart[b]) })
	w.flash = make([]bool, len(w.groups))
	sum := 0.0
	for _, g := range near {
		w.flash[g] = true
		if sum += w.demand[g]; sum >= crowdShare {
			return
		}
	}
}

// trouble draws who has a wrong clock, who is behind the partition, and which nodes go and come.
func (w *world) trouble(dice *rand.Rand) {
	n := len(w.names)
	w.skewed, w.hidden = make([]float64, n), make([]bool, n)
	for _, p := range dice.Perm(n)[:n/5] {
		w.skewed[p] = []float64{-3600, -30, 30, 3600}[dice.IntN(4)]
	}
	for _, p := range dice.Perm(n)[:2*n/5] {
		w.hidden[p] = true
	}
	for p, nodes := range w.nodes {
		for range nodes {
			if dice.Float64() < 0.2 {
				from := 120 + dice.IntN(duration-480)
				w.outs = append(w.outs, outage{p, from, from + 60 + dice.IntN(240)})
			}
		}
	}
}

// lowest returns the index of the lowest number, the first of equals.
func lowest(x []float64) int {
	best := 0
	for i := range x {
		if x[i] < x[best] {
			best = i
		}
	}
	return best
}
