package http1

import (
	"context"
	"time"
)

// watch notices that a client hangs up while its request is being handled. Nothing but a
// read can tell; so one octet is read ahead when there is nothing else to
// read, and kept for the next request if one comes. It is guarded by the connection's
// mu, but for octet and n, which belong to the reader until done is closed.
type watch struct {
	cancel   context.CancelFunc // ends the request's context; nil unless a request is handled
	done     chan struct{}      // closed by the reader when it ends; nil unless there is one
	stopping bool
	octet    [1]byte
	n        int
}

// startHandling begins the time during which a watch may run.
func (c *conn) startHandling(cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = time.Time{}
	c.watch.cancel = cancel
}

// startWatch starts a reader, if a request is being handled. Whoever calls it knows that
// its body has been read.
func (c *conn) startWatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.watch
	if w.cancel == nil || w.done != nil || c.interrupted {
		return
	}
	if c.setReadDeadline(time.Time{}) != nil {
		return
	}
	w.done, w.stopping, w.n = make(chan struct{}), false, 0
	go c.lookOut(w.done)
}

func (c *conn) lookOut(done chan<- struct{}) {
	defer close(done)
	n, err := c.nc.Read(c.watch.octet[:])
	c.watch.n = n
	if err == nil {
		return
	}
	c.mu.Lock()
	cancel := c.watch.cancel
	if c.watch.stopping {
		cancel = nil // it was woken up
	}
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// stopHandling ends the watch, waits for its reader and takes over what that has read.
func (c *conn) stopHandling() {
	c.mu.Lock()
	w := &c.watch
	done := w.done
	w.cancel, w.stopping = nil, true
	if done != nil {
		c.setReadDeadline(longAgo()) //nolint:errcheck // as in interrupt
	}
	c.mu.Unlock()
	if done == nil {
		return
	}
	<-done
	c.mu.Lock()
	w.done = nil
	c.mu.Unlock()
	if w.n > 0 {
		c.in.push(w.octet[0])
	}
}
