package tableclient

import (
	"cmp"
	"fmt"
	"time"

	"nearcast/cdn"
)

// Bounds of what is believed.
const (
	maxPaths = 16
	maxMS    = 60_000
	maxRate  = 1e18
)

// check refuses a table that cannot be right. Rows must be in order, for differences are merged by it.
func check(t *cdn.RouteTable, now time.Time) error {
	refuse := func(format string, args ...any) error {
		return cdn.Errorf(cdn.Invalid, "", "route table %s/%d: %w", t.Epoch, t.Version, fmt.Errorf(format, args...))
	}
	switch {
	case t.Epoch == "" || t.Version == 0:
		return refuse("it has no epoch or version")
	case t.Base >= t.Version:
		return refuse("it is a difference to version %d", t.Base)
	case t.At.Sub(now) > MaxAhead:
		return refuse("it is from the future, %s: set the clock there, or here", t.At.Format(time.RFC3339))
	}
	if name, ok := ordered(t.Nodes, func(a, b *cdn.NodeHealth) int { return cmp.Compare(a.Node, b.Node) }); !ok {
		return refuse("nodes[%d] is not in order", name)
	}
	for i := range t.POPs {
		p := &t.POPs[i]
		switch {
		case i > 0 && t.POPs[i-1].POP >= p.POP:
			return refuse("pops[%d] is not in order", i)
		case !(p.Share >= 0 && p.Share <= 1) || !within(p.Capacity, maxRate) || !(p.Load >= -1 && p.Load <= maxRate):
			return refuse("pops[%d] (%s) has a share, capacity or load that cannot be", i, p.POP)
		}
	}
	for i, g := range t.Groups {
		switch {
		case g == nil || g.Name == "" || i > 0 && t.Groups[i-1].Name >= g.Name:
			return refuse("groups[%d] is not in order", i)
		case len(g.Paths) > maxPaths || !within(g.Octets, maxRate) || !within(g.Requests, maxRate):
			return refuse("groups[%d] (%s) has too many paths, or a demand that cannot be", i, g.Name)
		}
		for j := range g.Paths {
			if p := &g.Paths[j]; j > 0 && g.Paths[j-1].POP >= p.POP || !sane(&p.Quality) {
				return refuse("groups[%d] (%s): paths[%d] (%s) is not in order, or cannot be: %+v", i, g.Name, j, p.POP, p.Quality)
			}
		}
	}
	for i, l := range t.Links {
		if l == nil || i > 0 && cmp.Or(cmp.Compare(t.Links[i-1].From, l.From), cmp.Compare(t.Links[i-1].To, l.To)) >= 0 || !sane(&l.Quality) {
			return refuse("links[%d] is not in order, or cannot be", i)
		}
	}
	return nil
}

// ordered returns the first row that does not come after the one before it.
func ordered[R any](rows []R, compare func(a, b *R) int) (int, bool) {
	for i := 1; i < len(rows); i++ {
		if compare(&rows[i-1], &rows[i]) >= 0 {
			return i, false
		}
	}
	return 0, true
}

func within(x, most float64) bool { return x >= 0 && x <= most }

func sane(q *cdn.Quality) bool {
	return within(float64(q.R50), maxMS) && within(float64(q.R90), maxMS) && within(float64(q.Loss), 1) && within(float64(q.Failures), 1) && within(float64(q.N), maxRate)
}
