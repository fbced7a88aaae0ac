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
	if !p.reported.IsZero() && now.Sub(p.reported) <= Fresh {
		return answers
	}
	known := 0
	for _, n := range p.nodes {
		switch wan(n.name) {
		case cdn.StateUnknown:
		case cdn.StateDown:
			known++
		default:
			return silence
		}
	}
	if known > 0 && (p.reported.IsZero() || now.Sub(p.reported) > Ageing) {
		return dead
	}
	return silence
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
