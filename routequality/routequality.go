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
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/httpjson"
	"nearcast/internal/lograte"
	"nearcast/routequality/paths"
	"nearcast/routequality/probe"
	"nearcast/routequality/report"
	"nearcast/routequality/table"
)

// shutdownTimeout bounds how long answers under way may take at the end.
const shutdownTimeout = time.Second

// Pool is what is used of the gossip pool of gateways: a backstop.
type Pool interface {
	// State returns what the pool knows of a node, unknown if nothing.
	State(node cdn.NodeName) cdn.NodeState
	// Changed returns a channel that is closed when something changes.
	Changed() <-chan struct{}
}

// Config says where a route-quality server publishes, and whom it hears.
type Config struct {
	// Addr is where to listen, host:port. Required.
	Addr string
	// Node is this server's name in the fleet, under which it votes on POPs. Required.
	Node cdn.NodeName
	// Token must be shown by those who read the table, and by those who report; empty lets nobody in.
	Token string
	// Pool is the gossip pool of gateways. Whoever made it runs it. Required.
	Pool Pool
	// Paths bounds what is remembered of visitors; zero fields are the usual limits.
	Paths paths.Config
	// Dial opens the connections of probes; nil uses [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the server's clock; nil means [time.Now].
	Now func() time.Time
	// Log gets the server's own errors. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Server publishes the route table.
type Server struct {
	log      *slog.Logger
	pool     Pool
	now      func() time.Time
	listener net.Listener
	http     *http.Server
	prober   *probe.Prober
	metrics  *metrics
	refusals lograte.Limiter

	world   *world       // what was heard of nodes and POPs
	ways    *measurement // what was heard of visitors and links
	feed    *table.Feed
	decoded chan struct{}    // a token for each report that is being read
	heard   chan *report.POP // reports that ways is to take in
	news    chan struct{}    // capacity 1: the world may have changed
	waiters chan struct{}    // a token for each poll that waits
	ending  context.Context  //nolint:containedctx // ended by Run, to send waiting polls home
	end     context.CancelFunc

	applying sync.Mutex    // guards the following, and orders those that apply
	snapshot *cdn.Snapshot // nil before the first Apply
	database *geo.Database // nil if there is none
	applied  atomic.Int64  // Unix nanoseconds of the first Apply by our clock; zero before

	slotting   sync.Mutex // orders slots
	publishing sync.Mutex // guards builder, and orders publications; slotting is locked before it
	builder    *table.Builder
}

// Room for what comes in.
const (
	maxDecoded = 32   // reports that are read at the same time
	maxHeard   = 2048 // reports that wait to be taken in; then the oldest goes
)

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("route-quality server: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		log: cfg.Log, pool: cfg.Pool, now: cfg.Now, listener: l, feed: table.NewFeed(), builder: table.New(newEpoch()),
		world: newWorld(cfg.Node), ways: newMeasurement(cfg.Paths),
		decoded: make(chan struct{}, maxDecoded), heard: make(chan *report.POP, maxHeard), news: make(chan struct{}, 1), waiters: make(chan struct{}, maxWaiters),
	}
	s.prober = probe.New(probe.Config{OnResult: s.probed, Dial: cfg.Dial, Now: cfg.Now})
	s.metrics = newMetrics(cfg.Registry, s)
	s.ending, s.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.Handle("GET /v1/table", httpjson.RequireBearer(cfg.Token, http.HandlerFunc(s.serveTable)))
	mux.Handle("POST /v1/report", httpjson.RequireBearer(cfg.Token, http.HandlerFunc(s.serveReport)))
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       maxWait + 10*time.Second, // its end cancels a request that waits
		WriteTimeout:      maxWait + 52*time.Second, // a whole table is long
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Apply makes the fleet of a configuration the one that tables are made for.
func (s *Server) Apply(snapshot *cdn.Snapshot) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if snapshot == nil {
		return cdn.Errorf(cdn.Invalid, "routequality.Apply", "no configuration")
	}
	if err := s.ways.apply(snapshot, s.database); err != nil {
		return err
	}
	s.snapshot = snapshot
	s.world.apply(&snapshot.Fleet)
	s.prober.Set(targets(&snapshot.Fleet))
	s.applied.CompareAndSwap(0, s.now().UnixNano())
	s.wake()
	return nil
}

// ApplyPlaces makes a database the one that says where visitors are whom no client prefix of the fleet covers. Nil is none.
// After an error the previous one stays.
func (s *Server) ApplyPlaces(database *geo.Database) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.snapshot != nil {
		if err := s.ways.apply(s.snapshot, database); err != nil {
			return err
		}
	}
	s.database = database
	return nil
}

// Ready returns nil once there is a table to publish.
func (s *Server) Ready() error {
	if s.feed.Latest() == nil {
		return errors.New("no configuration yet, or not long enough ago, so no route table")
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
	group.Go(func() error { return s.prober.Run(ctx) })
	for _, run := range []func(context.Context){s.takeIn, s.judge, s.slots} {
		group.Go(func() error {
			run(ctx)
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
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

// wake lets the world be judged at once.
func (s *Server) wake() {
	select {
	case s.news <- struct{}{}:
	default: // it will be
	}
}

// newEpoch names this process's sequence of tables.
func newEpoch() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
