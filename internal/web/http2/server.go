package http2

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/internal/lograte"
	"nearcast/internal/netfirst"
	"nearcast/internal/web/lane"
)

// Server serves HTTP/2. Its fields must not be changed once it serves.
type Server struct {
	// Handler answers the requests that Lane does not. Required. Each runs on a goroutine of its own; what it may
	// do with its ResponseWriter is said at [Server.ServeConn].
	Handler http.Handler
	// Lane is asked first for each request without content. Nil is allowed.
	Lane lane.Handler
	// LaneContent is how many octets of content a request may have for the lane to be asked all the same. The content must have come
	// with the head, in one frame and one read, as that of a small one often does; of more than 4 KiB none does. Zero: only requests without content are the lane's.
	LaneContent int
	// Limits bound each connection. Zero fields mean defaults.
	Limits Limits
	// Log gets the handler's panics, and a warning, one a second at most, for connections that were ended because they cost
	// too much. Nil discards it.
	Log *slog.Logger
	// Rejected is called for each request that never reached Handler or Lane, with the status of the answer, or of
	// the answer that it would have got if its stream had not been reset, and a short stable word such as
	// "field-name". It is called from many goroutines and must not block. Nil is allowed.
	Rejected func(remote net.Addr, status int, reason string)
	// Abused is called for each connection that was ended because it cost too much, with a short stable word such as
	// "resets". It is called like Rejected.
	Abused func(remote net.Addr, reason string)
	// Panicked is called for each panic of the handler other than [http.ErrAbortHandler], from many goroutines. Nil
	// is allowed.
	Panicked func(value any)
	// Crowd lets handlers begin slowly when there are many. Nil does not.
	Crowd *netfirst.Crowd
	// Now tells the time for the Date field. Nil means [time.Now]. Deadlines go by the
	// kernel's clock all the same.
	Now func() time.Time

	held     atomic.Int32 // connections that are kept without being read from
	underWay atomic.Int64 // requests

	lent    atomic.Int32 // buffers in use
	buffers sync.Pool    // of *buffer
	works   sync.Pool    // of *work
	coders  sync.Pool    // of *coder

	others netfirst.Yielder // connections than the one that yields
	abuses lograte.Limiter
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
