// Package probe opens TCP connections to sets of addresses, again and again, and says how long that takes and whether anybody answers.
//
// It is not for what is concluded from it: damping and quorums are the business of whoever hears the results.
package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Target is something to probe: it answers if one of its addresses does.
type Target struct {
	// Name is unique among the targets of a prober.
	Name string
	// Addrs are tried: two of them first, in turn, and when neither has answered soon, all of them at the same time. At most [MaxAddrs] count.
	Addrs []netip.AddrPort
	// Host, "name:port", is resolved before each probe in place of Addrs, if it is set. The round trip does not include it.
	Host string
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
	// RTT is the time that the fastest of the connections that were tried took to open; zero if nobody answered.
	RTT time.Duration
	// At is when it ended.
	At time.Time
}

// Config says how to probe.
type Config struct {
	// OnResult gets the results, one call at a time, in the order in which the probes ended. While it is slow up to 1024 results wait; then the oldest are dropped and counted. Required.
	OnResult func(Result)
	// Limit bounds the connections that are being opened at the same time; zero means 1024. A probe that gets no room within its timeout has no result, and is counted.
	Limit int
	// Dial opens a connection; nil uses [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve looks a host up; nil uses [net.DefaultResolver].
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Now is the clock of Result.At; nil means [time.Now].
	Now func() time.Time
}

// Prober probes. Its methods may be called from any goroutine.
type Prober struct{}

// New returns a prober without targets.
func New(cfg Config) *Prober { return &Prober{} }

// Set replaces the targets. One that is the same as before goes on undisturbed; a new one is first probed at some moment, chosen by
// chance, within its interval. Of one that is gone there are no results after Set has returned, but those that waited already.
func (p *Prober) Set(targets []Target) {}

// Run probes until ctx ends, and returns nil when everything that it started has ended.
func (p *Prober) Run(ctx context.Context) error { return nil }

// Stats is what a prober has not done since it started.
type Stats struct {
	Dropped uint64 // results: OnResult was too slow
	Skipped uint64 // probes: there were too many connections under way
}

// Stats returns the counters.
func (p *Prober) Stats() Stats { return Stats{} }

// Verdict follows the results of one target. The zero value has no opinion.
type Verdict struct{}

// Observe takes a result and reports whether the opinion has changed: three misses in a row are down, one answer is up.
func (v *Verdict) Observe(answered bool) bool { return false }

// Up returns the opinion; known is false before there is one.
func (v *Verdict) Up() (up, known bool) { return false, false }
