package policy

// NewWTinyLFU returns a shadow of budget octets under W-TinyLFU (Einziger et al., ACM ToS 2017) as Caffeine has it: a window by LRU, of window
// per mille of the budget at first, and a main part by segmented LRU, into which what leaves the window comes only if it was asked for more
// often than what would have to go. If climb, the window's share is moved to where more hits are.
func NewWTinyLFU(budget int64, window int, climb bool) *Shadow {
	o := &tinyLFU{window: queue{id: 1}, probation: queue{id: 2}, protected: queue{id: 3}, sketch: newSketch()}
	o.share = float64(window) / 1000
	if climb {
		o.climb.step = climbStep
	}
	return newShadow(budget, o)
}

type tinyLFU struct {
	window, probation, protected queue
	share                        float64 // of the budget that is the window's
	candidates                   uint32  // the first of those at the end of probation that have just come out of the window
	sketch                       sketch
	warm                         uint32 // candidates turned away that were not cold
	climb                        climber
}

func (o *tinyLFU) windowMax(s *Shadow) int64 { return max(1, int64(o.share*float64(s.budget))) }

func (o *tinyLFU) add(s *Shadow, n uint32) {
	o.sketch.fit(s.slab.count)
	o.sketch.add(s.slab.at(n).hash)
	o.climb.count(o, s, false)
	s.slab.push(&o.window, n)
	o.candidates = none
	for o.window.bytes > o.windowMax(s) {
		c := o.window.front
		s.slab.remove(&o.window, c)
		s.slab.push(&o.probation, c)
		if o.candidates == none {
			o.candidates = c
		}
	}
}

func (o *tinyLFU) hit(s *Shadow, n uint32) {
	o.candidates = none
	o.sketch.add(s.slab.at(n).hash)
	o.climb.count(o, s, true)
	switch s.slab.at(n).queue {
	case o.window.id:
		s.slab.renew(&o.window, n)
	case o.protected.id:
		s.slab.renew(&o.protected, n)
	default:
		s.slab.remove(&o.probation, n)
		s.slab.push(&o.protected, n)
	}
	for o.protected.bytes > (s.budget-o.windowMax(s))*4/5 {
		n := o.protected.front
		s.slab.remove(&o.protected, n)
		s.slab.push(&o.probation, n)
	}
}

func (o *tinyLFU) queue(s *Shadow, n uint32) *queue {
	switch s.slab.at(n).queue {
	case o.window.id:
		return &o.window
	case o.protected.id:
		return &o.protected
	}
	return &o.probation
}

func (o *tinyLFU) resize(s *Shadow, n uint32, size int64) { s.slab.resize(o.queue(s, n), n, size) }

func (o *tinyLFU) remove(s *Shadow, n uint32) {
	o.candidates = none
	s.slab.remove(o.queue(s, n), n)
}

// victim lets each candidate compete once with the first of the main part.
func (o *tinyLFU) victim(s *Shadow) uint32 {
	q := &o.probation
	switch {
	case q.count > 0:
	case o.protected.count > 0:
		q = &o.protected
	default:
		q = &o.window
	}
	n := q.front
	if c := o.candidates; c != none {
		o.candidates = s.slab.at(c).next
		if c == n || !o.admits(s.slab.at(c).hash, s.slab.at(n).hash) {
			n = c
		}
	}
	s.slab.remove(q, n)
	return n
}

// admits reports whether a candidate is better than a victim. One in 128 that are warm is let in all the same, so that nobody can keep all
// others out by making a cold entry's counters high.
func (o *tinyLFU) admits(candidate, victim uint64) bool {
	c, v := o.sketch.estimate(candidate), o.sketch.estimate(victim)
	if c > v {
		return true
	}
	if c > 5 {
		o.warm++
		return o.warm%128 == 0
	}
	return false
}

// climber moves the window's share towards more hits: on in the same direction while they become more, back when they become less, in ever
// smaller steps until the hit ratio changes much.
type climber struct {
	step           float64 // of the budget; 0: stay
	requests, hits int
	before         float64 // hit ratio of the sample before
	started        bool
}

const (
	climbStep    = 0.0625
	climbDecay   = 0.98
	climbRestart = 0.05
	minWindow    = 0.01
	maxWindow    = 0.8
)

func (c *climber) count(o *tinyLFU, s *Shadow, hit bool) {
	if c.step == 0 {
		return
	}
	c.requests++
	if hit {
		c.hits++
	}
	if c.requests < 10*max(s.slab.count, 64) {
		return
	}
	ratio := float64(c.hits) / float64(c.requests)
	change := ratio - c.before
	if c.started {
		step := c.step
		if change < 0 {
			step = -step
		}
		o.share = min(max(o.share+step, minWindow), maxWindow)
		c.step = step * climbDecay
		if change >= climbRestart || change <= -climbRestart {
			c.step = climbStep
			if step < 0 {
				c.step = -climbStep
			}
		}
	}
	c.started, c.before, c.requests, c.hits = true, ratio, 0, 0
}
