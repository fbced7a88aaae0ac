package gossip

import (
	"context"
	"math/rand/v2"
	"time"

	"nearcast/cdn"
)

// How often a member looks for others. A member that sees nobody tries hard, since
// after a restart it must be back within a second. One that sees somebody only
// looks for seeds that are missing, so that two halves of a pool that both lost
// all their seeds find together again.
const (
	joinFirst = 100 * time.Millisecond
	joinMost  = 5 * time.Second
)

// keepJoined calls on seeds until ctx ends.
func (p *Pool) keepJoined(ctx context.Context) {
	if len(p.seeds) == 0 {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := joinFirst
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		p.join(ctx, p.missingSeeds())
		if p.list.NumMembers() > 1 {
			wait = joinFirst
			timer.Reset(jitter(p.settings.rejoinDead))
			continue
		}
		timer.Reset(jitter(wait))
		wait = min(2*wait, joinMost)
	}
}

// settle exchanges states with some others soon after the start. What members say that start at the same time goes out a few times only, and all of it may be
// lost on the way to one of them; the next exchange of its own accord may be half a minute away.
func (p *Pool) settle(ctx context.Context) {
	for _, wait := range [...]time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
		timer := time.NewTimer(jitter(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		p.join(ctx, p.anyOther())
	}
}

// anyOther returns the address of a member by chance that is alive and not this one, or none.
func (p *Pool) anyOther() []string {
	var others []string
	for _, m := range p.Members() {
		if m.Name != p.self && m.State != cdn.StateDown {
			others = append(others, m.Addr.String())
		}
	}
	if len(others) == 0 {
		return nil
	}
	return []string{others[rand.IntN(len(others))]} //nolint:gosec // chance, not a secret
}

// join calls on the seeds one after the other. Each call is bounded by the
// protocol's stream timeout.
func (p *Pool) join(ctx context.Context, seeds []string) {
	for _, seed := range seeds {
		if ctx.Err() != nil {
			return
		}
		if _, err := p.list.Join([]string{seed}); err != nil {
			p.metrics.joinFailures.Inc()
			p.log.DebugContext(ctx, "joining the gossip pool", "seed", seed, "error", err)
			continue
		}
		p.log.DebugContext(ctx, "joined the gossip pool", "seed", seed)
	}
}

// missingSeeds returns the seeds at whose address nobody is alive.
func (p *Pool) missingSeeds() []string {
	alive := make(map[string]bool)
	for _, m := range p.Members() {
		if m.State != cdn.StateDown {
			alive[m.Addr.String()] = true
		}
	}
	var missing []string
	for _, seed := range p.seeds {
		if !alive[seed] {
			missing = append(missing, seed)
		}
	}
	return missing
}

// jitter spreads d by a quarter to either side, so that members that start
// together do not call together for ever.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2) //nolint:gosec // chance, not a secret
}
