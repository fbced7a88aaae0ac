// Package flatten knows the addresses of names that ALIAS records stand for: it asks resolvers for them in the background, again and again, so
// that an answer never waits.
//
// What was known stays in use while nobody answers. It does not know zones, and answers nobody.
package flatten

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
)

// Times and bounds.
const (
	MaxTTL     = 300 * time.Second // for how long an address may be kept, whatever the resolver says
	minTTL     = 5 * time.Second   // how often resolvers are asked at most
	StaleTTL   = 30 * time.Second  // for how long what is old may be kept (RFC 8767 section 5)
	maxStale   = 24 * time.Hour    // how old it may become
	maxBackoff = time.Minute
	maxTargets = 10_000
	workers    = 8
	timeout    = 5 * time.Second
)

// Answer is what resolvers say of a name.
type Answer struct {
	// Addrs are its addresses of both families; none if it does not exist.
	Addrs []netip.Addr
	// TTL is for how long they are good.
	TTL time.Duration
}

// Resolver finds out about a name; [Client] is one. It is used concurrently.
type Resolver interface {
	// Resolve returns the addresses of a name. That there are none is not an error.
	Resolve(ctx context.Context, name cdn.Domain) (Answer, error)
}

// Config says whom to ask.
type Config struct {
	// Resolver is asked. Required.
	Resolver Resolver
	// Log gets what fails, once each time. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry prometheus.Registerer
}

// Flattener keeps addresses of names. It is safe for concurrent use.
type Flattener struct {
	resolver Resolver
	log      *slog.Logger
	metrics  *metrics
	followed atomic.Pointer[map[cdn.Domain]*target]
	wake     chan struct{}

	mu sync.Mutex // orders calls of Follow
}

// target is a name that is followed.
type target struct {
	name  cdn.Domain
	known atomic.Pointer[known] // nil before the first answer

	// only for the loop, and for one that asks on its behalf
	due      time.Time
	failures int
	asking   atomic.Bool
}

// known is the last answer.
type known struct {
	addrs []netip.Addr
	ttl   uint32
	at    time.Time
	fresh time.Time // until when it is good
}

// New returns a flattener, which follows nothing. [Flattener.Run] must be called.
func New(cfg Config) *Flattener {
	f := &Flattener{resolver: cfg.Resolver, log: cfg.Log, wake: make(chan struct{}, 1)}
	f.followed.Store(&map[cdn.Domain]*target{})
	f.metrics = newMetrics(cfg.Registry, f)
	return f
}

// Follow says which names are needed from now on; others are forgotten. Past 10,000 the rest is left out, which is logged. It does not wait.
func (f *Flattener) Follow(names []cdn.Domain) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := *f.followed.Load()
	next := make(map[cdn.Domain]*target, min(len(names), maxTargets))
	for _, name := range names {
		if _, twice := next[name]; twice {
			continue
		}
		if len(next) == maxTargets {
			f.log.Error("too many targets of ALIAS records; those past the first ones have no addresses", "targets", len(names), "limit", maxTargets)
			break
		}
		next[name] = before[name]
		if next[name] == nil {
			next[name] = &target{name: name}
		}
	}
	f.followed.Store(&next)
	f.poke()
}

// poke makes the loop look again.
func (f *Flattener) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Lookup returns the addresses of a name that is followed, and for how many seconds they may be kept; false if nothing is known of it: not yet, or for too
// long nobody has answered. It does not wait or allocate. The result must not be changed.
func (f *Flattener) Lookup(name cdn.Domain, now time.Time) (addrs []netip.Addr, ttl uint32, ok bool) {
	t := (*f.followed.Load())[name]
	if t == nil {
		return nil, 0, false
	}
	k := t.known.Load()
	switch {
	case k == nil || now.Sub(k.at) > maxStale:
		return nil, 0, false
	case now.After(k.fresh):
		return k.addrs, min(k.ttl, uint32(StaleTTL/time.Second)), true
	}
	return k.addrs, k.ttl, true
}

// Run asks until ctx ends.
func (f *Flattener) Run(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(workers)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-f.wake:
		case <-timer.C:
		}
		next := maxBackoff
		now := time.Now()
		for _, t := range slices.Collect(maps.Values(*f.followed.Load())) {
			if t.asking.Load() {
				continue // it wakes us
			}
			if wait := t.due.Sub(now); wait > 0 {
				next = min(next, wait)
				continue
			}
			t.asking.Store(true)
			group.Go(func() error { // waits while all are busy
				f.ask(ctx, t)
				t.asking.Store(false)
				f.poke()
				return nil
			})
		}
		timer.Reset(next)
	}
}

// ask finds out about a name, and when to do so again.
func (f *Flattener) ask(ctx context.Context, t *target) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := f.resolver.Resolve(limited, t.name)
	now := time.Now()
	switch {
	case ctx.Err() != nil:
		return // we are leaving
	case err != nil:
		f.metrics.queries.WithLabelValues("failed").Inc()
		if t.failures == 0 {
			f.log.WarnContext(ctx, "the target of an ALIAS record cannot be resolved; what was known of it stays in use", "target", t.name, "error", err)
		}
		t.failures++
		t.due = now.Add(jitter(min(maxBackoff, minTTL<<min(t.failures-1, 5))))
		return
	}
	f.metrics.queries.WithLabelValues("answered").Inc()
	t.failures = 0
	ttl := min(MaxTTL, max(minTTL, answer.TTL.Truncate(time.Second)))
	t.known.Store(&known{addrs: answer.Addrs, ttl: uint32(ttl / time.Second), at: now, fresh: now.Add(ttl)}) //nolint:gosec // 5 to 300
	t.due = now.Add(jitter(ttl))
}

// jitter is four fifths of a time up to all of it, so that not all names are asked for at once.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/5+1) //nolint:gosec // no secret
}
