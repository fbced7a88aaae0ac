package paths

import (
	"math"
	"time"

	"nearcast/cdn"
)

// Dead-bands: what is published stands still until what is believed has moved by more.
const (
	bandMS     = 3 // of a round trip, in ms,
	bandPart   = 0.1
	bandLoss   = 0.005
	bandDemand = 0.1
	// bandTotal is of the demand of all: of a group that asks for less, nobody notices a change.
	bandTotal = 1e-7
)

// quality rounds a belief to what is worth telling.
func (e *belief) quality(now time.Time) cdn.Quality {
	q := cdn.Quality{
		R50: rounded(e.R50, 100), R90: rounded(e.R90, 100), Loss: rounded(e.loss, 1e4), Failures: rounded(e.failures, 1e4), N: rounded(e.n, 10),
	}
	if e.n > 0 {
		q.Measured = now.Add(-e.age).Unix()
	}
	return q
}

func rounded(x, steps float64) float32 { return float32(math.Round(x*steps) / steps) }

// moved reports whether a path is another than it was published.
func moved(old, now *cdn.Quality) bool {
	return movedMS(old.R50, now.R50) || movedMS(old.R90, now.R90) || movedShare(old.Loss, now.Loss) || movedShare(old.Failures, now.Failures) ||
		level(now.N, old.N) != level(old.N, old.N)
}

func movedMS(old, now float32) bool {
	return math.Abs(float64(now-old)) > max(bandMS, bandPart*float64(old))
}

func movedShare(old, now float32) bool { return math.Abs(float64(now-old)) > bandLoss }

// level is 0, 1 or 2 for a weight below 1, below 8, and above. A weight that fades leaves its level a little later than it came there.
func level(n, before float32) int {
	switch {
	case n >= 8 || n >= 6 && before >= 8:
		return 2
	case n >= 1 || n >= 0.5 && before >= 1:
		return 1
	}
	return 0
}

// movedDemand reports whether a demand is another than it was published.
func (b *Book) movedDemand(old *cdn.VisitorGroup, d Demand) bool {
	by := func(old float64, now, total float32) bool {
		change := math.Abs(float64(now) - old)
		return change > bandDemand*old && change > bandTotal*float64(total)
	}
	return by(old.Octets, d.Octets, b.total.Octets) || by(old.Requests, d.Requests, b.total.Requests)
}

// publish looks at a group and reports whether it has another row than before.
func (b *Book) publish(now time.Time, g *group) bool {
	old := g.row
	due := old == nil || now.Sub(g.rowAt) >= lifetime(hash(g.name))
	demand := due || b.movedDemand(old, g.demand)
	look := due || g.dirty || (b.turn+hash(g.name))%looks == 0 || !b.sameList(g)
	if !demand && !look {
		return false
	}
	row := &cdn.VisitorGroup{Name: g.name, Octets: float64(g.demand.Octets), Requests: float64(g.demand.Requests)}
	changed := demand
	switch {
	case look:
		var fresh bool
		row.Paths, fresh = b.paths(now, g, due)
		changed = changed || fresh
	default:
		row.Paths = old.Paths
	}
	if !changed {
		return false
	}
	if !demand {
		row.Octets, row.Requests = old.Octets, old.Requests
	}
	row.Octets, row.Requests = math.Round(row.Octets), math.Round(row.Requests*1000)/1000
	if due {
		g.rowAt = now
	}
	g.row = row
	return true
}

// lifetime is after what time a row is published again: not the same for all, so that they do not come at once.
func lifetime(hash uint64) time.Duration {
	return refresh/2 + time.Duration(hash%256)*refresh/2/256 //nolint:gosec // less than 256
}

// paths returns the group's paths: as they were published, but for those that have moved, or as all are now. Fresh is whether any is new.
func (b *Book) paths(now time.Time, g *group, all bool) (paths []cdn.Path, fresh bool) {
	var old []cdn.Path
	if g.row != nil {
		old = g.row.Paths
	}
	fresh = all || len(old) != len(g.list)
	paths = make([]cdn.Path, len(g.list))
	for i, pop := range g.list {
		e := b.believe(now, g, pop)
		p := cdn.Path{POP: b.pops[pop].name, Quality: e.quality(now)}
		for len(old) > 0 && old[0].POP < p.POP {
			old, fresh = old[1:], true
		}
		switch {
		case len(old) == 0 || old[0].POP != p.POP:
			fresh = true
		case all || moved(&old[0].Quality, &p.Quality):
			old, fresh = old[1:], true
		default:
			p, old = old[0], old[1:]
		}
		paths[i] = p
	}
	return paths, fresh
}

// sameList reports whether the published candidates are those of the list.
func (b *Book) sameList(g *group) bool {
	if len(g.row.Paths) != len(g.list) {
		return false
	}
	for i, pop := range g.list {
		if g.row.Paths[i].POP != b.pops[pop].name {
			return false
		}
	}
	return true
}

// hash spreads names (FNV-1a).
func hash(name cdn.GroupName) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h >> 8
}
