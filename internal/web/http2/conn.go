package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/clientip"
	"nearcast/internal/seat"
	"nearcast/internal/web/lane"
	"nearcast/internal/web/wire"
)

// conn is a connection being served. What is not under a lock belongs to the goroutine that reads.
type conn struct {
	srv    *Server
	lim    Limits
	log    *slog.Logger
	nc     net.Conn
	corker wire.Corker // under the connection's TLS, or nil
	waiter wire.Waiter // the connection below TLS, if it can wait without reading; else nil
	remote string
	tls    *tls.ConnectionState
	seat   *seat.Seat      // nil if nobody bounds how many there are
	ctx    context.Context // ends when the connection does
	cancel context.CancelFunc
	tasks  sync.WaitGroup // handlers, and whoever writes for others

	in      input
	decoder *hpack.Decoder
	head    head
	work    *work     // of the head that comes next
	readAt  time.Time // when something was read last
	partial time.Time // when a frame or header block began that is not complete, or zero
	checked time.Time // when the streams were last looked at for stalls
	frames  int       // for the log
	begun   []begun   // their handlers are to be started

	laneMu sync.Mutex // held while the lane is at work; taken before mu
	peer   lane.Peer  // guarded by laneMu

	mu            sync.Mutex // guards what follows
	budgets       budgets
	streams       map[uint32]*stream
	lastID        uint32      // the highest that the client has used; only the read loop writes it
	gone          [128]uint32 // streams that we have reset last
	nextGone      int
	slots         int // requests under way
	idleSince     time.Time
	initialWindow int64 // of what we send on a stream
	window        int64 // of what we send
	recv          int64 // how much the client may send
	owed          int64 // how much more it may send as soon as it is told
	queue         queue
	early         []early
	saidTable     bool

	out        *buffer   // waits to be sent; nil if nothing does
	direct     content   // of the answer that is being put there
	replies    int       // to control frames, in out
	finished   []*stream // hits that are to be reported
	reported   []*stream // memory for it
	writing    bool      // somebody writes
	written    int64     // octets; whoever writes has it
	goes, went int64     // octets of content in out, and in what was sent before
	quiet      sync.Cond // broadcast when nobody does any more
	readArmed  time.Time // read deadline
	writeArmed time.Time // when the write deadline was set

	dead     bool // the connection is broken, or over
	ending   bool // the deadlines are not to be changed any more
	draining bool // the server is to stop
	final    bool // the last GOAWAY has been sent, and named finalID
	finalID  uint32
	cutter   *time.Timer
	cut      chan struct{} // closed when cutter has done its work
	closer   *time.Timer   // sends the last GOAWAY if the client answers no PING
	closed   chan struct{} // closed when closer has done its work
}

// ServeConn serves requests on a connection until it is over, and closes it. state is what its TLS handshake,
// which is done, has agreed on; nil means cleartext with prior knowledge (RFC 9113 section 3.3). When ctx ends, the client is
// told with GOAWAY, and what is running may finish within Limits.Drain. ServeConn returns when all handlers have, which one
// that ignores the end of its request's context delays.
//
// The handler's ResponseWriter is that of net/http in all that is said there, flushing, interim responses (WriteHeader
// with 1xx), trailers, [http.ErrAbortHandler] and [http.ResponseController] included, but for this: content types are not
// guessed; a field whose name or value could not be sent as it is, or that is about an HTTP/1 connection, is left
// out; a status outside 100 to 999 and 101 become 500; a panic resets the stream; "Connection: close" is not sent, but ends the
// connection when its requests have been answered; SetReadDeadline is for the request's body only; and
// whatever reads the body may do so while the answer is being written. Hijack and Push are not supported.
//
//nolint:contextcheck // what is running outlives ctx by Limits.Drain, and has a context of its own
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, state *tls.ConnectionState) {
	c := s.newConn(ctx, nc, state)
	stop := c.follow(ctx)
	c.end(ctx, c.serveSafely(), stop)
}

