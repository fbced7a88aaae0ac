package paths

import (
	"math"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
)

// Times of groups.
const (
	idle      = 30 * time.Minute // without visitors, and a group is no longer published
	forgotten = 2 * time.Hour    // and what is known of a place is forgotten
	relist    = 10 * time.Minute // a list of candidates is made again
	refresh   = 10 * time.Minute // a row is published again at the latest
	looks     = 12               // slots in which each group is looked at once, without news
)

// Of coordinates.
const (
	settled     = 32 // round trips after which each sixteenth counts
	settledOnly = 16
	leastMesh   = 8 // round trips that a POP needs before others are placed by it
	predicted   = 1 // samples that a prediction counts as
)

// group is visitors that are steered together.
type group struct {
	name    cdn.GroupName
	network *network // nil: it is a place
	carrier *carrier
	at      spot
	anchor  spot // where the POP is that is nearest by what was measured, for want of a place
	ways    ways // of a place; those of a network are its own

	heard    time.Time // visitors
	dirty    bool      // something was heard since the last slot
	observed int       // round trips, for its coordinates
	demand   Demand
	apart    Demand // of a place's networks that are groups of their own

	list   []uint16 // candidates, sorted by name; empty: not made yet, or nothing is known
	listed time.Time

	row   *cdn.VisitorGroup // as it was published last; nil: it is not
	rowAt time.Time
	turn  uint64 // of the slot in which it was to be published last
}

// place returns the place that a group is part of: a place's is itself, a network's may be nil.
func (g *group) place() *group {
	if g.network == nil {
		return g
	}
	return g.network.place
}

// where returns where the group is, as far as that is known: else beside the POP to which it has the shortest round trip.
func (g *group) where() spot {
	if place := g.place(); place != nil && place.at != (spot{}) {
		return place.at
	}
	return g.anchor
}

// placed returns the group whose coordinates are this one's.
func (g *group) placed() *group {
	if place := g.place(); place != nil {
		return place
	}
	return g
}

// own returns the ways that are the group's own.
func (g *group) own() ways {
	if g.network != nil {
		return g.network.ways
	}
	return g.ways
}

// wanted reports whether the group is to be published.
func (g *group) wanted(now time.Time) bool {
	return g.demand.Octets > 0 || g.demand.Requests > 0 || now.Sub(g.heard) < idle
}

// observe places a group by a round trip of its visitors.
func (b *Book) observe(g *group, pop uint16, s *cdn.VisitorSample) {
	if len(s.RTTs) == 0 || b.pops[pop].observed < leastMesh {
		return
	}
	if g.observed == 0 {
		if b.placed >= maxPlaced {
			return
		}
		b.placed++
	}
	g.observed++
	if g.observed <= settled || g.observed%settledOnly == 0 {
		b.coords.Observe(string(g.name), string(b.pops[pop].name), duration(float64(s.RTTs[0]))) //nolint:errcheck // a round trip of more than 10 s tells no place
	}
}

// forgetPlaced takes the group out of the coordinates.
func (b *Book) forgetPlaced(g *group) {
	if g.observed > 0 {
		b.placed--
		g.observed = 0
		b.coords.Forget(string(g.name))
	}
}

// belief is what is believed of the way from a group to a POP.
type belief struct {
	estimate.Estimate         // with all priors, the guesses included
	n                 float64 // weight of what was measured
	age               time.Duration
	loss, failures    float64
}

// believe folds what is known, the finest first: the group's own network, its place, its carrier in the country, coordinates, geography.
func (b *Book) believe(now time.Time, g *group, pop uint16) belief {
	var out belief
	var known [5]estimate.Estimate
	chain := known[:0]
	p := &b.pops[pop]
	out.loss, out.failures = p.tail.Packets(now).Rate(0), p.tail.Estimate(now).Requests.Rate(0)
	if g.network != nil {
		chain = append(chain, estimateOf(now, g.network.ways.find(pop)))
	}
	if place := g.place(); place != nil {
		chain = append(chain, estimateOf(now, place.ways.find(pop)))
		if place.carrier != nil {
			chain = append(chain, estimateOf(now, place.carrier.ways.find(pop)))
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		e := &chain[i]
		out.loss, out.failures = e.Packets.Rate(out.loss), e.Requests.Rate(out.failures)
		if e.N > 0 {
			out.age = e.Age
		}
	}
	out.n = estimate.Chain(chain...).N
	last := b.guess(g, p)
	if by := g.placed(); by.observed >= settled {
		if ms, ok := b.coords.RTT(string(by.name), string(p.name)); ok {
			chain = append(chain, estimate.Predicted(ms, predicted))
		}
	}
	out.Estimate = estimate.Chain(append(chain, last)...)
	return out
}

// farAway is where a place is taken for of which nothing is known, in km.
const farAway = 5000

// guess is what geography says.
func (b *Book) guess(g *group, p *popEntry) estimate.Estimate {
	km := g.where().km(p.place)
	if math.IsNaN(km) {
		km = farAway
	}
	return estimate.Geographic(km)
}

func estimateOf(now time.Time, w *way) estimate.Estimate {
	if w == nil {
		return estimate.Estimate{}
	}
	return w.path.Estimate(now)
}

// lister makes lists of candidates; its buffers are used again and again.
type lister struct {
	b         *Book
	now       time.Time
	prospects []estimate.Prospect
}

// list makes the group's candidates.
func (l *lister) list(g *group) {
	b := l.b
	l.prospects = l.prospects[:0]
	by := g.placed()
	best := math.Inf(1)
	for _, pop := range b.active {
		p := estimate.Prospect{Km: math.NaN(), Predicted: math.NaN(), Measured: math.NaN()}
		if by.observed >= settled {
			if ms, ok := b.coords.RTT(string(by.name), string(b.pops[pop].name)); ok {
				p.Predicted = ms
			}
		}
		if e := estimateOf(l.now, g.nearestWay(pop)); e.R50 > 0 {
			p.Measured = e.R50
			if e.R50 < best {
				best, g.anchor = e.R50, b.pops[pop].place
			}
		}
		l.prospects = append(l.prospects, p)
	}
	at := g.where()
	for i, pop := range b.active {
		l.prospects[i].Km = at.km(b.pops[pop].place)
	}
	short := estimate.Shortlist(l.prospects)
	list := make([]uint16, len(short))
	for i, x := range short {
		list[i] = b.active[x]
	}
	b.sortByName(list)
	g.list = list
	if len(list) > 0 {
		g.listed = l.now
	}
}

// nearestWay returns the way of the group itself, or of its place, or nil.
func (g *group) nearestWay(pop uint16) *way {
	if w := g.own().find(pop); w != nil || g.network == nil || g.network.place == nil {
		return w
	}
	return g.network.place.ways.find(pop)
}
