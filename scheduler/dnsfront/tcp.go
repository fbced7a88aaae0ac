package dnsfront

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/seat"
	"nearcast/scheduler/respond"
)

// Bounds of TCP (RFC 7766 section 6).
const (
	maxConns          = 4096 // of 10 KiB each
	maxConnsPerClient = 64
	filesPart         = 4 // of the files that the process may open, connections may be the part that is one by this
	acceptsPerTurn    = 8 // before those have their turn that are there already, or are to go
)

// accept serves connections until the listener is closed, and returns when the last one is done.
func (s *Server) accept(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := 1; ; n++ {
		conn, err := s.tcp.Accept()
		switch {
		case err == nil:
			s.admit(ctx, conn, &wg)
			if n%acceptsPerTurn == 0 {
				s.peers.Yield()
			}
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.WarnContext(ctx, "accepting DNS connections", "error", err)
			pause(ctx)
		}
	}
}

// admit serves a connection if there is a seat for it, and closes it if there is none.
func (s *Server) admit(ctx context.Context, conn net.Conn, serving *sync.WaitGroup) {
	place := s.room.Enter(clientip.Of(conn.RemoteAddr()), conn, time.Now())
	if place == nil {
		conn.Close() //nolint:errcheck // nothing was said on it
		return
	}
	serving.Go(func() {
		defer place.Leave()
		s.ServeStream(seat.With(ctx, place), conn, respond.TCP)
	})
}

// pause keeps a socket that fails from filling the log and the processor.
func pause(ctx context.Context) {
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
