package http1

import (
	"context"
	"errors"
	"os"
	"time"
)

// longAgo as a deadline wakes whoever reads.
func longAgo() time.Time { return time.Unix(1, 0) }

// Read reads from the connection, until the deadline of what is being read. It is the source of
// c.in.
func (c *conn) Read(p []byte) (int, error) {
	ofBody, err := c.armRead()
	if err != nil {
		return 0, err
	}
	if !ofBody {
		return c.nc.Read(p) //nolint:wrapcheck // the readers above say what was being read
	}
	begun := time.Now()
	c.seat.Move(begun, 0)
	n, err := c.nc.Read(p)
	now := time.Now()
	c.pace.Add(n, now.Sub(begun))
	if n > 0 {
		c.seat.Move(now, int64(n))
	}
	return n, err //nolint:wrapcheck // as above
}

// armRead sets the deadline, and reports whether it is for a body under the connection's own limits.
func (c *conn) armRead() (ofBody bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted || c.draining.Load() && !c.busy {
		return false, os.ErrDeadlineExceeded
	}
	by := c.readBy
	if by.IsZero() {
		by, ofBody = time.Now().Add(c.pace.Patience(c.lim.Stall, c.lim.MinRate)), true
	}
	if near(c.armedRead, by, c.slack) {
		return ofBody, nil
	}
	return ofBody, c.setReadDeadline(by)
}

// armWrite gives the client another while to take what is sent next, unless the handler has
// set a deadline.
func (c *conn) armWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock
	if now.IsZero() {
		now = time.Now()
	}
	c.seat.Move(now, c.out.went+1) // what was sent before has gone, and that there is more is something
	c.out.went = 0
	if !c.writeBy.IsZero() {
		return nil
	}
	by := now.Add(c.lim.Stall)
	if near(c.armedWrite, by, c.slack) {
		return nil
	}
	c.armedWrite = by
	return c.nc.SetWriteDeadline(by) //nolint:wrapcheck // as above
}

// setReadDeadline is the only way to set the read deadline. It is called with c.mu held.
func (c *conn) setReadDeadline(t time.Time) error {
	c.armedRead = t
	return c.nc.SetReadDeadline(t) //nolint:wrapcheck // as above
}

// near reports whether a deadline that is set can stay in place of the wanted one, because it is hardly
// earlier. Setting one costs as much as parsing a request.
func near(set, wanted time.Time, slack time.Duration) bool {
	return !set.After(wanted) && wanted.Sub(set) < slack
}

// slackOf is by how much earlier than said the limits' deadlines may be.
func slackOf(lim *Limits) time.Duration {
	return min(lim.HeaderTime, lim.IdleTime, lim.Stall, warmTime) / 8
}

// setReadBy sets the deadline of what is read from now on.
func (c *conn) setReadBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
}

// interrupt wakes a reader and lets nobody read again.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	c.setReadDeadline(longAgo()) //nolint:errcheck // a dead connection wakes its reader too
}

// start begins a request, unless the server has to stop.
func (c *conn) start() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = !c.draining.Load()
	return c.busy
}

// rest ends a request, and reports whether there may be another. The handler's deadline for writes ends with it: the
// lane sets none.
func (c *conn) rest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	now := c.clock
	if now.IsZero() {
		now = time.Now()
	}
	c.seat.End(now)
	if !c.writeBy.IsZero() {
		c.writeBy, c.armedWrite = time.Time{}, time.Time{}
	}
	return !c.draining.Load()
}

// follow makes the end of ctx the end of the connection: at once if it waits for a request, else
// when its request has been answered or Limits.Drain is over. The function that it
// returns ends that, and waits for it.
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
	}
}

func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining.Store(true)
	if !c.busy {
		c.setReadDeadline(longAgo()) //nolint:errcheck // as in interrupt
	}
	c.cut = make(chan struct{})
	c.cutter = time.AfterFunc(c.lim.Drain, func() {
		defer close(c.cut)
		c.closeNow() // first, so that a handler that gives up cannot look as if it had finished
		c.cancel()
	})
}

// lost ends the request's context, because its client is gone.
func (c *conn) lost(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return // a slow client is still there
	}
	c.mu.Lock()
	cancel := c.watch.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
