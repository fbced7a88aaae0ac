package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"nearcast/cdn"
)

const (
	maxResolved = 8 // addresses of a host
	firstWave   = 2 // connections that are tried before all others
)

// What says nothing of the target.
var (
	errNoRoom  = errors.New("too many connections are being opened")
	errStalled = errors.New("this process did not run for a while") // an answer may have waited all the time
)

// meansNothing reports whether a failure is this process's own.
func meansNothing(err error) bool { return errors.Is(err, errNoRoom) || errors.Is(err, errStalled) }

// probe tries a target once and puts the result.
func (p *Prober) probe(ctx context.Context, t *task, turn int) {
	addrs, err := t.target.Addrs, error(nil)
	if t.target.Host != "" {
		addrs, err = p.resolve(ctx, t.target.Host, t.target.Timeout)
	}
	r := Result{Target: t.target.Name, Err: err}
	if err == nil {
		r.RTT, r.Err = p.connect(ctx, &t.target, addrs[:min(len(addrs), MaxAddrs)], turn)
	}
	r.At = p.cfg.Now()
	switch {
	case ctx.Err() != nil: // the target is gone, or the prober ends: that nobody answered means nothing
	case meansNothing(r.Err):
		p.skipped()
	default:
		p.put(t, r)
	}
}

// resolve returns the addresses of "name:port".
func (p *Prober) resolve(ctx context.Context, host string, timeout time.Duration) ([]netip.AddrPort, error) {
	name, service, err := net.SplitHostPort(host)
	if err != nil {
		return nil, fmt.Errorf("resolving %q: %w", host, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("resolving %q: its port is no number: %w", host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ips, err := p.cfg.Resolve(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("resolving %q: %w", host, err)
	}
	addrs := make([]netip.AddrPort, 0, maxResolved)
	for _, ip := range ips[:min(len(ips), maxResolved)] {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return addrs, nil
}

// attempt is one connection's outcome.
type attempt struct {
	rtt time.Duration
	err error
}

// connect returns how long the first connection to one of the addresses took to open, or why none did.
func (p *Prober) connect(ctx context.Context, t *Target, addrs []netip.AddrPort, turn int) (time.Duration, error) {
	timeout := t.Timeout
	if len(addrs) == 0 {
		return 0, errors.New("it has no address")
	}
	began := time.Now()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // those that are no longer of interest
	outcomes := make(chan attempt, len(addrs))
	started, ended := 0, 0
	start := func(n int) {
		left := max(timeout-time.Since(began), timeout/2)
		for range min(n, len(addrs)-started) {
			addr := addrs[(turn*firstWave+started)%len(addrs)]
			started++
			wg.Go(func() { outcomes <- p.open(ctx, addr, t, left) })
		}
	}
	start(firstWave)
	patience := time.NewTimer(timeout / 4)
	defer patience.Stop()
	var failure error
	for {
		select {
		case <-patience.C:
			start(len(addrs))
		case o := <-outcomes:
			if o.err == nil {
				return o.rtt, nil
			}
			ended++
			if failure == nil || meansNothing(o.err) {
				failure = o.err
			}
			if ended == started {
				start(len(addrs))
			}
			if ended == len(addrs) {
				return 0, failure
			}
		}
	}
}

// open opens a connection within the time that is left for it, asks whoever is behind it to answer if the target wants
// that, and closes it. Waiting for room, as long as the timeout, is not part of that time: a connection that began late
// must not fail for it.
func (p *Prober) open(ctx context.Context, addr netip.AddrPort, t *Target, left time.Duration) attempt {
	timeout := t.Timeout
	room := time.NewTimer(timeout)
	defer room.Stop()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-room.C:
		return attempt{err: errNoRoom}
	case <-ctx.Done():
		return attempt{err: ctx.Err()}
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	began := time.Now() // with its monotonic clock, whatever Config.Now is
	c, err := p.cfg.Dial(ctx, "tcp", addr.String())
	rtt := time.Since(began)
	if err != nil && rtt > left+timeout/4 {
		err = errStalled
	}
	if err != nil {
		return attempt{err: err}
	}
	defer c.Close() //nolint:errcheck // whatever was read is there
	if t.Ask {
		err := ask(c, began.Add(left))
		if err != nil && time.Since(began) > left+timeout/4 {
			err = errStalled
		}
		if err != nil {
			return attempt{err: err}
		}
	}
	return attempt{rtt: rtt}
}

// question is answered by every cache node, see [cdn.ProbeHost].
const question = "GET / HTTP/1.1\r\nHost: " + cdn.ProbeHost + "\r\nConnection: close\r\n\r\n"

// ask sends the question and waits for the beginning of an answer: a process that hangs has a kernel that opens connections for it.
func ask(c net.Conn, deadline time.Time) error {
	const answer = "HTTP/1."
	var b [len(answer)]byte
	err := c.SetDeadline(deadline)
	if err == nil {
		_, err = io.WriteString(c, question)
	}
	if err == nil {
		_, err = io.ReadFull(c, b[:])
	}
	switch {
	case err != nil:
		return fmt.Errorf("it opens connections and does not answer: %w", err)
	case string(b[:]) != answer:
		return fmt.Errorf("it answers %q, not HTTP", b)
	}
	return nil
}
