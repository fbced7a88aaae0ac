package dnsfront

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"nearcast/scheduler/respond"
)

// Bounds of TCP (RFC 7766 section 6).
const (
	maxConns          = 4096 // of 10 KiB each
	maxConnsPerSource = 64
)

// accept serves connections until the listener is closed, and returns when the last one is done.
func (s *Server) accept(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := s.tcp.Accept()
		switch {
		case err == nil:
			wg.Go(func() { s.ServeStream(ctx, conn, respond.TCP) })
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.WarnContext(ctx, "accepting DNS connections", "error", err)
			pause(ctx)
		}
	}
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
