package tlscert

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
)

// turn is a handshake under way. Its fields belong to the goroutine that shakes hands, but for
// those that say otherwise.
type turn struct {
	gate   *Gate
	ctx    context.Context // ends with the handshake's time
	cancel context.CancelCauseFunc
	client netip.Addr
	octets int  // that the client may still send
	inside bool // has one of the gate's slots

	stalled atomic.Bool // waits for its client

	// Guarded by the gate's mu.
	listed bool
	links  [2]link
}

// read waits for the client without a slot, and for a slot with what the client sent.
func (t *turn) read(nc net.Conn, p []byte) (int, error) {
	t.leave()
	if t.octets == 0 {
		return 0, errOctets
	}
	p = p[:min(len(p), t.octets)]
	t.stalled.Store(true)
	n, err := nc.Read(p)
	t.stalled.Store(false)
	t.octets -= n
	if err != nil {
		return n, err //nolint:wrapcheck // crypto/tls hands it on
	}
	return n, t.enter()
}

func (t *turn) enter() error {
	select {
	case t.gate.slots <- struct{}{}:
	default:
		select {
		case t.gate.slots <- struct{}{}:
		case <-t.ctx.Done():
			return context.Cause(t.ctx) //nolint:wrapcheck // Handshake does
		}
	}
	t.inside = true
	return nil
}

func (t *turn) leave() {
	if t.inside {
		<-t.gate.slots
		t.inside = false
	}
}

// The two queues that a turn is in, as indexes of its links.
const (
	byAge = iota
	byClient
)

// link is a turn's place in a queue.
type link struct{ before, after *turn }

// queue is handshakes in the order of their beginning. container/list would allocate for each.
type queue struct {
	n           int
	front, back *turn
}

func (q *queue) push(t *turn, by int) {
	t.links[by] = link{before: q.back}
	if q.back == nil {
		q.front = t
	} else {
		q.back.links[by].after = t
	}
	q.back = t
	q.n++
}

func (q *queue) remove(t *turn, by int) {
	l := t.links[by]
	if l.before == nil {
		q.front = l.after
	} else {
		l.before.links[by].after = l.after
	}
	if l.after == nil {
		q.back = l.before
	} else {
		l.after.links[by].before = l.before
	}
	t.links[by] = link{}
	q.n--
}

// maxLook bounds the search for one that can be dropped: if the oldest all wait for the
// processor, so do most of the others.
const maxLook = 64

func (q *queue) oldestStalled(by int) *turn {
	t := q.front
	for range maxLook {
		if t == nil || t.stalled.Load() {
			return t
		}
		t = t.links[by].after
	}
	return nil
}