// newConn is apart from ServeConn, whose stack stays for as long as the connection does.
//
//go:noinline
func (s *Server) newConn(ctx context.Context, nc net.Conn, state *tls.ConnectionState) *conn {
	now := time.Now()
	c := &conn{
		srv: s, lim: s.Limits.withDefaults(), log: s.logger(), nc: nc, remote: nc.RemoteAddr().String(), tls: state,
		work: s.takeWork(), readAt: now, checked: now, partial: now, idleSince: now,
		in: input{buf: make([]byte, smallInput)}, budgets: newBudgets(now), streams: make(map[uint32]*stream),
		initialWindow: defaultWindow, window: defaultWindow, recv: defaultWindow,
	}
	c.peer = lane.Peer{Client: clientip.Text(c.remote), TLS: state, Watched: lane.Watched(ctx)}
	c.seat = seat.Of(ctx)
	c.quiet.L = &c.mu
	below := wire.Below(nc)
	c.corker, _ = below.(wire.Corker)
	c.waiter, _ = below.(wire.Waiter)
	c.decoder = hpack.NewDecoder(4096, c.emit)
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.appendPreface()
	return c
}

// serveSafely is serve for a connection whose failure must not be anybody else's.
func (c *conn) serveSafely() (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("serving a connection", "remote", c.remote, "panic", v, "stack", string(debug.Stack()))
			err = errClosed
		}
	}()
	if err := c.sendReady(true); err != nil {
		return err
	}
	if err := c.readPreface(); err != nil {
		return err
	}
	return c.serve()
}

// appendPreface tells the client our limits, before anything else (RFC 9113 section 3.4).
func (c *conn) appendPreface() {
	out := c.buffer()
	out.b = appendSettings(out.b,
		h2.Setting{ID: h2.SettingMaxConcurrentStreams, Val: uint32(c.lim.Streams)},
		h2.Setting{ID: h2.SettingInitialWindowSize, Val: uint32(c.lim.StreamWindow)},
		h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: uint32(c.lim.HeaderBytes)},
		h2.Setting{ID: h2.SettingNoRFC7540Priorities, Val: 1},
	)
	if more := int64(c.lim.ConnWindow) - c.recv; more > 0 {
		out.b = appendWindowUpdate(out.b, 0, more)
		c.recv += more
	}
}

// readPreface waits for what a client sends first, and after that for its settings.
func (c *conn) readPreface() error {
	preface := []byte(h2.ClientPreface)
	for {
		p := c.in.unread()
		if n := min(len(p), len(preface)); !bytes.Equal(p[:n], preface[:n]) {
			return violation("preface")
		}
		if len(p) >= len(preface) {
			break
		}
		if err := c.await(); err != nil {
			return err
		}
	}
	c.in.skip(len(preface))
	for {
		f, ok, err := c.in.next()
		switch {
		case err != nil:
			return err
		case ok && (f.kind != h2.FrameSettings || f.flags.Has(h2.FlagSettingsAck)):
			return violation("preface-settings")
		case ok:
			c.partial = time.Time{}
			return c.receive(f)
		}
		if err := c.await(); err != nil {
			return err
		}
	}
}

// serve handles frames. What they cause to be sent is written when no further one is there.
func (c *conn) serve() error {
	for n := 1; ; n++ {
		f, ok, err := c.in.next()
		if err != nil {
			return err
		}
		if !ok {
			c.startHandlers()
		}
		if err := c.sendReady(!ok); err != nil {
			return err
		}
		if !ok {
			if err := c.await(); err != nil {
				return err
			}
			continue
		}
		if err := c.handleFrame(f); err != nil {
			return err
		}
		if n%framesPerTurn == 0 {
			c.srv.others.Yield()
		}
	}
}

// handleFrame receives a frame, and ends its stream if that is what is wrong.
func (c *conn) handleFrame(f frame) error {
	err := c.receive(f)
	if !c.head.open {
		c.partial = time.Time{}
	} else if c.partial.IsZero() {
		c.partial = c.readAt
	}
	if err == nil {
		return nil
	}
	if failed, ok := errors.AsType[*streamError](err); ok {
		return c.failStream(failed)
	}
	return err
}

// failStream resets a stream.
func (c *conn) failStream(failed *streamError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isIdle(failed.id) {
		return &connError{code: failed.code, reason: failed.reason}
	}
	if !c.budgets.resets.fail(c.readAt) {
		return abuse("resets")
	}
	if st := c.streams[failed.id]; st != nil {
		c.reset(st, failed.code)
		return nil
	}
	c.appendReset(failed.id, failed.code)
	return nil
}

// sendReady writes what waits, if that is enough or there is nothing else to do.
func (c *conn) sendReady(idle bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errClosed
	}
	if c.writing && (c.replies > maxReplies || c.waiting() > maxWaiting) {
		return abuse("replies")
	}
	if idle || c.waiting() >= batchSize {
		c.flush()
	}
	return nil
}

// timedOut reports whether err is that of a deadline.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
