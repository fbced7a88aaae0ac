package tlscert

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/lograte"
	"nearcast/internal/netfirst"
)

// GateOptions bound handshakes. A field that is zero means its default.
type GateOptions struct {
	// Timeout is how long a handshake may take. Default 10 s.
	Timeout time.Duration
	// Computing is how many handshakes compute at the same time. Default: one less than
	// there are processors, and at least one. Those that wait for the client are not
	// counted.
	Computing int
	// Pending is how many handshakes may be under way. Default 10,000.
	Pending int
	// PerClient is how many of them one client may have: an IPv4 address, or an IPv6 /64.
	// Default 1,000: many people may share an address.
	PerClient int
	// Octets is how much a client may send in a handshake. Default 16 KiB, several
	// times what a ClientHello with post-quantum keys has. crypto/tls would
	// keep 64 KiB for each.
	Octets int
	// Log gets a line for handshakes that were dropped or timed out, one per second at
	// most. Nil discards it.
	Log *slog.Logger
}

// Counts are what has become of handshakes.
type Counts struct {
	// Pending are under way now.
	Pending int64
	// Done, Failed and TimedOut came to their end; Failed by what the client sent, or because it
	// hung up.
	Done, Failed, TimedOut int64
	// Dropped made room for newer ones, Refused found none.
	Dropped, Refused int64
}

// Reasons for the end of a handshake.
var (
	errTimeout = errors.New("the handshake took too long")
	errDropped = errors.New("the handshake was the oldest of too many")
	errRefused = errors.New("too many handshakes are under way")
	errOctets  = errors.New("the client sent too much for a handshake")
)

// Gate shakes hands, and sees to it that neither clients that stall nor a flood of them harm
// those that are connected.
//
// What handshakes can take is memory, which is bounded by how many are under way, and
// processor time, which is bounded by how many compute at once: the others wait in a queue of the gate's and not
// in the scheduler's, where each would stand before a connected visitor's request. One processor is left out, because Go's scheduler
// looks at the network only when a processor has nothing else to run, or after 10 ms: a flood that fills all of them
// makes a visitor wait that long for each packet. For where there is but one, and for what others take of the rest, each
// handshake of several first lets those have their turn for whom there is something on the network.
//
// When there are too many, of all or of one client's, the oldest that waits for its client is dropped: an honest
// handshake takes two round trips, so one that is old is likely to be an attacker's, who would
// have to send tens of thousands each second to push out the young. To refuse the newest
// instead would hand the gate to whoever opens a thousand connections a second and stalls. The newest is
// refused if all wait for the processor: then the work itself is too much.
type Gate struct {
	o     GateOptions
	log   *slog.Logger
	slots chan struct{}

	visitors netfirst.Yielder // who are connected

	bufs sync.Pool    // of *[]byte
	lent atomic.Int64 // of them

	failures lograte.Limiter

	done, failed, timedOut, dropped, refused atomic.Int64

	mu      sync.Mutex // guards what follows
	all     queue
	clients map[netip.Addr]*queue
}

// NewGate returns a gate.
func NewGate(o GateOptions) *Gate {
	o = GateOptions{
		Timeout:   cmp.Or(o.Timeout, 10*time.Second),
		Computing: cmp.Or(o.Computing, max(1, runtime.GOMAXPROCS(0)-1)),
		Pending:   cmp.Or(o.Pending, 10_000),
		PerClient: cmp.Or(o.PerClient, 1_000),
		Octets:    cmp.Or(o.Octets, 16<<10),
		Log:       o.Log,
	}
	g := &Gate{o: o, log: o.Log, slots: make(chan struct{}, o.Computing), clients: make(map[netip.Addr]*queue)}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// Handshake makes a TLS connection of one just accepted. On an error, that connection is closed. There
// is a [Wire] under what it returns.
func (g *Gate) Handshake(ctx context.Context, nc net.Conn, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &turn{gate: g, ctx: ctx, cancel: cancel, client: clientip.Of(nc.RemoteAddr()), octets: g.o.Octets}
	if !g.admit(t) {
		return nil, g.end(nc, t, errRefused)
	}
	defer g.forget(t)
	defer t.leave()
	timer := time.AfterFunc(g.o.Timeout, func() { cancel(errTimeout) })
	defer timer.Stop()
	w := &Wire{Conn: nc, gate: g, turn: t}
	c, err := g.shake(ctx, w, config)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, g.end(nc, t, err)
	}
	w.turn = nil
	if len(t.buf) > 0 {
		w.early = slices.Clone(t.buf)
	}
	g.done.Add(1)
	return c, nil
}

