package http2

import (
	"context"
	"time"

	h2 "golang.org/x/net/http2"
)

const (
	drainPing = "nearcast" // the content of the PING whose answer says that the first GOAWAY has arrived
	// drainWait is how long its answer is waited for.
	drainWait = time.Second
)

// follow makes the end of ctx the end of the connection, when all its requests have been answered or Limits.Drain is over. The
// function that it returns ends that, and waits for it.
func (c *conn) follow(ctx context.Context) (stop func()) {
	followed := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		defer close(followed)
		c.drain()
	})
	return func() {
		if forget() {
			return
		}
		<-followed
		if !c.cutter.Stop() {
			<-c.cut
		}
		if !c.closer.Stop() {
			<-c.closed
		}
	}
}

// drain tells the client to go elsewhere. It may have requests under way that we have not seen; so the first GOAWAY refuses
// none, and the one that does comes after a round trip (RFC 9113 section 6.8).
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	c.cut, c.closed = make(chan struct{}), make(chan struct{})
	c.cutter = time.AfterFunc(c.lim.Drain, func() {
		defer close(c.cut)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fail()
		c.closeNow()
	})
	c.closer = time.AfterFunc(min(drainWait, c.lim.Drain), func() {
		defer close(c.closed)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.finalGoAway()
		c.flush()
	})
	if c.final || c.dead || c.ending {
		return
	}
	out := c.buffer()
	out.b = appendGoAway(out.b, 1<<31-1, h2.ErrCodeNo)
	out.b = appendPing(out.b, 0, []byte(drainPing))
	c.flush()
}

// finalGoAway says which request is the last that is answered.
func (c *conn) finalGoAway() {
	if c.final || c.dead || c.ending {
		return
	}
	c.final, c.finalID = true, c.lastID
	out := c.buffer()
	out.b = appendGoAway(out.b, c.finalID, h2.ErrCodeNo)
	c.wakeReader()
}
