package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/pace"
	"nearcast/internal/seat"
	"nearcast/internal/web/lane"
	"nearcast/internal/web/wire"
)

// conn is a connection being served. What is not under mu belongs to the goroutine that
// serves it; the body and the response have locks of their own.
type conn struct {
	srv     *Server
	lim     Limits
	slack   time.Duration // see near
	log     *slog.Logger
	nc      net.Conn
	remote  string
	peer    lane.Peer
	seat    *seat.Seat // nil if nobody bounds how many there are
	host    string     // the last one that the lane was asked for
	tls     *tls.ConnectionState
	ctx     context.Context // ends when the connection is cut
	cancel  context.CancelFunc
	scratch *scratch    // nil while the connection has nothing to do
	waiter  wire.Waiter // the connection below TLS, if it can wait without reading; else nil
	clock   time.Time   // a moment ago, or zero
	pace    pace.Pace   // of the body that is being read
	in      input
	out     output

	hijacked bool
	draining atomic.Bool // the server is to stop; set under mu

	mu          sync.Mutex // guards what follows
	busy        bool       // between the first octet of a request and the end of its answer
	interrupted bool       // nothing more is to be read
	readBy      time.Time  // deadline of what is being read; zero means Limits.Stall from now on
	writeBy     time.Time  // the handler's deadline for writes, or zero
	armedRead   time.Time  // the deadline that is set for reading, zero if that is not known
	armedWrite  time.Time  // likewise for writing
	watch       watch

	// Set by drain, read by whoever has waited for it.
	cutter *time.Timer
	cut    chan struct{} // closed when cutter has done its work
}

// ServeConn serves requests on a connection until it is over, and closes it, unless the handler hijacked it.
// state is what its TLS handshake, which is done, has agreed on; nil means cleartext. When ctx ends, a connection
// that waits for a request is closed, and a running request may finish within Limits.Drain; a handler that ignores the end
// of its request's context delays that.
//
// The handler's ResponseWriter is that of net/http in all that is said there, flushing,
// interim responses (WriteHeader with 1xx), trailers, [http.ErrAbortHandler] and
// [http.ResponseController] included, but for this: content types are not guessed; a field whose name
// or value could not be sent as it is (control characters, CR and LF above all) is left
// out; a status outside 100 to 999 becomes 500; a panic ends the connection; SetReadDeadline is for the
// request's body only; and whatever reads the body may do so while the answer is being written.
//
//nolint:contextcheck // what is running outlives ctx by Limits.Drain, and has a context of its own
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, state *tls.ConnectionState) {
	c := s.newConn(ctx, nc, state)
	stop := c.follow(ctx)
	defer c.end(stop)
	for c.serveOne() {
	}
}

// newConn is apart from ServeConn, whose stack stays for as long as the connection does.
//
//go:noinline
func (s *Server) newConn(ctx context.Context, nc net.Conn, state *tls.ConnectionState) *conn {
	c := &conn{
		srv: s, lim: s.Limits.withDefaults(), log: s.logger(), nc: nc, tls: state,
		remote: nc.RemoteAddr().String(),
	}
	c.slack = slackOf(&c.lim)
	c.peer = lane.Peer{Client: clientip.Text(c.remote), TLS: state, Watched: lane.Watched(ctx)}
	c.seat = seat.Of(ctx)
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.in.src, c.out.c = c, c
	c.out.parts, _ = nc.(partsWriter)
	if state == nil {
		c.out.files, _ = nc.(fileSender)
	}
	below := wire.Below(nc)
	c.out.corker, _ = below.(wire.Corker)
	c.waiter, _ = below.(wire.Waiter)
	return c
}

// end gives everything back.
func (c *conn) end(stop func()) {
	if v := recover(); v != nil { // not the handler's: one of ours, and one connection is enough
		c.log.Error("serving a connection", "remote", c.remote, "panic", v, "stack", string(debug.Stack()))
	}
	if !c.hijacked {
		c.nc.Close() //nolint:errcheck // nobody is left to be told
	}
	c.cancel()
	stop()
	c.give()
}

// serveOne serves one request and reports whether there may be another one.
func (c *conn) serveOne() (again bool) {
	if !c.await() {
		return false
	}
	if c.clock.IsZero() {
		c.clock = time.Now()
	}
	if why := c.readHead(); why != nil {
		c.refuse(why)
		return false
	}
	c.seat.Begin(c.clock)
	h := &c.scratch.head
	if answered, again := c.answerHit(h, c.in.unread()[:h.next]); answered {
		return again && c.goOn()
	}
	c.clock = time.Time{} // the handler may take long
	c.out.flush()         // the answers to what came before
	m, why := newMessage(h, c.in.unread()[:h.next])
	c.in.skip(h.next)
	if why != nil {
		c.refuse(why)
		return false
	}
	return c.answer(m) && c.goOn()
}

// readHead reads a head and checks each of its lines. The head stays unread.
func (c *conn) readHead() *refusal {
	h := &c.scratch.head
	h.reset()
	for first := true; ; first = false {
		done, why := h.parse(c.in.unread(), &c.lim)
		if done || why != nil {
			return why
		}
		if first {
			c.out.flush() // the answers to what came before
			c.setReadBy(time.Now().Add(c.lim.HeaderTime))
		}
		err := c.in.more(c.lim.HeaderBytes)
		c.clock = time.Now()
		if err != nil {
			return headEnded(err)
		}
	}
}

func headEnded(err error) *refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{http.StatusRequestTimeout, "head-timeout", "the request's head took too long"}
	}
	return malformed("head-cut-off", "the request's head has no end")
}

// answer has the handler answer a request.
func (c *conn) answer(m *message) (again bool) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	c.pace = pace.Pace{}
	w := newResponse(c, m)
	r := m.req.WithContext(ctx)
	r.RemoteAddr, r.TLS = c.remote, c.tls
	w.setBody(r)
	c.startHandling(cancel)
	if w.body == nil {
		c.startWatch()
	}
	returned := c.call(w, r)
	intact := w.body == nil || w.body.detach()
	c.stopHandling()
	again, kind := w.finish(returned, intact)
	if !again {
		c.closeAs(kind)
	}
	return again
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
