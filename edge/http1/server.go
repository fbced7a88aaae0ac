package http1

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"nearcast/edge/hit"
)

// The pause after a failed accept doubles from the one to the other.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Server serves HTTP/1.0 and HTTP/1.1. Its fields must not be changed once it serves.
// It may serve several listeners at the same time.
type Server struct {
	// Handler answers the requests. Required. It runs on the connection's goroutine;
	// what it may do with its ResponseWriter is said at [Server.ServeConn].
	Handler http.Handler
	// Lane answers requests out of memory, in the connection's loop and before Handler is asked. Nil: all
	// requests are Handler's.
	Lane hit.Lane
	// Limits bound each connection. Zero fields mean defaults.
	Limits Limits
	// Log gets the handler's panics and the listener's failures, and for those who look
	// for a mistake in a handler, what of its answers was left out. Nil discards it.
	Log *slog.Logger
	// Rejected is called for each request that never reached the handler, with the
	// status of the answer and a short stable word such as "bare-lf" or "cl-and-te". It
	// is called from many goroutines and must not block. Nil is allowed.
	Rejected func(remote net.Addr, status int, reason string)
	// Panicked is called for each panic of the handler other than
	// [http.ErrAbortHandler], from many goroutines. Nil is allowed.
	Panicked func(value any)
	// Now tells the time for the Date field. Nil means [time.Now]. Deadlines go by the
	// kernel's clock all the same.
	Now func() time.Time

	pool sync.Pool // of *scratch
}

// Serve accepts connections and serves each on a goroutine of its own until ctx ends. Then
// it closes those that wait for a request, lets running requests finish
// within Limits.Drain, cuts the rest, and returns nil when the last goroutine has ended; a
// handler that ignores the end of its request's context delays that.
//
// A failure to accept that may pass (no more file descriptors, say) is waited out. Any other
// ends Serve in the same way, and is returned. The listener is closed in every
// case.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	running, stop := context.WithCancel(ctx)
	closed := make(chan struct{})
	context.AfterFunc(running, func() {
		defer close(closed)
		l.Close() //nolint:errcheck // there is nothing to lose in a listener
	})
	var conns sync.WaitGroup
	err := s.accept(running, l, func(nc net.Conn) {
		conns.Go(func() { s.ServeConn(running, nc) })
	})
	stop()
	<-closed
	conns.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the listener fails because it was closed, as asked
	}
	return fmt.Errorf("http1: accepting connections: %w", err)
}

// accept hands connections over until ctx ends or the listener fails for good.
func (s *Server) accept(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	pause := minAcceptPause
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = minAcceptPause
			serve(nc)
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

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
