package main

import (
	"math"
	"math/rand/v2"
	"time"

	"nearcast/routequality/estimate"
)

const (
	probeEvery = 10  // seconds between two probes of a group from a POP
	looks      = 2   // POPs beyond the shortlist that are tried at each time
	settled    = 4   // one round in so many moves a group's coordinates after the warm-up
	relist     = 120 // seconds after which the shortlists are made again
	packets    = 200 // of all visitors of a group, that edges see between two probes

	steadyJitter = 0.02 // of the round trip: the mean of what a queue adds
	leastJitter  = 0.3  // ms, likewise
	spikes       = 0.01 // of the probes take several times as long

	lossCost   = 2500 // ms, of a whole packet lost
	failure    = 3000 // ms, of a whole request failed
	coordinate = 1    // samples that a prediction by coordinates counts as
)

// measurement is what a route-quality service of the world would know: the estimators of routequality/estimate, fed with probes that the
// world's noise has spoilt.
type measurement struct {
	w         *world
	dice      *rand.Rand
	paths     [][]estimate.Path // by group and POP
	coords    *estimate.Coordinates
	prospects [][]estimate.Prospect
	lists     [][]int
	tail      []estimate.Share // packets by POP
	turn      []int
	clocks    []estimate.Clock // by POP
	refused   estimate.Refused
}

func newMeasurement(w *world) *measurement {
	m := &measurement{
		w: w, dice: rand.New(rand.NewPCG(w.seed, 0x9015e)), coords: estimate.NewCoordinates(),
		lists: make([][]int, len(w.groups)), turn: make([]int, len(w.groups)), tail: make([]estimate.Share, len(w.names)), clocks: make([]estimate.Clock, len(w.names)),
	}
	for g := range w.groups {
		m.paths = append(m.paths, make([]estimate.Path, len(w.names)))
		row := make([]estimate.Prospect, len(w.names))
		for p := range row {
			row[p] = estimate.Prospect{Km: w.km[g][p], Predicted: math.NaN(), Measured: math.NaN()}
		}
		m.prospects = append(m.prospects, row)
		m.lists[g] = estimate.Shortlist(row)
	}
	return m
}

func clock(t int) time.Time {
	return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(t) * time.Second)
}

// second measures what is due: each group has its second among ten.
func (m *measurement) second(s sight) {
	if s.t%probeEvery == 0 {
		m.meshOnce(s)
	}
	for g := range m.w.groups {
		if ((s.t-g)%probeEvery+probeEvery)%probeEvery != 0 {
			continue
		}
		if ((s.t-g)%relist+relist)%relist < probeEvery {
			m.relist(g)
		}
		best := math.Inf(1)
		for _, p := range m.lists[g] {
			m.probe(s, g, p)
			if r := m.prospects[g][p].Measured; r < best {
				best = r
			}
		}
		for _, p := range estimate.Explore(m.prospects[g], m.lists[g], best, m.turn[g], looks) {
			m.probe(s, g, p)
		}
		m.turn[g]++
		m.listen(s, g)
	}
	if s.t%5 == 0 {
		m.sum(s.t)
	}
}

// meshOnce lets each POP measure one other, the next in turn.
func (m *measurement) meshOnce(s sight) {
	n := len(m.w.names)
	step := 1 + (s.t/probeEvery%(n-1)+n-1)%(n-1)
	for p := range n {
		q := (p + step) % n
		if s.answered[p] && s.answered[q] {
			m.coords.Observe(m.w.names[p], m.w.names[q], m.noisy(m.w.mesh[p][q])) //nolint:errcheck // a round trip of more than 10 s tells no place
		}
	}
}

