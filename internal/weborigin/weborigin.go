// Package weborigin is a plain web server over a directory: the customer's own
// origin in a CDN that runs on one machine. It serves files with validators,
// freshness and ranges, and logs every request, so that what a cache asked of it
// can be counted.
//
// It is not for production and has no part in serving visitors.
package weborigin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// Config says what a web origin serves.
type Config struct {
	// Addr is where [Run] listens, host:port. Required there.
	Addr string
	// Root is the directory that is served. Nothing outside it is ever opened, by
	// whatever symbolic link. Required.
	Root string
	// MaxAge is the freshness lifetime in Cache-Control, in whole seconds. Zero sends
	// max-age=0: stored, but asked about each time.
	MaxAge time.Duration
	// AccessLog gets one line of JSON for each request, in one Write, before the
	// response's end leaves. Nil means no log.
	AccessLog io.Writer
	// Log gets the server's own errors. Nil discards them.
	Log *slog.Logger
}

// grace is how long a shutdown waits for responses that are being sent.
const grace = 3 * time.Second

// Run listens on cfg.Addr and serves until ctx ends, see [Serve].
func Run(ctx context.Context, cfg Config) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("web origin: %w", err)
	}
	return Serve(ctx, l, cfg)
}

// Serve serves on l until ctx ends, finishes the responses that are being sent, for
// 3 s at most, and returns nil. It closes l.
func Serve(ctx context.Context, l net.Listener, cfg Config) error {
	defer l.Close() //nolint:errcheck // the server has closed it already, unless it never began
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	root, err := os.OpenRoot(cfg.Root)
	if err != nil {
		return fmt.Errorf("web origin: opening the root: %w", err)
	}
	defer root.Close() //nolint:errcheck // it was only read
	srv := &http.Server{
		Handler:           newHandler(root, cfg),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if srv.Shutdown(stopping) != nil {
			srv.Close() //nolint:errcheck // the grace is over; what is cut off is the visitor's to ask again
		}
		err = <-served
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web origin: %w", err)
	}
	return nil
}
