// Package admin is the private HTTP server that every role has: /healthz,
// /readyz and /metrics. It is never part of a public listener.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what an admin server shows.
type Config struct {
	// Addr is where to listen, host:port. Required.
	Addr string
	// Registry holds the metrics of /metrics. Required.
	Registry *prometheus.Registry
	// Ready returns nil when the role can do its job, else why it cannot: the
	// body of the 503 of /readyz. Nil means always ready.
	Ready func() error
	// Log gets the server's own errors. Required.
	Log *slog.Logger
}

// NewRegistry returns a registry that has the Go runtime's and the process's metrics.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// grace is how long a shutdown waits for answers that are being sent.
const grace = time.Second

// Run listens on cfg.Addr and serves until ctx ends, see [Serve]. It returns an
// error at once if the address cannot be listened on.
func Run(ctx context.Context, cfg Config) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("admin server: %w", err)
	}
	return Serve(ctx, l, cfg)
}

// Serve serves on l until ctx ends, finishes the answers that are being sent, for
// 1 s at most, and returns nil. It closes l.
func Serve(ctx context.Context, l net.Listener, cfg Config) error {
	srv := &http.Server{
		Handler:           handler(cfg),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	defer srv.Close() //nolint:errcheck // nothing is lost: readers may retry
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("admin server: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	srv.Shutdown(stopping) //nolint:errcheck // then Close ends what is left
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	return nil
}

func handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if cfg.Ready != nil {
			if err := cfg.Ready(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Registry, promhttp.HandlerOpts{Registry: cfg.Registry}))
	return mux
}
