package http2

import (
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
	if w.returned {
		return errReturned
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	return w.sendAll(nil)
}

// EnableFullDuplex does nothing: the body can always be read while the answer is written.
func (w *response) EnableFullDuplex() error { return nil }

// SetReadDeadline sets the time until which the request's body is read. The zero value is the default: no pause
// longer than Limits.Stall.
func (w *response) SetReadDeadline(t time.Time) error {
	return w.setDeadline(&w.st.readBy, t, w.st.readable)
}

// SetWriteDeadline sets the time until which the client has to take what is sent. The zero value is the default, as for
// SetReadDeadline.
func (w *response) SetWriteDeadline(t time.Time) error {
	return w.setDeadline(&w.st.writeBy, t, w.st.writable)
}

func (w *response) setDeadline(deadline *time.Time, t time.Time, waiting chan struct{}) error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !w.st.handling {
		return errReturned
	}
	*deadline = t
	wake(waiting)
	return nil
}
