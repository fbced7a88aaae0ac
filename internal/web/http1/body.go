package http1

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// bodyError says what is wrong with a body's framing. The connection is of no use after
// it, because nobody can say where the next request begins.
type bodyError struct{ text string }

func (e *bodyError) Error() string { return "malformed request body: " + e.text }

// Malformed reports whether err, from reading a request's body, means that the client broke the
// rules of chunked framing (RFC 9112 section 7.1): the answer that fits is 400. A body
// that ended too early is not malformed, it is [io.ErrUnexpectedEOF].
func Malformed(err error) bool {
	var malformed *bodyError
	return errors.As(err, &malformed)
}

// body is a request's body. One goroutine at a time reads it, which need not be the
// handler's.
type body struct {
	c   *conn
	ask func() // sends 100 (Continue) before the first read; nil if nobody waits for it

	closed atomic.Bool // the handler is done with it

	mu  sync.Mutex // held while reading; guards what follows
	src io.Reader  // *counted or *chunked
	err error      // sticky; io.EOF at the end
}

// Read reads the body. Its errors are [http.ErrBodyReadAfterClose], [io.ErrUnexpectedEOF],
// those for which [Malformed] is true, and those of the connection, such as
// [os.ErrDeadlineExceeded].
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

// Close makes the body unreadable. It never waits, not even for a Read that does. What is
// left is dropped when the handler has returned.
func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

// read is Read for those who hold mu or have the body to themselves.
func (b *body) read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.ask != nil {
		b.ask()
		b.ask = nil
	}
	n, err := b.src.Read(p)
	if err == nil {
		return n, nil
	}
	b.err = err
	if err == io.EOF {
		b.c.startWatch()
	} else if !Malformed(err) {
		b.c.lost(err)
	}
	return n, err
}

// detach takes the body away from the handler, which has returned. A reader that still
// waits is interrupted, and clean is false: the connection ends then.
func (b *body) detach() (clean bool) {
	b.closed.Store(true)
	clean = b.mu.TryLock()
	if !clean {
		b.c.interrupt()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	return clean
}

// bodyEnd says what became of a body that was detached.
type bodyEnd int

const (
	bodyRead   bodyEnd = iota // to its end: another request may follow
	bodyLeft                  // some is left, which may be read and dropped
	bodyUnfit                 // too much is left, or it will never come
	bodyBroken                // malformed
)

// end drops what is there already and says what then is left.
func (b *body) end(limit int64) bodyEnd {
	if c, ok := b.src.(*counted); ok && b.err == nil {
		c.skipUnread()
		if c.left == 0 {
			b.err = io.EOF
		} else if c.left > limit {
			return bodyUnfit
		}
	}
	switch {
	case b.err == nil:
		return bodyLeft
	case errors.Is(b.err, io.EOF):
		return bodyRead
	case Malformed(b.err):
		return bodyBroken
	}
	return bodyUnfit
}

// drop reads up to limit octets, for at most patience, and reports whether that was
// all.
func (b *body) drop(limit int64, patience time.Duration) bool {
	b.c.setReadBy(time.Now().Add(patience))
	var scratch [2048]byte
	for limit >= 0 && b.err == nil {
		n, _ := b.read(scratch[:]) // b.err keeps the error
		limit -= int64(n)
	}
	return errors.Is(b.err, io.EOF)
}

// counted reads a body whose length is known.
type counted struct {
	in   *input
	left int64
}

// Read returns io.EOF together with the last octets.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.left == 0 {
		return n, io.EOF
	}
	if err != nil {
		return n, unexpected(err)
	}
	return n, nil
}

func (c *counted) skipUnread() {
	n := min(int64(len(c.in.unread())), c.left)
	c.in.skip(int(n))
	c.left -= n
}
