package routequality

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
	"nearcast/routequality/gossip"
	"nearcast/routequality/table"
)

// shutdownTimeout bounds how long answers under way may take at the end.
const shutdownTimeout = time.Second

// Config says where a route-quality server publishes and whom it watches.
type Config struct {
	// Addr is where to listen, host:port. Required.
	Addr string
	// Token must be shown by those who read the table; empty lets nobody in.
	Token string
	// Pool is the gossip pool to watch. Whoever made it runs it. Required.
	Pool *gossip.Pool
	// Log gets the server's own errors. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Server publishes the route table.
type Server struct {
	log      *slog.Logger
	pool     *gossip.Pool
	listener net.Listener
	http     *http.Server
	metrics  *metrics

	fleet     atomic.Pointer[cdn.Fleet]   // nil before the first Apply
	published atomic.Pointer[publication] // never nil
	applied   chan struct{}               // capacity 1: the fleet has changed
	waiters   chan struct{}               // a token for each poll that waits
	ending    context.Context             //nolint:containedctx // ended by Run, to send waiting polls home
	end       context.CancelFunc
}

// publication is a table and the way to learn that it is no longer the newest.
type publication struct {
	table      *cdn.RouteTable // nil before the first
	superseded chan struct{}   // closed when there is a newer publication
}

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("route-quality server: %w", err)
	}
	s := &Server{
		log:      cfg.Log,
		pool:     cfg.Pool,
		listener: l,
		metrics:  newMetrics(cfg.Registry),
		applied:  make(chan struct{}, 1),
		waiters:  make(chan struct{}, maxWaiters),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.published.Store(&publication{superseded: make(chan struct{})})
	mux := http.NewServeMux()
	mux.Handle("GET /v1/table", httpjson.RequireBearer(cfg.Token, http.HandlerFunc(s.serveTable)))
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       maxWait + 10*time.Second, // its end cancels a request that waits
		WriteTimeout:      maxWait + 15*time.Second,
		IdleTimeout:       2 * maxWait,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Apply makes the fleet of a configuration the one that tables are made for.
func (s *Server) Apply(snapshot *cdn.Snapshot) error {
	if snapshot == nil {
		return cdn.Errorf(cdn.Invalid, "routequality.Apply", "no configuration")
	}
	s.fleet.Store(&snapshot.Fleet)
	select {
	case s.applied <- struct{}{}:
	default: // Run has yet to look, and will see this fleet
	}
	return nil
}

// Ready returns nil once there is a table to publish.
func (s *Server) Ready() error {
	if s.published.Load().table == nil {
		return errors.New("no configuration yet, so no route table")
	}
	return nil
}

// Run serves until ctx ends. Polls that wait are answered at once then.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("route-quality server: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		s.publish(ctx)
		s.end()
		return s.shutdown() //nolint:contextcheck // ctx has ended: the shutdown has a time of its own
	})
	return group.Wait()
}

func (s *Server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("closing the route-quality server with polls under way", "error", err)
		return s.http.Close()
	}
	return nil
}

// publish makes a new table whenever the pool or the fleet changes, until ctx ends.
func (s *Server) publish(ctx context.Context) {
	builder := table.New(newEpoch())
	for {
		changed := s.pool.Changed() // before reading, so that no change is missed
		if fleet := s.fleet.Load(); fleet != nil {
			s.supersede(builder.Update(time.Now(), fleet, s.pool.State))
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-s.applied:
		}
	}
}

// supersede publishes t, unless it is what is published already.
func (s *Server) supersede(t *cdn.RouteTable) {
	old := s.published.Load()
	if old.table == t {
		return
	}
	s.published.Store(&publication{table: t, superseded: make(chan struct{})})
	close(old.superseded)
	s.metrics.note(t)
	s.log.Debug("published a route table", "epoch", t.Epoch, "version", t.Version)
}

// newEpoch names this process's sequence of tables.
func newEpoch() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
