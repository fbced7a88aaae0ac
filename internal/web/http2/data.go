package http2

import (
	"io"
	"net/http"
	"slices"

	h2 "golang.org/x/net/http2"
)

// inbound is the content of a request that has come and not been read.
type inbound struct {
	buf      []byte
	r        int   // buf[r:] is unread
	recv     int64 // how much the client may send
	owed     int64 // how much more it may send as soon as it is told
	expected int64 // what content-length says is still to come, or grammar.NoLength
	trailer  http.Header
	err      error // io.EOF when all has come
	refused  bool  // nobody will read it
}

// drop forgets what is unread, and returns how much that is.
func (b *inbound) drop() int64 {
	n := len(b.buf) - b.r
	b.buf, b.r, b.refused = nil, 0, true
	return int64(n)
}

// add adds content.
func (b *inbound) add(p []byte) {
	if b.r > 0 && len(b.buf)+len(p) > cap(b.buf) {
		b.buf = slices.Delete(b.buf, 0, b.r)
		b.r = 0
	}
	b.buf = append(b.buf, p...)
}

// take moves content to p.
func (b *inbound) take(p []byte) int {
	n := copy(p, b.buf[b.r:])
	b.r += n
	if b.r == len(b.buf) {
		b.buf, b.r = b.buf[:0], 0
	}
	return n
}

// receiveData takes content (RFC 9113 section 6.1). Padding counts for the windows, which are returned when a handler has
// read what came, and at once for what nobody will read.
func (c *conn) receiveData(f frame) error {
	if f.id == 0 {
		return violation("data-stream-0")
	}
	p, err := f.unpad()
	if err != nil {
		return err
	}
	ended := f.flags.Has(h2.FlagDataEndStream)
	if len(p) == 0 && !ended && !c.budgets.empties.take(c.readAt) {
		return abuse("empty-data-flood")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isIdle(f.id) {
		return violation("data-idle")
	}
	size := int64(len(f.payload))
	if size > c.recv {
		return &connError{code: h2.ErrCodeFlowControl, reason: "window-exceeded"}
	}
	c.recv -= size
	st := c.streams[f.id]
	if st == nil || st.remote {
		c.giveBack(size)
		if st == nil && c.isGone(f.id) {
			return nil
		}
		return &streamError{f.id, h2.ErrCodeStreamClosed, "data-closed"}
	}
	return c.addData(st, p, size, ended)
}

// addData takes content for a stream that wants it.
func (c *conn) addData(st *stream, p []byte, size int64, ended bool) error {
	b := &st.body
	n := int64(len(p))
	if size > b.recv {
		c.giveBack(size)
		return &streamError{st.id, h2.ErrCodeFlowControl, "window-exceeded"}
	}
	b.recv -= size
	if n > 0 {
		c.seat.Move(c.readAt, n)
	}
	if b.expected >= 0 {
		b.expected -= n
		if b.expected < 0 || ended && b.expected > 0 {
			c.giveBack(size)
			return &streamError{st.id, h2.ErrCodeProtocol, "cl-mismatch"}
		}
	}
	if b.refused {
		c.giveBack(size)
	} else {
		c.giveBackStream(st, size-n)
		b.add(p)
	}
	if ended {
		c.endRemote(st)
	}
	wake(st.readable)
	return nil
}

// endRemote ends the client's side of a stream.
func (c *conn) endRemote(st *stream) {
	st.remote = true
	st.body.err = io.EOF
	wake(st.readable)
	if st.local != nil {
		c.closeStream(st, nil)
	}
}

// receiveTrailers takes the trailer section of a request, which ends it.
func (c *conn) receiveTrailers(st *stream, b *block, ended bool) error {
	switch {
	case !ended:
		return &streamError{st.id, h2.ErrCodeProtocol, "trailer-not-last"}
	case b.why != nil:
		return &streamError{st.id, h2.ErrCodeProtocol, b.why.reason}
	case st.body.expected > 0:
		return &streamError{st.id, h2.ErrCodeProtocol, "cl-mismatch"}
	}
	st.body.trailer = makeHeader(b.fields)
	c.endRemote(st)
	return nil
}
