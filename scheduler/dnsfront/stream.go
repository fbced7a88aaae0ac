package dnsfront

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/internal/seat"
	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/respond"
)

const (
	idleTimeout  = 10 * time.Second // from the last answer to the end of the next query,
	shortTimeout = 2 * time.Second  // and while there are many connections
	manyStreams  = maxConns / 2
	writeTimeout = 2 * time.Second
	maxTransfers = 4        // at a time, for one connection; while there are more its other queries wait
	lengthLen    = 2        // of a message's length in front of it, RFC 1035 section 4.2.2
	maxMessage   = 65535    // what that can say
	readRoom     = 1024     // for queries that have come; more is made for a longer one
	maxLonger    = 16 << 20 // octets for queries that are longer than that, of all connections
	writeRoom    = 16 << 10 // answers that are sent together, in octets, give or take one
)

// stream is one connection.
type stream struct {
	server *Server
	conn   net.Conn
	from   respond.Peer
	seat   *seat.Seat // nil if nobody bounds how many there are

	in     []byte // what was read and is no whole query yet
	longer int    // octets by which its memory is more than readRoom

	transfers sync.WaitGroup
	underWay  atomic.Int32  // transfers
	slots     chan struct{} // one for each transfer under way; made for the first

	mu sync.Mutex // serializes writes
}

// desk is what answering takes, shared by connections, most of which are idle.
type desk struct {
	guard *guard
	out   []byte
	query dnswire.Query
}

// ServeStream answers the queries of a connection that was accepted elsewhere, in their order but for zone transfers, until its peer is done or idle for
// 10 s, or less while there are many, or ctx ends. It closes the connection. If ctx has a [seat.Seat] that is told what goes on.
func (s *Server) ServeStream(ctx context.Context, conn net.Conn, transport respond.Transport) {
	s.streams.Add(1)
	defer s.streams.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	st := &stream{server: s, conn: conn, from: respond.Peer{Addr: peerAddr(conn), Transport: transport}, seat: seat.Of(ctx)}
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // fails only if closed, which is as good
	})
	served := st.serve(ctx)
	st.shrink()
	if served {
		st.transfers.Wait() // a peer that has no more to ask still gets them
	}
	stop()
	cancel()
	conn.Close() //nolint:errcheck // every answer was written or has failed
	st.transfers.Wait()
}

// patience is for how long the connection may wait for a query (RFC 7766 section 6.2.3).
func (st *stream) patience() time.Duration {
	patience := st.seat.Patience(idleTimeout)
	if st.server.streams.Load() > manyStreams {
		patience = min(patience, shortTimeout)
	}
	return patience
}

func peerAddr(conn net.Conn) netip.Addr {
	a, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	return a.Addr().Unmap().WithZone("")
}

// serve answers queries, and reports whether the peer has ended the connection in good order.
func (st *stream) serve(ctx context.Context) bool {
	st.in = make([]byte, 0, readRoom)
	for {
		if err := st.conn.SetReadDeadline(time.Now().Add(st.patience())); err != nil || ctx.Err() != nil {
			return false // looked at after the deadline is set: the end may have come before
		}
		for !st.whole() {
			if len(st.in) == cap(st.in) { // more cannot be had
				st.server.metrics.tooMuch.Inc()
				return false
			}
			if done, ok := st.read(ctx); done {
				return ok
			}
		}
		if !st.answerAll(ctx) {
			return false
		}
	}
}

// whole reports whether a whole query was read, and makes room for more of it if not.
func (st *stream) whole() bool {
	if len(st.in) < lengthLen {
		return false
	}
	want := lengthLen + int(binary.BigEndian.Uint16(st.in))
	if len(st.in) == cap(st.in) && want > cap(st.in) { // the more was sent, the more is believed
		st.grow(min(want, 2*cap(st.in)))
	}
	return len(st.in) >= want
}

// grow makes room for a longer query, if all connections together have not too much of it.
func (st *stream) grow(size int) {
	more := int64(size - cap(st.in))
	if st.server.longer.Add(more) > maxLonger {
		st.server.longer.Add(-more)
		return
	}
	st.longer += int(more)
	st.in = append(make([]byte, 0, size), st.in...)
}

// shrink gives the room back.
func (st *stream) shrink() {
	st.server.longer.Add(-int64(st.longer))
	st.longer, st.in = 0, nil
}

