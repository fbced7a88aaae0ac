package http1

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"nearcast/internal/netfirst"
	"nearcast/internal/web/lane"
)

// Server serves HTTP/1.0 and HTTP/1.1. Its fields must not be changed once it serves.
type Server struct {
	// Handler answers the requests. Required. It runs on the connection's goroutine;
	// what it may do with its ResponseWriter is said at [Server.ServeConn].
	Handler http.Handler
	// Lane answers requests out of memory, in the connection's loop and before Handler is asked. Nil: all
	// requests are Handler's.
	Lane lane.Handler
	// Limits bound each connection. Zero fields mean defaults.
	Limits Limits
	// Log gets the handler's panics, and for those who look for a mistake in a handler, what of its answers was left out. Nil discards it.
	Log *slog.Logger
	// Rejected is called for each request that never reached the handler, with the
	// status of the answer and a short stable word such as "bare-lf" or "cl-and-te". It
	// is called from many goroutines and must not block. Nil is allowed.
	Rejected func(remote net.Addr, status int, reason string)
	// Panicked is called for each panic of the handler other than
	// [http.ErrAbortHandler], from many goroutines. Nil is allowed.
	Panicked func(value any)
	// Crowd lets handlers begin slowly when there are many. Nil does not.
	Crowd *netfirst.Crowd
	// Now tells the time for the Date field. Nil means [time.Now]. Deadlines go by the
	// kernel's clock all the same.
	Now func() time.Time

	pool sync.Pool // of *scratch
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
