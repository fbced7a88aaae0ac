package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"nearcast/internal/netfirst"
	"nearcast/internal/rawtcp"
	"nearcast/internal/seat"
	"nearcast/internal/web/http1"
	"nearcast/internal/web/http2"
	"nearcast/internal/web/lane"
	"nearcast/internal/web/tlscert"
)

// Protocols are the ALPN names of what a Server speaks, the preferred one first (RFC 7301, RFC 9113 section 3.2).
func Protocols() []string { return []string{"h2", "http/1.1"} }

// Server serves the connections of listeners. Its fields must not be changed once it serves.
type Server struct {
	// HTTP1 and HTTP2 serve what speaks their protocol. Required.
	HTTP1 *http1.Server
	HTTP2 *http2.Server
	// Gate and TLS are for listeners with TLS. Required for those.
	Gate *tlscert.Gate
	TLS  *tls.Config
	// Limits bound all connections together. Zero fields mean defaults.
	Limits Limits
	// Watch is told of each connection before it is used. It returns what it wants to know the connection by, which
	// [lane.Peer] and [lane.Watched] have, and what to call just before the connection is closed, with what
	// [rawtcp.OnClose] says of that; or nil and nil. Nil: nobody is told.
	Watch func(net.Conn) (watched any, leave func())
	// Other is one more protocol over TLS. Nil: there is none.
	Other *Protocol
	// Log gets what an operator should know. Nil discards it.
	Log *slog.Logger
	// Refused is called for each connection that was closed at once, with a short stable word for the limit; and Lost for each that was closed to make room
	// for another, with one of [seat.Reasons]. They must not block. Nil is allowed.
	Refused func(limit string)
	Lost    func(reason string)

	once     sync.Once        // for the following
	room     *seat.Room       // see seats
	visitors netfirst.Yielder // who are connected
}

// Serve accepts connections and serves each on a goroutine of its own until ctx ends. Then running requests may finish,
// within the limits of their server, and Serve returns nil when the last connection is over.
//
// A failure to accept that may pass (no more file descriptors, say) is waited out. Any other ends Serve in the same
// way, and is returned. The listener is closed in every case. Several listeners may be served at the same time.
func (s *Server) Serve(ctx context.Context, l net.Listener, secure bool) error {
	running, stop := context.WithCancel(ctx)
	closed := make(chan struct{})
	context.AfterFunc(running, func() {
		defer close(closed)
		l.Close() //nolint:errcheck // there is nothing to lose in a listener
	})
	var conns sync.WaitGroup
	err := s.accept(running, l, func(nc net.Conn) {
		nc = rawtcp.Wrap(nc)
		place := s.admit(nc)
		if place == nil {
			return
		}
		conns.Go(func() {
			defer place.Leave()
			s.serve(seat.With(running, place), nc, secure)
		})
	})
	stop()
	<-closed
	conns.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the listener fails because it was closed, as asked
	}
	return fmt.Errorf("front: accepting connections: %w", err)
}

// serve serves one connection.
func (s *Server) serve(ctx context.Context, nc net.Conn, secure bool) {
	ctx = s.watch(ctx, nc)
	if !secure {
		s.HTTP1.ServeConn(ctx, nc, nil)
		return
	}
	c, state := s.shake(ctx, nc)
	switch {
	case c == nil:
	case state.NegotiatedProtocol == "h2":
		s.HTTP2.ServeConn(ctx, c, state)
	case s.Other != nil && state.NegotiatedProtocol == s.Other.Name:
		s.Other.Serve(ctx, c)
	case s.Other != nil && state.NegotiatedProtocol == "":
		s.serveUnnamed(ctx, c, state)
	default:
		s.HTTP1.ServeConn(ctx, c, state)
	}
}

// watch has what is done for a connection counted.
func (s *Server) watch(ctx context.Context, nc net.Conn) context.Context {
	if s.Watch == nil {
		return ctx
	}
	v, leave := s.Watch(nc)
	if v == nil || !rawtcp.OnClose(nc, leave) {
		return ctx
	}
	return lane.With(ctx, v)
}

// shake shakes hands. It returns nil, and has closed the connection, if that fails. It is apart from serve, whose stack stays
// for as long as the connection does.
//
//go:noinline
func (s *Server) shake(ctx context.Context, nc net.Conn) (*tls.Conn, *tls.ConnectionState) {
	c, err := s.Gate.Handshake(ctx, nc, s.TLS)
	if err != nil {
		s.logger().DebugContext(ctx, "shaking hands", "remote", nc.RemoteAddr().String(), "error", err)
		return nil, nil
	}
	state := c.ConnectionState()
	return c, &state
}

// The pause after a failed accept doubles from the one to the other.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// acceptsPerTurn is how many connections are accepted before those have their turn that are there already. Thousands may come at
// once, and each is some work.
const acceptsPerTurn = 8

// accept hands connections over until ctx ends or the listener fails for good.
func (s *Server) accept(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	pause := minAcceptPause
	for n := 1; ; n++ {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = minAcceptPause
			serve(nc)
			if n%acceptsPerTurn == 0 {
				s.visitors.Yield()
			}
			continue
		case ctx.Err() != nil || !passing(err):
			return err //nolint:wrapcheck // Serve does
		}
		s.logger().WarnContext(ctx, "accepting a connection failed, trying again", "pause", pause, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // Serve does
		case <-time.After(pause):
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// passing reports whether a failure to accept may be gone the next time: the client hung up
// first, or the machine is out of something.
func passing(err error) bool {
	for _, errno := range [...]syscall.Errno{
		syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EPROTO, syscall.EPERM, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (s *Server) logger() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}