// read reads what has come.
func (st *stream) read(ctx context.Context) (done, ok bool) {
	n, err := st.conn.Read(st.in[len(st.in):cap(st.in)])
	st.in = st.in[:len(st.in)+n]
	switch {
	case n > 0 || err == nil:
		return false, false
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil && st.underWay.Load() > 0:
		return st.conn.SetReadDeadline(time.Now().Add(idleTimeout)) != nil, false // who gets a transfer need not ask for anything else
	}
	return true, len(st.in) == 0 && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// answerAll answers the queries that were read, many in one write (RFC 7766 section 6.2.1.1), and reports whether to go on.
func (st *stream) answerAll(ctx context.Context) bool {
	d := st.server.desks.Get().(*desk) //nolint:errcheck,forcetypeassert // there is nothing else in it
	defer st.server.desks.Put(d)
	d.out = d.out[:0]
	st.seat.Begin(time.Now())
	defer func() { st.seat.End(time.Now()) }()
	st.from.Idle = st.patience()
	rest, ok := st.in, true
	for ok && len(rest) >= lengthLen {
		end := lengthLen + int(binary.BigEndian.Uint16(rest))
		if end > len(rest) {
			break
		}
		ok = st.answer(ctx, d, rest[lengthLen:end])
		rest = rest[end:]
		if len(d.out) >= writeRoom && ok {
			ok = st.write(d.out)
			d.out = d.out[:0]
		}
	}
	if len(d.out) > 0 && !st.write(d.out) {
		return false
	}
	if cap(d.out) > maxMessage { // one long answer must not be paid for ever
		d.out = nil
	}
	if len(rest) == 0 && st.longer > 0 {
		st.shrink()
		st.in = make([]byte, 0, readRoom)
	} else {
		st.in = st.in[:copy(st.in, rest)]
	}
	return ok
}

// answer appends the answer to a query to what is to be written. It reports whether to go on: who sends what must not be answered is
// not listened to any further.
func (st *stream) answer(ctx context.Context, d *desk, query []byte) bool {
	if st.server.transfer != nil && d.query.Parse(query) == dnswire.OK && d.query.Transfer {
		return st.startTransfer(ctx, append([]byte(nil), query...))
	}
	start := len(d.out)
	out := d.guard.answer(append(d.out, 0, 0), query, st.from)
	length := len(out) - start - lengthLen
	if length <= 0 || length > maxMessage {
		return false
	}
	binary.BigEndian.PutUint16(out[start:], uint16(length))
	d.out = out
	return true
}

// startTransfer lets a transfer run beside the other answers.
func (st *stream) startTransfer(ctx context.Context, query []byte) bool {
	if st.slots == nil {
		st.slots = make(chan struct{}, maxTransfers)
	}
	select {
	case st.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	st.underWay.Add(1)
	st.seat.Begin(time.Now())
	from := st.from // whose Idle changes as other queries come
	st.transfers.Go(func() {
		defer func() { st.seat.End(time.Now()); st.underWay.Add(-1); <-st.slots }()
		defer func() {
			if v := recover(); v != nil { // half a transfer is none, and nothing can follow it
				st.server.panicked(v)
				st.conn.Close() //nolint:errcheck // as in write
			}
		}()
		var buf []byte
		st.server.transfer(ctx, query, from, func(message []byte) error {
			if len(message) > maxMessage {
				return errTooLong
			}
			buf = binary.BigEndian.AppendUint16(buf[:0], uint16(len(message))) //nolint:gosec // just looked at
			buf = append(buf, message...)
			if !st.write(buf) {
				return net.ErrClosed
			}
			return nil
		})
	})
	return true
}

var errTooLong = errors.New("the message is longer than 65535 octets")

// write writes messages with their lengths in front, in one write, since some clients expect them in one segment (RFC 7766 section 8). After
// a failure it is not known how much has arrived, so that nothing can follow.
func (st *stream) write(messages []byte) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := time.Now()
	st.seat.Move(now, 0)
	err := st.conn.SetWriteDeadline(now.Add(writeTimeout))
	if err == nil {
		_, err = st.conn.Write(messages)
	}
	if err != nil {
		st.server.metrics.unwritten.Inc()
		st.conn.Close() //nolint:errcheck // it has failed already
		return false
	}
	st.seat.Move(time.Now(), int64(len(messages)))
	return true
}
