package liveness

import (
	"cmp"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
)

// pop is a point of presence with cache nodes.
type pop struct {
	name  cdn.POPName
	nodes []*node
	// votes are by nodes; those of one POP count as one voter's.
	votes    heard[ballot]
	reported time.Time // when one of its nodes has reported last
	health   estimate.Health
	before   estimate.Health // as it was before it fell last
	observed time.Time       // when health was told last that it answers
	fell     time.Time       // when it fell last; zero: never
	trusted  bool            // that fall was believed after a freeze, so it raises no suspicion
	seenUp   bool            // somebody has reached it, or it has reported
	began    time.Time       // when it was judged first
	said     verdict         // of the last step
	absent   bool            // it was never there, though most others are
	island   bool            // its nodes are up though they take each other for dead
	state    cdn.POPState
	share    float64
	since    time.Time
}

type ballot struct {
	by string
	up bool
}

// verdict is what the votes say.
type verdict uint8

const (
	silence verdict = iota // there are none
	answers
	dead
)

// tally returns what more than half of the fresh voters say, and their votes by name. A POP votes by several of its nodes: what one of
// them can reach, it can.
func (p *pop) tally(now time.Time) (verdict, []cdn.Vote) {
	var votes []cdn.Vote
	for _, w := range p.votes {
		if !w.fresh(now) {
			continue
		}
		if i := slices.IndexFunc(votes, func(v cdn.Vote) bool { return v.By == w.value.by }); i >= 0 {
			votes[i].Up = votes[i].Up || w.value.up
		} else {
			votes = append(votes, cdn.Vote{By: w.value.by, Up: w.value.up})
		}
	}
	if len(votes) == 0 {
		return silence, nil
	}
	slices.SortFunc(votes, func(a, b cdn.Vote) int { return cmp.Compare(a.By, b.By) })
	down := 0
	for _, v := range votes {
		if !v.Up {
			down++
		}
	}
	if 2*down > len(votes) {
		return dead, votes
	}
	return answers, votes
}

// judge returns what is to be believed of the POP: its votes; without any, that it answers if it reports, and what the WAN pool says
// if all is silent.
func (p *pop) judge(now time.Time, wan func(cdn.NodeName) cdn.NodeState) verdict {
	said, _ := p.tally(now)
	if said != silence {
		return said
	}
	switch {
	case p.reports(now):
		return answers
	case p.gone(wan) && (p.reported.IsZero() || now.Sub(p.reported) > Ageing):
		return dead
	}
	return silence
}

// reports reports whether one of its nodes has reported of late.
func (p *pop) reports(now time.Time) bool {
	return !p.reported.IsZero() && now.Sub(p.reported) <= Fresh
}

// gone reports whether all of its nodes that the WAN pool knows are dead there.
func (p *pop) gone(wan func(cdn.NodeName) cdn.NodeState) bool {
	known := 0
	for _, n := range p.nodes {
		switch wan(n.name) {
		case cdn.StateUnknown:
		case cdn.StateDown:
			known++
		default:
			return false
		}
	}
	return known > 0
}

// hangs reports whether its processes stand still, though connections open: the kernel does that, for as long as its queue has room. They
// did report and have ceased to, and are dead for the WAN pool.
func (p *pop) hangs(now time.Time, wan func(cdn.NodeName) cdn.NodeState) bool {
	return !p.reported.IsZero() && now.Sub(p.reported) > Ageing && p.gone(wan)
}

// isIsland reports whether all of its nodes would be down by what they say of each other, although some say of themselves that they are not, and it
// is not down. Then it is the network between them that is.
func (p *pop) isIsland(now time.Time) bool {
	if p.state == cdn.POPDown {
		return false
	}
	speaks := false
	for _, n := range p.nodes {
		if n.judge(now) != cdn.StateDown {
			return false
		}
		own := n.heard[n.name]
		speaks = speaks || own != nil && own.fresh(now) && own.value.State != cdn.StateDown
	}
	return speaks
}

// answered tells health that the POP answers, as often as it is probed.
func (p *pop) answered(now time.Time) {
	p.seenUp = true
	if now.Sub(p.observed) >= ProbeEvery {
		p.health.Observe(now, true)
		p.observed = now
	}
}

func (p *pop) fall(now time.Time, trusted bool) {
	p.before, p.fell, p.trusted = p.health, now, trusted
	p.health.Fall(now)
}

// undo takes a fall back, as if it had not been.
func (p *pop) undo() { p.health, p.fell = p.before, time.Time{} }

// down reports whether it is out for not answering.
func (p *pop) down(now time.Time) bool {
	is, _ := p.health.State(now)
	return is == estimate.Down
}

// settle takes the state from health, and reports whether it was another.
func (p *pop) settle(now time.Time) bool {
	state := cdn.POPUnknown
	is, share := p.health.State(now)
	switch is {
	case estimate.Down:
		state = cdn.POPDown
	case estimate.Suppressed:
		state = cdn.POPSuppressed
	case estimate.Up, estimate.Ramping:
		if p.heardOf(now) {
			state = cdn.POPUp
		}
	}
	if p.absent {
		state, share = cdn.POPDown, 0
	}
	p.share = share
	if p.state == state && !p.since.IsZero() {
		return false
	}
	p.state, p.since = state, now
	return true
}

// heardOf reports whether anybody has said anything of it lately.
func (p *pop) heardOf(now time.Time) bool {
	last := p.votes.last()
	if p.reported.After(last) {
		last = p.reported
	}
	return !last.IsZero() && now.Sub(last) <= Ageing
}
