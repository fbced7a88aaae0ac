package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Flush is FlushError for those who do not want to know. It and those below are the methods that
// [http.ResponseController] looks for.
func (w *response) Flush() {
	w.FlushError() //nolint:errcheck // it is sticky: the next Write returns it
}

// FlushError sends what has been written so far.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	w.commit(false)
	w.sendWith(nil)
	w.c.out.flush()
	return w.c.out.err
}

// EnableFullDuplex does nothing: the body can always be read while the answer is written.
func (w *response) EnableFullDuplex() error { return nil }

// SetReadDeadline sets the time until which the request's body is read. The zero value is
// the default: no pause longer than Limits.Stall.
func (w *response) SetReadDeadline(t time.Time) error {
	c := w.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watch.cancel == nil {
		return errReturned
	}
	c.readBy = t
	if c.watch.done != nil || c.interrupted {
		return nil // there is no body to read any more
	}
	if t.IsZero() {
		t = time.Now().Add(c.lim.Stall)
	}
	return c.setReadDeadline(t)
}

// SetWriteDeadline sets the time until which the client has to take what is sent. The zero value
// is the default, as for SetReadDeadline.
func (w *response) SetWriteDeadline(t time.Time) error {
	c := w.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watch.cancel == nil {
		return errReturned
	}
	c.writeBy, c.armedWrite = t, time.Time{}
	if t.IsZero() {
		t = time.Now().Add(c.lim.Stall)
	}
	return c.nc.SetWriteDeadline(t) //nolint:wrapcheck // as above
}

// Hijack hands the connection over, with what has been read ahead. A head that has been written is
// sent first.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return nil, nil, err
	}
	c := w.c
	if w.status != 0 {
		w.commit(false)
		w.sendWith(nil)
		c.out.flush()
	}
	if c.out.err != nil {
		return nil, nil, fmt.Errorf("http1: sending the head: %w", c.out.err)
	}
	w.hijacked = true
	c.seat.Hold()
	c.stopHandling()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return nil, nil, fmt.Errorf("http1: taking the deadlines off: %w", err)
	}
	ahead := bytes.Clone(c.in.unread())
	c.in.skip(len(ahead))
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(ahead), c.nc), max(smallBuffer, len(ahead)))
	if _, err := r.Peek(len(ahead)); err != nil {
		return nil, nil, fmt.Errorf("http1: taking over what was read ahead: %w", err)
	}
	return c.nc, bufio.NewReadWriter(r, bufio.NewWriterSize(c.nc, smallBuffer)), nil
}
