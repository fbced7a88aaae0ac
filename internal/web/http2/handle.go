package http2

import (
	"context"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/grammar"
)

// begin hands the request whose head has just come to the handler.
func (c *conn) begin() error {
	h := &c.head
	r, expects, why := h.block.request(h.ended)
	if why != nil {
		return c.refuse(why)
	}
	st := &stream{
		id: h.id, remote: h.ended, body: inbound{recv: int64(c.lim.StreamWindow), expected: r.ContentLength},
		readable: make(chan struct{}, 1), writable: make(chan struct{}, 1),
	}
	var ctx context.Context
	ctx, st.cancel = context.WithCancel(c.ctx)
	r = r.WithContext(ctx)
	r.RemoteAddr, r.TLS = c.remote, c.tls
	w := &response{st: st, c: c, header: make(http.Header), isHead: r.Method == http.MethodHead, expects: expects, declared: grammar.NoLength}
	r.Body = http.NoBody
	if !h.ended {
		r.Body = &body{st: st, w: w, trailer: r.Trailer}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		st.cancel()
		return errClosed
	}
	st.priority = c.takeEarly(h.id, priorityOf(h.block.fields))
	c.open(st)
	c.take()
	c.begun = append(c.begun, begun{w, r})
	return nil
}

// begun is a request whose handler is to run.
type begun struct {
	w *response
	r *http.Request
}

// startHandlers lets the handlers run whose requests have come, now that all has been seen that came with them: those that
// the client has reset in the same breath (CVE-2023-44487) cost no goroutine, and nothing upstream.
func (c *conn) startHandlers() {
	if len(c.begun) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range c.begun {
		c.begun[i] = begun{}
		if b.w.st.closed {
			continue
		}
		b.w.st.handling = true
		c.tasks.Go(func() { c.guarded(func() { c.handle(b.w, b.r) }) })
	}
	c.begun = c.begun[:0]
}

// handle has the handler answer a request.
func (c *conn) handle(w *response, r *http.Request) {
	st := w.st
	defer st.cancel()
	w.finish(c.call(w, r)) //nolint:contextcheck // the request has it
	c.mu.Lock()
	defer c.mu.Unlock()
	st.handling = false
	if w.closes {
		c.draining = true
		c.finalGoAway()
	}
	if st.closed {
		c.release()
	} else {
		c.giveBack(st.body.drop())
	}
	c.flush()
}

// guarded calls f. If it panics the mistake is ours, since a handler's does not get so far, and one connection is
// enough.
func (c *conn) guarded(f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("serving a connection", "remote", c.remote, "panic", v, "stack", string(debug.Stack()))
			c.cancel()
			c.nc.Close() //nolint:errcheck // that it fails everybody is the purpose
		}
	}()
	f()
}

// call calls the handler and reports whether it returned, rather than panic.
func (c *conn) call(w *response, r *http.Request) (returned bool) {
	defer func() {
		v := recover()
		if v == nil || v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
			return
		}
		c.log.ErrorContext(r.Context(), "the handler panicked", "remote", c.remote, "method", r.Method, "target", r.RequestURI,
			"panic", v, "stack", string(debug.Stack()))
		if c.srv.Panicked != nil {
			c.srv.Panicked(v)
		}
	}()
	if c.srv.Crowd != nil {
		c.srv.Crowd.Enter()
		defer c.srv.Crowd.Leave()
	}
	c.srv.Handler.ServeHTTP(w, r)
	return true
}

// wait gives up the lock until ch says that there is something to see, or until the deadline, which may change
// meanwhile. Without one it waits until usual.
func (st *stream) wait(ch <-chan struct{}, deadline *time.Time, usual time.Time) error {
	by := *deadline
	if by.IsZero() {
		by = usual
	}
	left := time.Until(by)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	st.c.mu.Unlock()
	defer st.c.mu.Lock()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ch:
	case <-timer.C:
	}
	return nil
}

// send sends content, and what ends it if that is said, and waits until all of it is in a buffer of ours; but not for
// what ends it. It holds mu.
func (st *stream) send(parts ...[]byte) error {
	c := st.c
	if st.closed {
		return st.err
	}
	for _, p := range parts {
		st.content.add(p)
	}
	since := time.Now()
	c.advance(st)
	c.flush()
	for st.content.left > 0 && !st.closed {
		if st.moved.After(since) {
			since = st.moved
		}
		if err := st.wait(st.writable, &st.writeBy, since.Add(c.lim.Stall)); err != nil {
			st.content.drop()
			c.queue.remove(st)
			return err
		}
	}
	return st.err
}

// abort ends the stream in a way that the client cannot take for the end of the content.
func (st *stream) abort(code h2.ErrCode) {
	if !st.closed {
		st.c.reset(st, code)
	}
}
