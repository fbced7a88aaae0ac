// Package probe opens TCP connections to sets of addresses, again and again, and says how long that takes and whether anybody answers.
//
// It is not for what is concluded from it: damping and quorums are the business of whoever hears the results.
package probe

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"time"
)

// Target is something to probe: it answers if one of its addresses does.
type Target struct {
	// Name is unique among the targets of a prober.
	Name string
	// Addrs are tried: two of them first, other ones each time, and when neither has answered within a quarter of Timeout, or both have
	// failed, all others at once. The first [MaxAddrs] count.
	Addrs []netip.AddrPort
	// Host, "name:port", is resolved before each probe in place of Addrs if it is set, for at most Timeout; its first 8 addresses
	// count. The round trip does not include it.
	Host string
	// Ask says that the program behind the connection, a cache node, has to answer too (within the same time): a kernel opens connections
	// for one that hangs. The round trip is that of the connection nevertheless.
	Ask bool
	// Every is the time between two probes, and Timeout how long an answer may take. They may overlap: the next one begins in time.
	Every, Timeout time.Duration
}

// MaxAddrs bounds the addresses of a target.
const MaxAddrs = 128

// Result is the outcome of a probe.
type Result struct {
	// Target is its name.
	Target string
	// Err is why nobody answered; nil if somebody did.
	Err error
	// RTT is the time that the first of the connections to open took for it; zero if nobody answered.
	RTT time.Duration
	// At is when it ended.
	At time.Time
}

// Config says how to probe.
type Config struct {
	// OnResult gets the results, one call at a time, in the order in which the probes ended. While it is slow up to 1024 results
	// wait; then the oldest are dropped and counted. It may call the prober. Required.
	OnResult func(Result)
	// Limit bounds the connections that are being opened at the same time; zero means 1024. A probe that fails for want of room has
	// no result, and is counted: whoever measures too much must not find the world down.
	Limit int
	// Dial opens a connection; nil uses [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve looks a host up; nil uses [net.DefaultResolver].
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Now is the clock of Result.At; nil means [time.Now].
	Now func() time.Time
}

// maxWaiting bounds the results that wait for OnResult.
const maxWaiting = 1024

// Prober probes. Its methods may be called from any goroutine.
type Prober struct {
	cfg   Config
	slots chan struct{} // a token for each connection that is being opened
	wake  chan struct{} // capacity 1: results wait
	tasks sync.WaitGroup

	mu      sync.Mutex      // guards the following, and that nothing of a target waits once it is gone
	ctx     context.Context //nolint:containedctx // of Run; nil when it is not running
	targets map[string]*task
	waiting []outcome // at most maxWaiting
	stats   Stats
}

// task is a target and what is under way for it.
type task struct {
	target Target
	gone   bool               // guarded by Prober.mu
	end    context.CancelFunc // nil if it was not started
}

// outcome is a result that waits.
type outcome struct {
	of *task
	Result
}

// New returns a prober without targets.
func New(cfg Config) *Prober {
	if cfg.Limit == 0 {
		cfg.Limit = 1024
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Prober{
		cfg:     cfg,
		slots:   make(chan struct{}, cfg.Limit),
		wake:    make(chan struct{}, 1),
		targets: make(map[string]*task),
	}
}

// Set replaces the targets. One that is the same as before goes on undisturbed; a new one is first probed at some moment, chosen by
// chance, within its interval. Of one that is gone there are no results after Set has returned, but for a call of OnResult under way.
// A target without an interval or a timeout is never probed.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make(map[string]*task, len(targets))
	for _, t := range targets {
		if old := p.targets[t.Name]; old != nil && reflect.DeepEqual(old.target, t) {
			next[t.Name] = old
			continue
		}
		if next[t.Name] == nil && t.Every > 0 && t.Timeout > 0 {
			next[t.Name] = &task{target: t}
		}
	}
	for name, old := range p.targets {
		if next[name] != old {
			old.gone = true
			if old.end != nil {
				old.end()
			}
		}
	}
	p.targets = next
	p.startLocked()
}

// startLocked begins with the targets that are new.
func (p *Prober) startLocked() {
	if p.ctx == nil {
		return
	}
	for _, t := range p.targets {
		if t.end == nil {
			ctx, end := context.WithCancel(p.ctx)
			t.end = end
			p.tasks.Go(func() { p.follow(ctx, t) })
		}
	}
}

// Run probes until ctx ends, and returns nil when everything that it started has ended. It may be called once.
func (p *Prober) Run(ctx context.Context) error {
	p.mu.Lock()
	p.ctx = ctx
	p.startLocked() //nolint:contextcheck // it takes this one
	p.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-p.wake:
			p.deliver(ctx)
		}
	}
	p.mu.Lock()
	p.ctx = nil // no more are started
	for _, t := range p.targets {
		t.end()
	}
	p.mu.Unlock()
	p.tasks.Wait()
	return nil
}

// deliver hands out what waits.
func (p *Prober) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		if len(p.waiting) == 0 {
			p.mu.Unlock()
			return
		}
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		gone := next.of.gone
		p.mu.Unlock()
		if !gone {
			p.cfg.OnResult(next.Result)
		}
	}
}

// put lets a result wait.
func (p *Prober) put(of *task, r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of.gone {
		return
	}
	if len(p.waiting) == maxWaiting {
		p.waiting = p.waiting[1:]
		p.stats.Dropped++
	}
	p.waiting = append(p.waiting, outcome{of, r})
	select {
	case p.wake <- struct{}{}:
	default: // it will see this one, too
	}
}

func (p *Prober) skipped() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Skipped++
}

// Stats is what a prober has not done since it started.
type Stats struct {
	Dropped uint64 // results: OnResult was too slow
	Skipped uint64 // probes: there were too many connections under way, or this process was not given the processor
}

// Stats returns the counters.
func (p *Prober) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// follow probes a target until ctx ends.
func (p *Prober) follow(ctx context.Context, t *task) {
	first := time.NewTimer(rand.N(t.target.Every)) //nolint:gosec // chance, not a secret
	defer first.Stop()
	select {
	case <-ctx.Done():
		return
	case <-first.C:
	}
	again := time.NewTicker(t.target.Every)
	defer again.Stop()
	for turn := 0; ; turn++ {
		p.tasks.Go(func() { p.probe(ctx, t, turn) })
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}
