package http1

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"nearcast/internal/web/wire"
)

// ending is how a connection ends after an answer.
type ending int

const (
	endPolitely ending = iota // the client is to get all that was sent
	endAtOnce                 // the answer is not whole, and looks like it
	endByReset                // the answer is not whole, and would look whole
	endHijacked               // it is not ours any more
)

// refuse answers a request that is not for the handler.
func (c *conn) refuse(why *refusal) {
	if c.srv.Rejected != nil {
		c.srv.Rejected(c.nc.RemoteAddr(), why.status, why.reason)
	}
	c.writeRefusal(why)
	c.linger()
}

// writeRefusal sends an answer of the server's own, the last one on the connection.
func (c *conn) writeRefusal(why *refusal) {
	c.mu.Lock()
	c.writeBy, c.armedWrite = time.Time{}, time.Time{}
	c.mu.Unlock()
	text := why.text + "\n"
	buf := appendStatusLine(c.out.buf, why.status)
	buf = fmt.Appendf(buf, "Date: %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"+
		"Cache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		c.srv.now().UTC().Format(http.TimeFormat), len(text), text)
	c.out.buf = buf
	c.out.flush()
}

func appendStatusLine(buf []byte, status int) []byte {
	buf = append(buf, "HTTP/1.1 "...)
	buf = strconv.AppendInt(buf, int64(status), 10)
	buf = append(buf, ' ')
	buf = append(buf, http.StatusText(status)...)
	return append(buf, "\r\n"...)
}

func (c *conn) closeAs(kind ending) {
	switch kind {
	case endHijacked:
		c.hijacked = true
	case endByReset:
		c.reset()
	case endPolitely:
		c.outlast()
	case endAtOnce: // the connection is closed in any case
	}
}

// linger says that there will be no more, and goes on reading for a while: see [wire.Linger].
func (c *conn) linger() {
	if c.endOurs() {
		wire.Linger(c.nc, c.in.buf)
	}
}

// endOurs ends our side of the connection. The client's has Limits.Linger from now on.
func (c *conn) endOurs() bool {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetDeadline(time.Now().Add(c.lim.Linger)) != nil {
		return false
	}
	c.out.uncork() // with the time that crypto/tls has taken away
	return c.out.err == nil
}

// What is read of a content that nobody wants, so that its client gets the answer.
const (
	maxUnwanted   = 16 << 20 // octets
	unwantedTurns = 10       // times Limits.Linger, which is how long the client may pause meanwhile
)

// outlast is linger for whom a handler has answered: many clients read no answer before they have sent all of their content, and give up when that
// fails (Python's do). The request has been answered as far as the connection's seat goes.
func (c *conn) outlast() {
	c.seat.End(time.Now())
	if !c.endOurs() {
		return
	}
	end := time.Now().Add(unwantedTurns * c.lim.Linger)
	for left := maxUnwanted; left > 0 && !c.draining.Load(); {
		n, err := c.nc.Read(c.in.buf)
		if err != nil {
			return
		}
		left -= n
		now := time.Now()
		c.seat.Move(now, int64(n))
		if !now.Before(end) || c.nc.SetReadDeadline(now.Add(min(c.lim.Linger, end.Sub(now)))) != nil {
			return
		}
	}
}

// reset closes the connection in a way that a client cannot take for the end of a message,
// even if that is the end of the connection.
func (c *conn) reset() {
	nc := c.nc
	for outer, ok := nc.(below); ok; outer, ok = nc.(below) {
		nc = outer.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // closing is all that is left to do
	}
	c.closeNow()
}

// below is a connection that lies on another.
type below interface{ NetConn() net.Conn }

// closeNow closes the connection below TLS, whose own way to close may have to wait.
func (c *conn) closeNow() {
	wire.Below(c.nc).Close() //nolint:errcheck // as above
}
