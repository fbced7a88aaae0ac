package main

import (
	"math"
	"slices"
)

// share is a part of a group's traffic.
type share struct {
	pop    int
	weight float64 // the shares of a group sum up to 1
}

// sight is what a controller may know at a second.
type sight struct {
	t        int
	answered []bool    // by POP: a probe of this second came back to two of three that probed
	heard    []bool    // by POP: a report of this second arrived
	load     []float64 // by POP: share of the declared capacity that is used, 3 s ago; NaN: no report
	capacity []float64 // by POP: declared, stateLag ago
	demand   []float64 // by group: as logs say, 3 s ago
	flow     *flow     // what passes, for what edges measure of their own visitors; not for looking at more
}

// controller makes maps.
type controller interface {
	// second is called each second, with negative times in the warm-up. It returns the map, by group, and whether it is a new one.
	second(s sight) (m [][]share, changed bool)
}

// reportLag is how old what reports say is, in seconds.
const reportLag = 3

// stateLag is how long it takes until what has become of nodes is known, in seconds.
const stateLag = 2

// flow is visitors that follow a map, each when its resolver asks again.
type flow struct {
	w     *world
	m     [][]share
	now   [][]share // where the traffic is
	used  []float64 // by POP: traffic
	loads [][]float64
	moved float64 // share of the traffic that the maps of this second have sent elsewhere
	score score
}

// score is what is counted of a run.
type score struct {
	total, placed        float64 // traffic seconds: all, and what reached a POP that lives
	regret, far          float64 // of placed: ms, and traffic more than 10 ms off
	overload, dead       float64 // of total
	lossy                float64 // of total: on the POP that loses packets, while it does
	moved                float64 // share of all traffic that new maps have sent elsewhere
	detected, failedOver int     // seconds from the loss until the map had none, and visitors less than 5 %, of what was there; -1: never
	atLoss               float64
	maps                 int    // of several schedulers that were compared
	frozen               int    // steps of which the map was frozen
	refused              uint64 // samples
	clocks               int    // that are wrong
	course               []point
	off                  [offMost + 1]float64 // traffic by regret, rounded to ms; the last has all above
}

// offMost is from where on regret is counted together, in ms.
const offMost = 100

// run lets a controller steer a world and returns the score.
func run(w *world, c controller) score {
	f := &flow{w: w, used: make([]float64, len(w.names)), score: score{detected: -1, failedOver: -1}}
	for t := -warmUp; t < duration; t++ {
		m, changed := c.second(f.sight(t))
		if changed {
			f.publish(m, t)
		}
		f.pass(t)
		if t >= 0 {
			f.count(t)
		}
	}
	return f.score
}

// publish makes visitors follow a map from now on.
func (f *flow) publish(m [][]share, t int) {
	if f.m == nil {
		f.now = make([][]share, len(m))
		for g := range m {
			f.now[g] = slices.Clone(m[g])
		}
	} else if t >= 0 {
		moved, total := 0.0, 0.0
		for g := range m {
			d := f.w.wanted(g, t)
			total += d
			moved += d * apart(f.m[g], m[g])
		}
		f.moved += moved / total
	}
	f.m = m
}

// apart is the part of the traffic that two divisions do not have in common.
func apart(a, b []share) float64 {
	common := 0.0
	for _, x := range a {
		for _, y := range b {
			if x.pop == y.pop {
				common += min(x.weight, y.weight)
			}
		}
	}
	return max(0, 1-common)
}

// pass lets a second pass: of the visitors one in clientTime asks again, and goes where the map says.
func (f *flow) pass(t int) {
	stay := math.Exp(-1. / clientTime)
	clear(f.used)
	for g, target := range f.m {
		list := f.now[g]
		for i := range list {
			list[i].weight *= stay
		}
		for _, s := range target {
			i := slices.IndexFunc(list, func(x share) bool { return x.pop == s.pop })
			if i < 0 {
				list = append(list, share{s.pop, 0})
				i = len(list) - 1
			}
			list[i].weight += (1 - stay) * s.weight
		}
		list = slices.DeleteFunc(list, func(s share) bool { return s.weight < 1e-6 })
		f.now[g] = list
		d := f.w.wanted(g, t)
		for _, s := range list {
			f.used[s.pop] += d * s.weight
		}
	}
	loads := make([]float64, len(f.used))
	for p, u := range f.used {
		loads[p] = u / f.w.declared(p, t)
		if served := f.w.capacity(p, t); served < f.w.declared(p, t) {
			loads[p] = u / served // a POP whose caches are cold is as busy as it is
		}
	}
	f.loads = append(f.loads, loads)
	if len(f.loads) > reportLag {
		f.loads = f.loads[1:]
	}
}

// count adds a second to the score.
func (f *flow) count(t int) {
	w, s := f.w, &f.score
	before := *s
	best := make([]float64, len(f.now))
	for g := range f.now {
		best[g] = math.Inf(1)
		for p, r := range w.rtt[g] {
			if r < best[g] && w.alive(p, t) {
				best[g] = r
			}
		}
		d := w.wanted(g, t)
		for _, x := range f.now[g] {
			amount := d * x.weight
			s.total += amount
			if !w.alive(x.pop, t) {
				s.dead += amount
				continue
			}
			s.placed += amount
			off := w.rtt[g][x.pop] - best[g]
			s.regret += amount * off
			s.off[min(int(off+0.5), offMost)] += amount
			if off > 10 {
				s.far += amount
			}
		}
	}
	for p, u := range f.used {
		if w.alive(p, t) && u > w.capacity(p, t) {
			s.overload += u
		}
		if w.loss(p, t) >= grayLoss {
			s.lossy += u
		}
	}
	s.moved += f.moved
	if t%grain == 0 {
		s.course = append(s.course, point{})
	}
	p := &s.course[len(s.course)-1]
	p.total, p.overload = p.total+s.total-before.total, p.overload+s.overload-before.overload
	p.moved, f.moved = p.moved+f.moved, 0
	f.watchLoss(t)
}

// watchLoss notes when the map, and when the visitors, have left the POP that was lost.
func (f *flow) watchLoss(t int) {
	w, s := f.w, &f.score
	if !w.script.loss {
		return
	}
	if t == lossAt-1 {
		s.atLoss = f.used[w.big]
	}
	if t < lossAt {
		return
	}
	sent := 0.0
	for g := range f.m {
		for _, x := range f.m[g] {
			if x.pop == w.big {
				sent += x.weight
			}
		}
	}
	if s.detected < 0 && sent == 0 {
		s.detected = t - lossAt
	}
	if s.failedOver < 0 && f.used[w.big] < 0.05*s.atLoss {
		s.failedOver = t - lossAt
	}
}

// sight is what may be known at second t.
func (f *flow) sight(t int) sight {
	w := f.w
	n := len(w.names)
	s := sight{t: t, answered: make([]bool, n), heard: make([]bool, n), load: make([]float64, n), capacity: make([]float64, n), demand: make([]float64, len(w.groups)), flow: f}
	for p := range n {
		s.answered[p] = w.alive(p, t) && !w.cut(p, t)
		s.heard[p] = !w.mute(p, t)
		s.capacity[p] = w.declared(p, t-stateLag)
		s.load[p] = math.NaN()
		if len(f.loads) == reportLag && s.heard[p] {
			s.load[p] = f.loads[0][p]
		}
	}
	for g := range s.demand {
		s.demand[g] = w.wanted(g, t-reportLag)
		if w.script.misjudged {
			s.demand[g] *= misjudging
		}
	}
	return s
}
