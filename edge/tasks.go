package edge

import (
	"context"
	"errors"
	"net"
	"sync"

	"nearcast/edge/cacheadmin"
	"nearcast/internal/fsys"
)

// startTasks starts what goes on beside the serving, until the returned function is called.
func (s *Server) startTasks(ctx context.Context) (stop func()) {
	socket := s.openSocket(ctx)
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { s.measuring(ctx) })
	tasks.Go(func() { s.placingVisitors(ctx) })
	tasks.Go(func() { s.sweeping(ctx) })
	tasks.Go(func() { s.scrubbing(ctx) })
	if socket != nil {
		tasks.Go(func() {
			if err := cacheadmin.Serve(ctx, socket, operator{s}, s.log); err != nil {
				s.log.ErrorContext(ctx, "nearcast cache has no answer from this node any more; start it again", "error", err)
			}
		})
	}
	return func() {
		cancel()
		tasks.Wait()
	}
}

// openSocket makes the operator's socket, if there is a place for it. A node can do without.
func (s *Server) openSocket(ctx context.Context) net.Listener {
	if s.stateDir == "" {
		return nil
	}
	l, err := cacheadmin.Listen(ctx, s.stateDir)
	switch {
	case err == nil:
		return l
	case errors.Is(err, fsys.ErrLocked):
		s.log.ErrorContext(ctx, "another nearcast edge that runs has the same state directory, and has the answers to nearcast cache; give each its own --dir", "dir", s.stateDir, "error", err)
	default:
		s.log.ErrorContext(ctx, "nearcast cache has no answer from this node", "error", err)
	}
	return nil
}