// shake shakes hands. Until the client has sent something whole, nothing is set up for it.
func (g *Gate) shake(ctx context.Context, w *Wire, config *tls.Config) (*tls.Conn, error) {
	stop := context.AfterFunc(ctx, func() { w.Conn.Close() }) //nolint:errcheck // it only has to wake fill
	err := w.turn.fill(w.Conn)
	if stop(); err != nil {
		return nil, err
	}
	c := tls.Server(w, config)
	return c, shakeApart(ctx, c)
}

// shakeApart shakes hands on a goroutine of its own and waits for it. That goroutine's stack grows to
// 8 KiB or more; the caller's would keep it for as long as the connection is idle, where
// 4 KiB are enough.
func shakeApart(ctx context.Context, c *tls.Conn) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil { // no input crashes the process, not even by a mistake of crypto/tls
				done <- fmt.Errorf("panic: %v", v)
			}
		}()
		done <- c.HandshakeContext(ctx)
	}()
	return <-done
}

// end closes the connection of a handshake that failed, counts it and says why.
func (g *Gate) end(nc net.Conn, t *turn, err error) error {
	nc.Close() //nolint:errcheck // nobody is left to be told
	switch {
	case errors.Is(err, errTimeout):
		g.timedOut.Add(1)
	case errors.Is(err, errDropped):
		g.dropped.Add(1)
	case errors.Is(err, errRefused):
		g.refused.Add(1)
	default:
		g.failed.Add(1)
		return fmt.Errorf("tlscert: shaking hands: %w", err)
	}
	g.tell(t, err)
	return fmt.Errorf("tlscert: shaking hands: %w", err)
}

// tell logs the end of a handshake, unless it has just logged another.
func (g *Gate) tell(t *turn, err error) {
	if others, ok := g.failures.Allow(time.Now()); ok {
		g.log.WarnContext(t.ctx, "a TLS handshake was given up", "client", t.client, "error", err, "others_since_last", others)
	}
}

// Counts returns what has become of handshakes so far.
func (g *Gate) Counts() Counts {
	g.mu.Lock()
	pending := g.all.n
	g.mu.Unlock()
	return Counts{
		Pending: int64(pending), Done: g.done.Load(), Failed: g.failed.Load(), TimedOut: g.timedOut.Load(),
		Dropped: g.dropped.Load(), Refused: g.refused.Load(),
	}
}

// admit counts a handshake as under way. To make room, it may drop another.
func (g *Gate) admit(t *turn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if own := g.clients[t.client]; own != nil && own.n >= g.o.PerClient && !g.drop(own, byClient) {
		return false
	}
	if g.all.n >= g.o.Pending && !g.drop(&g.all, byAge) {
		return false
	}
	own := g.clients[t.client]
	if own == nil {
		own = new(queue)
		g.clients[t.client] = own
	}
	own.push(t, byClient)
	g.all.push(t, byAge)
	t.listed = true
	return true
}

// drop ends the oldest of a queue that waits for its client. mu is held.
func (g *Gate) drop(q *queue, by int) bool {
	t := q.oldestStalled(by)
	if t == nil {
		return false
	}
	g.remove(t)
	t.cancel(errDropped)
	return true
}

// forget ends the counting of a handshake.
func (g *Gate) forget(t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.listed {
		g.remove(t)
	}
}

// remove takes a handshake that is listed out of its queues. mu is held.
func (g *Gate) remove(t *turn) {
	t.listed = false
	g.all.remove(t, byAge)
	own := g.clients[t.client]
	own.remove(t, byClient)
	if own.n == 0 {
		delete(g.clients, t.client)
	}
}

// crowded reports whether there is more than one handshake under way.
func (g *Gate) crowded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all.n > 1
}

// maxBuffers is how many Wires may collect at the same time. A client that takes nothing keeps its buffer for as long, and each
// record is written for itself when there are many of those.
const maxBuffers = 512

// takeBuffer returns a buffer, or nil if there are too many in use.
func (g *Gate) takeBuffer() *[]byte {
	if g.lent.Add(1) > maxBuffers {
		g.lent.Add(-1)
		return nil
	}
	if b, ok := g.bufs.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, wireBuffer)
	return &b
}

func (g *Gate) giveBuffer(b *[]byte) {
	*b = (*b)[:0]
	g.bufs.Put(b)
	g.lent.Add(-1)
}
