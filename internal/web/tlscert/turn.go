package tlscert

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
)

// turn is a handshake under way. Its fields belong to the goroutine that waits for the first record, then to
// the one that shakes hands, but for those that say otherwise.
type turn struct {
	gate   *Gate
	ctx    context.Context // ends with the handshake's time
	cancel context.CancelCauseFunc
	client netip.Addr
	octets int    // that the client may still send
	inside bool   // has one of the gate's slots
	room   []byte // where buf lies
	buf    []byte // what the client has sent and crypto/tls has not read
	whole  int    // octets at the beginning of buf that are whole records

	stalled atomic.Bool // waits for its client

	// Guarded by the gate's mu.
	listed bool
	links  [2]link
}

// firstRoom is enough for most ClientHellos, and what a client that sends nothing costs.
const firstRoom = 2 << 10

// read gives crypto/tls what the client sent, a whole record at least. It waits for the client
// without a slot, and then for a slot.
//
// crypto/tls would make room for a record as soon as it has seen its head. So five octets would
// cost 18 KiB, for as long as the handshake may take.
func (t *turn) read(nc net.Conn, p []byte) (int, error) {
	if t.whole == 0 {
		t.leave()
	}
	if err := t.fill(nc); err != nil {
		return 0, err
	}
	if err := t.enter(); err != nil {
		return 0, err
	}
	n := copy(p, t.buf[:t.whole])
	t.buf, t.whole = t.buf[n:], t.whole-n
	return n, nil
}

// fill waits until there is a whole record. The buffer grows with what has come, not with what is
// announced.
func (t *turn) fill(nc net.Conn) error {
	for t.whole == 0 {
		if t.octets == 0 {
			return errOctets
		}
		if len(t.buf) == 0 {
			t.buf = t.room[:0]
		}
		if len(t.buf) == cap(t.buf) {
			t.room = make([]byte, max(firstRoom, 2*len(t.buf)))
			t.buf = t.room[:copy(t.room, t.buf)]
		}
		free := t.buf[len(t.buf):cap(t.buf)]
		t.stalled.Store(true)
		n, err := nc.Read(free[:min(len(free), t.octets)])
		t.stalled.Store(false)
		t.octets -= n
		t.buf = t.buf[:len(t.buf)+n]
		t.whole = wholeRecords(t.buf)
		if err != nil && t.whole == 0 {
			return err //nolint:wrapcheck // Handshake does
		}
	}
	return nil
}

// wholeRecords returns how many octets of b belong to records that are there to their ends (RFC 8446
// section 5.1). What cannot be a record is for crypto/tls to judge.
func wholeRecords(b []byte) int {
	const head, longest = 5, 1<<14 + 256
	done := 0
	for len(b)-done >= head {
		rest := b[done:]
		size := int(rest[3])<<8 | int(rest[4])
		if rest[0] < 20 || rest[0] > 23 || size > longest {
			return len(b)
		}
		if len(rest) < head+size {
			break
		}
		done += head + size
	}
	return done
}

func (t *turn) enter() error {
	if t.inside {
		return nil
	}
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
	if t.gate.crowded() { // the others queue for the slot meanwhile, and not for the processor
		t.gate.visitors.Yield()
	}
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
