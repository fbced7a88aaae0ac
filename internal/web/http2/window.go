package http2

import h2 "golang.org/x/net/http2"

const (
	defaultWindow = 65535     // of a stream and of a connection (RFC 9113 section 6.9.2)
	maxWindow     = 1<<31 - 1 // RFC 9113 section 6.9.1
)

// receiveWindowUpdate lets more be sent (RFC 9113 section 6.9).
func (c *conn) receiveWindowUpdate(f frame) error {
	if len(f.payload) != 4 {
		return wrongSize("window-update")
	}
	increment := int64(uint31(f.payload))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.budgets.updates.take(c.readAt) {
		return abuse("window-update-flood")
	}
	if f.id != 0 {
		return c.widenStream(f.id, increment)
	}
	switch {
	case increment == 0:
		return violation("window-update-0")
	case c.window+increment > maxWindow:
		return &connError{code: h2.ErrCodeFlowControl, reason: "window-overflow"}
	}
	c.window += increment
	return nil
}

func (c *conn) widenStream(id uint32, increment int64) error {
	st := c.streams[id]
	switch {
	case c.isIdle(id):
		return violation("window-update-idle")
	case st == nil:
		return nil // it may have been closed while this was on its way (RFC 9113 section 5.1)
	case increment == 0:
		return &streamError{id, h2.ErrCodeProtocol, "window-update-0"}
	case st.window+increment > maxWindow:
		return &streamError{id, h2.ErrCodeFlowControl, "window-overflow"}
	}
	st.window += increment
	c.advance(st)
	return nil
}

// resize changes what the windows of all streams begin with, those included that are open: they may become negative by
// that (RFC 9113 section 6.9.2).
func (c *conn) resize(size int64) error {
	if size > maxWindow {
		return &connError{code: h2.ErrCodeFlowControl, reason: "initial-window"}
	}
	delta := size - c.initialWindow
	c.initialWindow = size
	for _, st := range c.streams {
		st.window += delta
		if st.window > maxWindow {
			return &connError{code: h2.ErrCodeFlowControl, reason: "window-overflow"}
		}
		if st.window <= 0 {
			c.queue.remove(st)
		}
	}
	for _, st := range c.streams {
		c.advance(st)
	}
	return nil
}

// giveBack lets the client send n more octets on the connection. It is told when there is something worth telling.
func (c *conn) giveBack(n int64) {
	c.owed += n
	if c.owed < int64(c.lim.ConnWindow)/2 || c.dead {
		return
	}
	out := c.buffer()
	out.b = appendWindowUpdate(out.b, 0, c.owed)
	c.recv += c.owed
	c.owed = 0
}

// giveBackStream is the same for a stream, and for its connection.
func (c *conn) giveBackStream(st *stream, n int64) {
	c.giveBack(n)
	b := &st.body
	b.owed += n
	if b.owed < int64(c.lim.StreamWindow)/2 || st.remote || st.closed || c.dead {
		return
	}
	out := c.buffer()
	out.b = appendWindowUpdate(out.b, st.id, b.owed)
	b.recv += b.owed
	b.owed = 0
}
