package origin

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// heldBody is a request's body that a failed dial does not close, so that the next
// address can still get it: a transport closes the body on every error, but has
// touched it only once it has a connection.
type heldBody struct {
	io.ReadCloser
	sent atomic.Bool // a connection was found: closing closes
}

// holdBody returns req's body, or nil if there is none.
func holdBody(req *http.Request) *heldBody {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	return &heldBody{ReadCloser: req.Body}
}

// Close implements [io.Closer].
func (b *heldBody) Close() error {
	if !b.sent.Load() {
		return nil
	}
	return b.ReadCloser.Close()
}

// give marks the body as handed out.
func (b *heldBody) give() {
	if b != nil {
		b.sent.Store(true)
	}
}

// release closes a body that no connection was found for.
func (b *heldBody) release() {
	if b != nil && b.sent.CompareAndSwap(false, true) {
		b.ReadCloser.Close() //nolint:errcheck // it was only read
	}
}

// watchedBody is a response's body whose every Read must make progress in time. An
// origin that falls silent in mid-body would otherwise hold its fill for ever.
type watchedBody struct {
	io.ReadCloser
	address string
	limit   time.Duration
	timer   *time.Timer // cancels the exchange
	expired *atomic.Bool
	cancel  func() // ends the exchange
}

// watchBody lets cancel end the exchange when a Read takes longer than limit.
func watchBody(body io.ReadCloser, address string, limit time.Duration, cancel func()) *watchedBody {
	expired := new(atomic.Bool)
	timer := time.AfterFunc(limit, func() {
		expired.Store(true)
		cancel()
	})
	timer.Stop()
	return &watchedBody{ReadCloser: body, address: address, limit: limit, timer: timer, expired: expired, cancel: cancel}
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.limit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.expired.Load() {
		err = errStalled
	}
	return n, fault(b.address, "reading the body", err)
}

// Close implements [io.Closer].
func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}

// tunnelBody is both directions of a connection that has changed its protocol. How long it may
// be silent is its user's business.
type tunnelBody struct {
	io.ReadWriteCloser
	cancel func() // ends the exchange
}

// Close implements [io.Closer].
func (b *tunnelBody) Close() error {
	err := b.ReadWriteCloser.Close()
	b.cancel()
	return err
}
