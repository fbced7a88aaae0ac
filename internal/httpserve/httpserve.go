// Package httpserve runs an HTTP server as long as a context lasts.
//
// It is not for the public edge, which has servers of its own.
package httpserve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// shutdownTimeout bounds how long answers under way may take at the end.
const shutdownTimeout = time.Second

// Run serves on l until ctx ends and answers under way are done, which may take a second; then those that are left are broken off. It closes l. what
// names the server in errors.
func Run(ctx context.Context, s *http.Server, l net.Listener, what string, log *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return shutdown(s, what, log) //nolint:contextcheck // ctx has ended: the shutdown has a time of its own
	})
	return group.Wait()
}

func shutdown(s *http.Server, what string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		log.Debug("closing connections that did not end", "server", what, "error", err)
		return s.Close()
	}
	return nil
}
