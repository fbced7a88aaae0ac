package agent

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/report"
)

const (
	// dutyHeld is how long a node goes on as an aggregator after it is none any more: the one instead of it may come and go.
	dutyHeld = 10 * time.Second
	// wanAfter is how long a node is an aggregator before it joins the pool of all POPs: while a POP starts each node finds itself alone.
	wanAfter = 2 * time.Second
	// wanPause is between two attempts to be in that pool.
	wanPause = 5 * time.Second
)

// duty is whether a node is an aggregator.
type duty struct {
	aggregators []cdn.NodeName
	on          bool
	since       time.Time // while on
	elected     time.Time // when this node was one of them last
}

// look takes what the pool knows: who the aggregators are, and whether there is news of members.
func (a *Agent) look() {
	a.mu.Lock()
	all, now := a.cfg.Pool.Members(), a.cfg.Now() // under the lock, so that no older look comes after a newer one
	was := a.duty.on
	a.elect(all, now)
	is := a.duty.on
	members := a.membersOf(all)
	news := !slices.Equal(members, a.members)
	a.members = members
	wan := is && now.Sub(a.duty.since) >= wanAfter
	a.mu.Unlock()

	a.wan.set(wan)
	if was != is {
		a.retarget()
	}
	switch {
	case was && !is:
		for _, s := range a.servers {
			s.clear()
		}
	case is && news:
		a.urgent()
	}
}

// elect finds the aggregators. Everybody in the POP who has the same configuration finds the same. Called with mu held.
func (a *Agent) elect(all []gossip.Member, now time.Time) {
	d := &a.duty
	d.aggregators = report.Aggregators(a.cfg.POP, a.electable(all))
	switch {
	case slices.Contains(d.aggregators, a.cfg.Node):
		if !d.on {
			d.on, d.since = true, now
		}
		d.elected = now
	case d.on && now.Sub(d.elected) >= dutyHeld:
		d.on = false
	}
	if d.on {
		a.metrics.aggregator.Set(1)
	} else {
		a.metrics.aggregator.Set(0)
	}
}

// electable returns those living members that the fleet has in this POP, since nobody would believe others; all of the living if there is none
// of these. Called with mu held.
func (a *Agent) electable(all []gossip.Member) []cdn.NodeName {
	living := []cdn.NodeName{a.cfg.Node}
	for i := range all {
		if all[i].State != cdn.StateDown && all[i].Name != a.cfg.Node {
			living = append(living, all[i].Name)
		}
	}
	ours := a.ours()
	known := slices.DeleteFunc(slices.Clone(living), func(n cdn.NodeName) bool { return !ours[n] })
	if len(known) > 0 {
		return known
	}
	return living
}

// ours are the nodes that the fleet has in this POP; none while there is no fleet. Called with mu held.
func (a *Agent) ours() map[cdn.NodeName]bool {
	ours := make(map[cdn.NodeName]bool)
	if a.snapshot != nil {
		for _, n := range a.snapshot.Fleet.CacheNodes(a.cfg.POP) {
			ours[n.Name] = true
		}
	}
	return ours
}

// membersOf returns what is told of the pool's members: those that the fleet has in this POP, and this node whatever the fleet says; all of them
// while there is no fleet. Called with mu held.
func (a *Agent) membersOf(all []gossip.Member) []report.Member {
	ours := a.ours()
	ours[a.cfg.Node] = true
	members := make([]report.Member, 0, len(all))
	for i := range all {
		if a.snapshot != nil && !ours[all[i].Name] {
			continue
		}
		m := report.Member{Node: all[i].Name, State: all[i].State}
		if !all[i].Started.IsZero() {
			m.Incarnation = max(0, all[i].Started.UnixMicro())
		}
		members = append(members, m)
	}
	a.metrics.members.Set(float64(len(members)))
	if len(members) > report.MaxMembers {
		// The healthy are cut off: those of whom nothing is told count as healthy.
		slices.SortStableFunc(members, func(x, y report.Member) int { return rank(x) - rank(y) })
		members = members[:report.MaxMembers]
	}
	slices.SortFunc(members, func(x, y report.Member) int { return cmp.Compare(x.Node, y.Node) })
	return members
}

// rank is low for those members of whom there is something to tell.
func rank(m report.Member) int {
	if m.State.Usable() {
		return 1
	}
	return 0
}

func (a *Agent) aggregators() []cdn.NodeName {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.duty.aggregators
}

func (a *Agent) onDuty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.duty.on
}

// isMember reports whether the pool has heard of a node.
func (a *Agent) isMember(node cdn.NodeName) bool {
	if node == a.cfg.Node {
		return true
	}
	return slices.ContainsFunc(a.cfg.Pool.Members(), func(m gossip.Member) bool { return m.Name == node })
}

// keepWAN keeps this node in the pool of all POPs while it is to be there.
func (a *Agent) keepWAN(ctx context.Context) {
	for ctx.Err() == nil {
		on, changed := a.wan.get()
		if on {
			a.runWAN(ctx, changed)
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// runWAN is in the pool until ctx ends or off is closed. After a failure it waits.
func (a *Agent) runWAN(ctx context.Context, off <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-off:
			end()
		}
	})
	run, err := a.cfg.OpenWAN()
	if err == nil {
		a.metrics.wan.Set(1)
		err = run(ctx)
		a.metrics.wan.Set(0)
	}
	if ctx.Err() != nil {
		return
	}
	a.metrics.wanFailures.Inc()
	a.cfg.Log.WarnContext(ctx, "this node is not in the pool of all POPs; trying again", "pause", wanPause, "error", err)
	sleep(ctx, wanPause)
}

// level is a condition that can be waited for.
type level struct {
	mu      sync.Mutex // guards the following
	on      bool
	changed chan struct{} // closed at the next change
}

func (l *level) init() { l.changed = make(chan struct{}) }

func (l *level) set(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on != on {
		l.on = on
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

func (l *level) get() (on bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on, l.changed
}
