package liveness

import (
	"fmt"
	"strings"
	"time"

	"nearcast/cdn"
)

// When the probers are suspected rather than the POPs.
const (
	fallsWithin = 30 * time.Second
	fallsAtOnce = 5 * time.Second // those of the same blow, which are taken back too
	believeAt   = time.Minute     // a suspicion that is still true then is a fact
	fallsLeast  = 2
	fallsPart   = 0.3
)

// freeze keeps POPs up when too many of them fall at once: then it is likelier that those who probe are wrong.
type freeze struct {
	since time.Time // zero: there is no suspicion
	kept  []cdn.POPName
	all   int
}

// decide obeys the falls, or keeps the POPs up. News is whether its alarm is another one.
func (f *freeze) decide(now time.Time, falling, pops []*pop, all int) (news bool) {
	recent := 0
	for _, p := range pops {
		if !p.trusted && !p.fell.IsZero() && now.Sub(p.fell) <= fallsWithin && p.down(now) {
			recent++
		}
	}
	count := len(falling) + recent
	tooMany := len(falling) > 0 && count >= fallsLeast && float64(count) > fallsPart*float64(all)
	switch {
	case !tooMany:
		return f.obey(now, falling, false)
	case f.since.IsZero():
		f.since = now
		falling = append(falling, takeBack(now, pops)...)
	case now.Sub(f.since) >= believeAt:
		return f.obey(now, falling, true)
	}
	before := strings.Join(f.alarms(), "")
	f.kept, f.all = f.kept[:0], all
	for _, p := range pops { // in order
		for _, q := range falling {
			if p == q {
				f.kept = append(f.kept, p.name)
			}
		}
	}
	return before != strings.Join(f.alarms(), "")
}

func (f *freeze) obey(now time.Time, falling []*pop, trusted bool) (news bool) {
	for _, p := range falling {
		p.fall(now, trusted)
	}
	news = !f.since.IsZero()
	*f = freeze{}
	return news
}

// takeBack undoes the falls of the blow that is under way, and returns whose they were.
func takeBack(now time.Time, pops []*pop) (back []*pop) {
	for _, p := range pops {
		if !p.trusted && !p.fell.IsZero() && now.Sub(p.fell) <= fallsAtOnce && p.down(now) {
			p.undo()
			back = append(back, p)
		}
	}
	return back
}

func (f *freeze) alarms() []string {
	if f.since.IsZero() {
		return nil
	}
	names := make([]string, 0, len(f.kept))
	for i, name := range f.kept {
		if i == 10 {
			names = append(names, "...")
			break
		}
		names = append(names, string(name))
	}
	return []string{fmt.Sprintf("%d of %d POPs seem to have gone down within %v (%s): likelier the probers are wrong, so they are kept up until %s; look at the network of the route-quality servers",
		len(f.kept), f.all, fallsWithin, strings.Join(names, ", "), f.since.Add(believeAt).UTC().Format(time.RFC3339))}
}
