package http1

import (
	"errors"
	"os"
	"time"
)

// warmTime is how long a connection keeps its buffers when it has nothing to do. Most next requests come sooner, and one that does
// costs nothing; a connection that waits longer has no more than its socket, the state of its TLS and a small stack.
const warmTime = 200 * time.Millisecond

// await waits for the first octet of a request.
func (c *conn) await() bool {
	if c.scratch == nil {
		c.take()
	}
	c.in.shrink()
	if len(c.in.unread()) == 0 {
		c.out.flush()
		if c.out.err != nil || !c.awaitOctet() {
			return false
		}
	}
	return c.start() || c.leave()
}

// goOn ends a request, and reports whether there may be another.
func (c *conn) goOn() bool { return c.rest() || c.leave() }

// leave sends the answers that wait when the server has to stop, as they would have been with those to the requests that have
// come already. It reports false.
func (c *conn) leave() bool {
	if len(c.out.buf) > 0 {
		c.out.flush()
		c.linger()
	}
	return false
}

func (c *conn) awaitOctet() bool {
	begun := c.clock
	if begun.IsZero() {
		begun = time.Now()
	}
	c.clock = time.Time{}
	patience := c.seat.Patience(c.lim.IdleTime)
	warm := min(warmTime, patience)
	c.setReadBy(begun.Add(warm))
	err := c.in.more(c.lim.HeaderBytes)
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || warm == patience {
		return err == nil
	}
	c.give()
	c.setReadBy(begun.Add(patience))
	if !c.waitReadable() {
		return false
	}
	c.take()
	return c.in.more(c.lim.HeaderBytes) == nil
}

// waitReadable waits for what comes next without a buffer for it, if the connection can do that.
func (c *conn) waitReadable() bool {
	if c.waiter == nil {
		return true
	}
	_, err := c.armRead()
	return err == nil && c.waiter.WaitReadable() == nil
}

// take gets the buffers.
func (c *conn) take() {
	c.scratch = c.srv.takeScratch()
	c.in.buf, c.in.r, c.in.w = c.scratch.in, 0, 0
	c.out.buf, c.out.vec = c.scratch.out[:0], c.scratch.vec[:0]
}

// give gives the buffers back.
func (c *conn) give() {
	if c.scratch == nil {
		return
	}
	c.scratch.in, c.scratch.out, c.scratch.vec = c.in.buf, c.out.buf, c.out.vec
	c.srv.giveScratch(c.scratch)
	c.scratch, c.in.buf, c.out.buf, c.out.vec = nil, nil, nil, nil
	c.in.r, c.in.w = 0, 0
}