// noisy returns a round trip of ms as a probe would find it.
func (m *measurement) noisy(ms float64) time.Duration {
	ms += (leastJitter + steadyJitter*ms) * m.dice.ExpFloat64()
	if m.dice.Float64() < spikes {
		ms *= 1 + 4*m.dice.Float64()
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// probe measures a group from a POP once, and tells the group's place by it.
func (m *measurement) probe(s sight, g, p int) {
	if !s.heard[p] {
		return
	}
	now := clock(s.t)
	lost := 0
	if m.dice.Float64() < m.w.loss(p, s.t) {
		lost = 1
	}
	path := &m.paths[g][p]
	if path.AddPackets(now, 1, lost, &m.refused) != nil || lost > 0 {
		return
	}
	at := now
	if m.w.script.skew {
		at = at.Add(time.Duration(m.w.skewed[p]) * time.Second)
	}
	rtt := m.noisy(m.w.rtt[g][p])
	m.clocks[p].Hear(now, at)
	if path.Add(now, estimate.Sample{RTT: rtt, At: m.clocks[p].Right(at)}, &m.refused) != nil {
		return
	}
	m.prospects[g][p].Measured = path.Estimate(now).R50
	if s.t < 0 || m.turn[g]%settled == 0 {
		m.coords.Observe("group "+m.w.groups[g], m.w.names[p], rtt) //nolint:errcheck // as above
	}
}

// listen takes what edges see of their own visitors: packets that had to be sent again.
func (m *measurement) listen(s sight, g int) {
	if s.flow.now == nil {
		return
	}
	for _, x := range s.flow.now[g] {
		n := int(packets * x.weight)
		if n == 0 || !s.heard[x.pop] {
			continue
		}
		lost := 0
		for gap := m.dice.ExpFloat64(); gap < float64(n)*m.w.loss(x.pop, s.t) && lost < n; gap += m.dice.ExpFloat64() {
			lost++
		}
		m.paths[g][x.pop].AddPackets(clock(s.t), n, lost, &m.refused) //nolint:errcheck // whole numbers of our own
	}
}

// relist makes the shortlist of a group again.
func (m *measurement) relist(g int) {
	name := "group " + m.w.groups[g]
	for p := range m.prospects[g] {
		if r, known := m.coords.RTT(name, m.w.names[p]); known {
			m.prospects[g][p].Predicted = r
		}
	}
	m.lists[g] = estimate.Shortlist(m.prospects[g])
}

// sum adds up the packets of each POP: what is wrong with a POP is known sooner from all of its paths than from one.
func (m *measurement) sum(t int) {
	clear(m.tail)
	now := clock(t)
	for g := range m.paths {
		for p := range m.paths[g] {
			m.tail[p] = m.tail[p].Plus(m.paths[g][p].Packets(now))
		}
	}
}

// cost is what a path costs, in ms: quality, loss and failures, as the reference has them.
func (m *measurement) cost(g, p, t int) float64 {
	e := m.paths[g][p].Estimate(clock(t))
	last := estimate.Geographic(m.w.km[g][p])
	e = estimate.Chain(e, estimate.Predicted(m.predicted(g, p, last.R50), coordinate), last)
	return e.R50 + 0.5*(e.R90-e.R50) + lossCost*e.Packets.Rate(m.tail[p].Rate(0)) + failure*e.Requests.Rate(0)
}

// offered returns those POPs of a group's shortlist that have been measured often enough, or all if none has.
func (m *measurement) offered(g, t int) []int {
	var seen []int
	for _, p := range m.lists[g] {
		if m.paths[g][p].Estimate(clock(t)).N >= leastSeen {
			seen = append(seen, p)
		}
	}
	if len(seen) == 0 {
		return m.lists[g]
	}
	return seen
}

func (m *measurement) predicted(g, p int, otherwise float64) float64 {
	if r := m.prospects[g][p].Predicted; !math.IsNaN(r) {
		return r
	}
	return otherwise
}

// wrongClocks returns how many POPs' clocks somebody should set.
func (m *measurement) wrongClocks() (n int) {
	for p := range m.clocks {
		if m.clocks[p].Wrong() {
			n++
		}
	}
	return n
}
