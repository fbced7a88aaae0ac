package http2

import (
	"errors"
	"time"

	h2 "golang.org/x/net/http2"
)

// errDone ends a connection on which all has been said.
var errDone = errors.New("http2: the connection is over")

// longAgo as a deadline wakes whoever reads.
func longAgo() time.Time { return time.Unix(1, 0) }

// await reads until there is more, and looks after the connection while there is not.
func (c *conn) await() error {
	now := time.Now()
	if c.partial.IsZero() && (len(c.in.unread()) > 0 || c.head.open) {
		c.partial = now
	}
	for {
		if err := c.look(now); err != nil {
			return err
		}
		err := c.read()
		now = time.Now()
		c.readAt = now
		if err == nil {
			return c.lookAtTimes(now)
		}
		if !timedOut(err) {
			return err
		}
		c.in.rest()
	}
}

// warmTime is how long a connection keeps its input buffer when nothing comes.
const warmTime = 200 * time.Millisecond

// read reads once. A connection that has given its buffer up gets another when there is something to put in; what came
// with the end of the handshake has been read before that.
func (c *conn) read() error {
	if c.in.buf == nil && c.waiter != nil {
		if err := c.waiter.WaitReadable(); err != nil {
			return err //nolint:wrapcheck // as in input.more
		}
	}
	return c.in.more(c.nc)
}

// lookAtTimes is look for a client that sends all the time, octet by octet or without taking anything.
func (c *conn) lookAtTimes(now time.Time) error {
	if now.Sub(c.checked) < c.lookEvery() && (c.partial.IsZero() || now.Before(c.partialBy())) {
		return nil
	}
	return c.look(now)
}

// lookEvery is how often a connection with streams is looked after.
func (c *conn) lookEvery() time.Duration { return min(c.lim.Stall/4, c.lim.HeaderTime) }

// look ends what has taken too long, and sets the deadline of the next read.
func (c *conn) look(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	idleBy := c.idleSince.Add(c.seat.Patience(c.lim.IdleTime))
	switch {
	case c.dead:
		return errClosed
	case c.final && c.slots == 0 && !c.writing:
		return errDone
	case c.frames == 0 && len(c.in.unread()) == 0 && !now.Before(c.partialBy()):
		return &connError{code: h2.ErrCodeNo, reason: "nothing-said"}
	case !c.partial.IsZero() && !now.Before(c.partialBy()):
		return abuse("slow-frame")
	case c.slots == 0 && !now.Before(idleBy):
		return &connError{code: h2.ErrCodeNo, reason: "idle"}
	}
	if now.Sub(c.checked) >= c.lookEvery() {
		c.checked = now
		if err := c.resetStalled(now); err != nil {
			return err
		}
	}
	by := idleBy
	if warm := now.Add(warmTime); c.in.buf != nil && warm.Before(by) {
		by = warm
	}
	if c.slots > 0 {
		by = c.checked.Add(c.lookEvery())
	}
	if !c.partial.IsZero() && c.partialBy().Before(by) {
		by = c.partialBy()
	}
	c.armRead(now, by)
	return nil
}

// partialBy is when what has begun to come must be complete.
func (c *conn) partialBy() time.Time {
	if p := c.in.unread(); !c.head.open && len(p) >= frameHeaderLen && h2.FrameType(p[3]) == h2.FrameData {
		return c.partial.Add(c.lim.Stall)
	}
	return c.partial.Add(c.lim.HeaderTime)
}

// armRead sets the read deadline, unless one is set that will wake the reader earlier: that is cheaper than
// to set one for each read.
func (c *conn) armRead(now, by time.Time) {
	if c.ending || c.readArmed.After(now) && !c.readArmed.After(by) {
		return
	}
	c.readArmed = by
	c.nc.SetReadDeadline(by) //nolint:errcheck // the read will say so
}

// wakeReader makes the reader look at the connection.
func (c *conn) wakeReader() {
	if c.ending {
		return
	}
	c.readArmed = time.Time{}
	c.nc.SetReadDeadline(longAgo()) //nolint:errcheck // a dead connection wakes its reader too
}

// resetStalled ends streams that nobody waits for whose client takes nothing, and a connection that has many of
// them. Handlers that wait look to themselves.
func (c *conn) resetStalled(now time.Time) error {
	for _, st := range c.streams {
		if st.content.left == 0 || st.handling || now.Sub(st.moved) < c.lim.Stall {
			continue
		}
		if !c.budgets.resets.fail(now) {
			return abuse("stalls")
		}
		c.reset(st, h2.ErrCodeCancel)
	}
	c.flush()
	return nil
}
