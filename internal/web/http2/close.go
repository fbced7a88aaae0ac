package http2

import (
	"context"
	"errors"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/wire"
)

// end ends the connection for a reason, waits for all that belongs to it, and gives everything back.
func (c *conn) end(ctx context.Context, why error, stop func()) {
	abused := c.sayWhy(why)
	c.settle()
	switch {
	case abused != nil:
		c.hold(ctx, abused)
	case !c.broken(why):
		c.linger()
	}
	c.closeNow()
	c.cancel()
	stop()
	c.tasks.Wait()
	c.mu.Lock()
	finished := c.finished
	c.finished = nil
	c.dropOut()
	c.mu.Unlock()
	c.report(finished, errClosed)
	if c.work != nil {
		c.srv.giveWork(c.work)
	}
}

// dropOut gives up what has not been sent. It holds mu.
func (c *conn) dropOut() {
	if c.out != nil {
		c.srv.giveBuffer(c.out)
		c.out = nil
	}
}

// broken reports whether nothing can be said on the connection.
func (c *conn) broken(why error) bool {
	var said *connError
	return !errors.As(why, &said) && !errors.Is(why, errDone)
}

// sayWhy puts the last GOAWAY behind what is to be sent, but for a client whose budget has run out: it learns that later.
func (c *conn) sayWhy(why error) (abused *connError) {
	var said *connError
	if !errors.As(why, &said) {
		return nil
	}
	if said.abuse {
		c.reportAbuse(said.reason)
		return said
	}
	if said.code != h2.ErrCodeNo {
		c.log.Debug("ending a connection", "remote", c.remote, "code", said.code.String(), "reason", said.reason)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.buffer()
	out.b = c.appendLast(out.b, said)
	return nil
}

// appendLast appends the last GOAWAY. It holds mu.
func (c *conn) appendLast(dst []byte, said *connError) []byte {
	last := c.lastID
	if c.final {
		last = c.finalID // it must not become larger (RFC 9113 section 6.8)
	}
	return appendGoAway(dst, last, said.code)
}

// reportAbuse tells everybody who may want to know.
func (c *conn) reportAbuse(reason string) {
	c.mu.Lock()
	r := c.budgets.resets
	c.mu.Unlock()
	if others, ok := c.srv.abuses.Allow(time.Now()); ok {
		c.log.Warn("a connection was ended because it cost too much", "remote", c.remote, "reason", reason, "frames", c.frames,
			"last_stream", c.lastID, "streams", r.opened[0]+r.opened[1], "failed", r.failed[0]+r.failed[1], "others_since_last", others)
	}
	if c.srv.Abused != nil {
		c.srv.Abused(c.nc.RemoteAddr(), reason)
	}
}

// settle ends all streams, and waits a while until what is to be sent has been.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.streams {
		c.closeStream(st, errClosed)
	}
	if !c.dead {
		c.nc.SetWriteDeadline(time.Now().Add(c.lim.Linger)) //nolint:errcheck // the write will say so
	}
	c.ending = true
	for c.writing {
		c.quiet.Wait()
	}
	c.flush()
	for c.writing {
		c.quiet.Wait()
	}
	c.dead = true
}

// hold keeps the connection for a while without reading from it, before it tells the client to go away: whoever is told at
// once is back at once, and to shake hands anew costs more than the flood did. It holds a socket and nothing else, and
// only so many may do that.
func (c *conn) hold(ctx context.Context, said *connError) {
	c.in.buf, c.head, c.decoder, c.begun = nil, head{}, nil, nil
	c.srv.giveWork(c.work)
	c.work = nil
	c.mu.Lock()
	c.dropOut()
	c.mu.Unlock()
	if c.srv.held.Add(1) <= int32(c.lim.Held) {
		c.pause(ctx, c.lim.Hold)
	}
	c.srv.held.Add(-1)
	c.mu.Lock()
	last := c.appendLast(nil, said) // a handler that ends may have sent a GOAWAY of its own
	c.mu.Unlock()
	c.nc.SetWriteDeadline(time.Now().Add(c.lim.Linger)) //nolint:errcheck // the write will say so
	if c.write(last) == nil {
		c.pause(ctx, c.lim.Linger/4) // what is unread takes the GOAWAY with it as soon as the connection is closed
	}
}

// pause waits, unless the server has to stop.
func (c *conn) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// linger says that there will be no more, and goes on reading for a while, so that the GOAWAY arrives: see [wire.Linger].
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(c.lim.Linger)) != nil {
		return
	}
	buf := c.in.buf
	if buf == nil {
		buf = make([]byte, smallInput)
	}
	wire.Linger(c.nc, buf)
}

// closeNow closes the connection below TLS, whose own way to close may have to wait.
func (c *conn) closeNow() {
	wire.Below(c.nc).Close() //nolint:errcheck // nobody is left to be told
}
