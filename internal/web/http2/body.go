package http2

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"nearcast/internal/pace"
	"nearcast/internal/web/grammar"
)

// body is a request's content as the handler sees it. One goroutine at a time reads it, which need not be the
// handler's.
type body struct {
	st      *stream
	w       *response
	trailer http.Header // of the request

	mu   sync.Mutex // held while reading; taken before conn.mu
	pace pace.Pace
}

// Read reads content. Its errors are [http.ErrBodyReadAfterClose], [io.ErrUnexpectedEOF] if the rest will not
// come, and [os.ErrDeadlineExceeded].
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.w.sendContinue()
	st := b.st
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	since := time.Now()
	patience := b.pace.Patience(c.lim.Stall, c.lim.MinRate)
	for {
		in := &st.body
		switch {
		case in.refused && !st.closed:
			return 0, http.ErrBodyReadAfterClose
		case st.closed && st.err == nil:
			return 0, http.ErrBodyReadAfterClose
		case len(in.buf) > in.r:
			n := in.take(p)
			b.pace.Add(n, time.Since(since))
			c.giveBackStream(st, int64(n))
			c.flush()
			return n, nil
		case errors.Is(in.err, io.EOF):
			b.copyTrailer()
			return 0, io.EOF
		case st.closed:
			return 0, io.ErrUnexpectedEOF
		case len(p) == 0:
			return 0, nil
		}
		c.seat.Move(since, 0)
		if err := st.wait(st.readable, &st.readBy, since.Add(patience)); err != nil {
			return 0, err
		}
	}
}

// copyTrailer gives the request the fields that came after its content.
func (b *body) copyTrailer() {
	for name, values := range b.st.body.trailer {
		if grammar.MayTrail(name) {
			b.trailer[name] = values
		}
	}
	b.st.body.trailer = nil
}

// Close makes the body unreadable. It never waits. What comes from now on is dropped, and makes no room for more.
func (b *body) Close() error {
	c := b.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveBack(b.st.body.drop())
	wake(b.st.readable)
	c.flush()
	return nil
}
