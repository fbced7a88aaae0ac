package http2

import (
	"cmp"
	"runtime/debug"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/lane"
	"nearcast/internal/web/wire"
)

const (
	// maxPayload is the largest DATA frame that fits into a record. DATA frames end where records do, so that the
	// client can use each as soon as it has decrypted it.
	maxPayload = wire.RecordSize - frameHeaderLen
	// batchSize is how much is written at once.
	batchSize = 4 * wire.RecordSize
	// minPiece is the smallest DATA frame that is made only to end with a record.
	minPiece = 1 << 10
)

// buffer is octets to be sent. It belongs to the server's pool.
type buffer struct{ b []byte }

// manyBuffers is how many connections may have something to send before each gets less memory for it: a client that takes nothing
// keeps its buffer for as long.
const manyBuffers = 512

func (s *Server) takeBuffer() *buffer {
	if s.lent.Add(1) > manyBuffers {
		return &buffer{make([]byte, 0, wire.RecordSize)}
	}
	if b, ok := s.buffers.Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, batchSize+wire.RecordSize)}
}

// giveBuffer takes it back, unless somebody made it grow a lot.
func (s *Server) giveBuffer(b *buffer) {
	s.lent.Add(-1)
	if cap(b.b) > wire.RecordSize && cap(b.b) <= 4*batchSize {
		b.b = b.b[:0]
		s.buffers.Put(b)
	}
}

// buffer returns what waits to be sent, to append to.
func (c *conn) buffer() *buffer {
	if c.out == nil {
		c.out = c.srv.takeBuffer()
	}
	return c.out
}

// batch is how much is written at once. It is small when many have something to send.
func (c *conn) batch() int {
	if c.srv.lent.Load() > manyBuffers {
		return wire.RecordSize / 2
	}
	return batchSize
}

// waiting is the number of octets that wait to be sent.
func (c *conn) waiting() int {
	if c.out == nil {
		return 0
	}
	return len(c.out.b)
}

// appendReset tells the client that a stream has ended, and remembers it: what the client has sent before it knew is
// to be ignored.
func (c *conn) appendReset(id uint32, code h2.ErrCode) {
	out := c.buffer()
	out.b = appendReset(out.b, id, code)
	c.replies++
	c.forget(id)
}

// forget makes us ignore what the client still sends on a stream.
func (c *conn) forget(id uint32) {
	c.gone[c.nextGone] = id
	c.nextGone = (c.nextGone + 1) % len(c.gone)
}

// flush writes what waits, unless somebody is at it, who will write it then. It holds mu, and gives it
// up meanwhile. What more there is than one batch is left to a goroutine, so that nobody works for others for long.
func (c *conn) flush() {
	if c.writing || !c.fill() {
		return
	}
	c.writing = true
	c.writeBatch()
	if c.fill() {
		c.tasks.Go(func() { c.guarded(c.pump) })
		return
	}
	c.rest()
}

// pump writes until nothing waits.
func (c *conn) pump() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.fill() {
		c.writeBatch()
	}
	c.rest()
}

// rest says that nobody writes.
func (c *conn) rest() {
	c.writing = false
	c.quiet.Broadcast()
	if c.final && c.slots == 0 {
		c.wakeReader()
	}
}

// fill takes content from the queue until there is a batch, and reports whether there is something to do.
func (c *conn) fill() bool {
	if c.dead {
		return false
	}
	for c.queue.n > 0 && c.window > 0 && c.waiting() < c.batch() {
		c.appendData(c.queue.next())
	}
	return c.waiting() > 0 || len(c.finished) > 0
}

// appendData appends one DATA frame of a stream.
func (c *conn) appendData(st *stream) {
	out := c.buffer()
	n := int64(wire.RecordSize - (len(out.b)+frameHeaderLen)%wire.RecordSize)
	if n < minPiece {
		n = maxFrameSize
	}
	n = min(n, st.content.left, st.window, c.window)
	var flags h2.Flags
	last := n == st.content.left && st.ended
	if last && st.trailers == nil {
		flags = h2.FlagDataEndStream
	}
	out.b = appendFrameHeader(out.b, int(n), h2.FrameData, flags, st.id)
	out.b = st.content.take(out.b, int(n))
	st.window -= n
	c.window -= n
	c.goes += n
	st.moved = time.Now()
	c.budgets.updates.grant(float64(n) / octetsPerUpdate)
	switch {
	case st.content.left > 0 && st.window > 0:
		return
	case last && st.trailers == nil:
		c.finishLocal(st)
		return
	}
	c.queue.remove(st)
	if st.content.left == 0 {
		wake(st.writable)
		c.advance(st)
	}
}

// writeBatch writes what waits, without the lock.
func (c *conn) writeBatch() {
	out, finished := c.out, c.finished
	c.out, c.finished, c.replies = nil, c.reported[:0], 0
	c.armWrite()
	c.mu.Unlock()
	var err error
	if out != nil {
		err = c.write(out.b)
		c.srv.giveBuffer(out)
	}
	c.report(finished, err)
	c.mu.Lock()
	c.reported = finished[:0]
	if err != nil {
		c.fail()
	}
}

// write writes octets. More than a record go in one system call, if what is under TLS can do that.
func (c *conn) write(p []byte) error {
	c.written += int64(len(p))
	record := wire.RecordSize
	if c.written < wire.YoungOctets {
		record = wire.YoungRecord
	}
	if c.corker == nil || len(p) <= record {
		_, err := c.nc.Write(p)
		return err //nolint:wrapcheck // it is only asked whether there is one
	}
	c.corker.Cork()
	_, err := c.nc.Write(p)
	return cmp.Or(err, c.corker.Uncork())
}

// armWrite gives the client another while to take what is sent next. The deadline is not worth a system call's price
// for each batch, so that it may be a little early.
func (c *conn) armWrite() {
	now := time.Now()
	c.seat.Move(now, c.went+min(1, c.goes)) // what was sent before has gone, and if there is more that is something
	c.went, c.goes = c.goes, 0
	if c.ending || now.Sub(c.writeArmed) < c.lim.Stall/8 {
		return
	}
	c.writeArmed = now
	c.nc.SetWriteDeadline(now.Add(c.lim.Stall)) //nolint:errcheck // the write will say so
}

// report tells the lane what became of its answers.
func (c *conn) report(finished []*stream, err error) {
	if len(finished) == 0 {
		return
	}
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	for i, st := range finished {
		c.reportOne(st, cmp.Or(st.err, err))
		finished[i] = nil
	}
}

// reportOne is report for an answer. The lane's failure must not be anybody else's.
func (c *conn) reportOne(st *stream, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("telling the lane about an answer", "remote", c.remote, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	w := st.hit
	c.srv.Lane.Sent(&c.peer, &w.request, &w.answer, lane.End{At: time.Now(), Sent: w.answer.Length - st.content.left, Err: err})
	c.srv.giveWork(w)
}

// fail makes the connection useless, because it is broken.
func (c *conn) fail() {
	if c.dead {
		return
	}
	c.dead = true
	for _, st := range c.streams {
		c.closeStream(st, errClosed)
	}
	c.cancel()
	c.wakeReader()
}
