package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/http1"
	"nearcast/edge/store"
	"nearcast/edge/store/ram"
)

// The node's limits. They bound what any one visitor or upstream can hold.
const (
	defaultRAM     = 512 << 20
	fillWindow     = 4 << 20          // octets between a source and its slowest reader, if not kept
	headTimeout    = 30 * time.Second // longest wait for somebody else's fill to learn its head
	bodyStall      = 60 * time.Second // longest pause in a body, from upstream or to a visitor
	hitForMiss     = 2 * time.Minute  // how long a key is remembered as not for sharing
	hitForMissKeys = 16384
	drainTimeout   = 10 * time.Second
	maxHeaderBytes = 64 << 10
	standaloneName = "nearcast"
	catchUpTimeout = time.Second // how long a regional node waits to learn of a purge that its asker knows
)

// Origin reaches a customer's origin. The request's URL is the normalised target,
// its Host the domain that the site knows. Errors carry [cdn.Unavailable] or
// [cdn.Timeout].
type Origin interface {
	Fetch(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error)
}

// Config is what a Server is made from.
type Config struct {
	// Node is the node's name in the fleet. Empty means standalone: no other tier.
	Node cdn.NodeName
	// Addr is the public address to listen on, host:port. Required by Run.
	Addr string
	// RAM is the budget for stored objects; fills on their way may take half as
	// much again. Zero means 512 MiB. The largest object stored is an eighth of it.
	RAM cdn.Size
	// Origin reaches origins. Required.
	Origin Origin
	// Usable reports whether another node looks healthy. Nil means that all do.
	Usable func(cdn.NodeName) bool
	// Secret is the fleet's: it proves that a request comes from another node.
	// Required with Node, meaningless without.
	Secret string
	// AccessLog is the file that gets a JSON line for each request. Empty means none.
	AccessLog string
	// Log gets what an operator should know. Nil discards it.
	Log *slog.Logger
	// Registry gets the metrics. Nil keeps them to the Server itself.
	Registry *prometheus.Registry
	// Version is the program's version, for the start-up line of the log.
	Version string
	// Now tells the time. Nil means [time.Now].
	Now func() time.Time
}

// Server is one cache node.
type Server struct {
	cfg        Config
	name       string // in Via and Cache-Status
	loopID     string // in CDN-Loop
	log        *slog.Logger
	now        func() time.Time
	store      store.Store
	fills      *fill.Group[*head]
	unshared   *fill.Memory
	maxBody    int64 // largest object stored
	metrics    *metrics
	records    *recorder
	parents    *http.Transport
	begun      revision // the newest purge that is being applied
	applied    revision
	purges     purges
	lastID     atomic.Uint64   // of a content
	lastTables atomic.Uint64   // number of the newest tables
	hitStatus  string          // Cache-Status of a hit up to the number of seconds
	forgets    atomic.Uint64   // how often something stored was forgotten
	closing    context.Context //nolint:containedctx // ends with Run: tunnels outlive their requests
	close      context.CancelFunc

	tables atomic.Pointer[tables] // nil until a configuration is applied
	addr   atomic.Pointer[net.TCPAddr]
}

// New returns a Server that has no configuration yet.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Origin == nil:
		return nil, errors.New("edge: Config.Origin is missing")
	case cfg.Node != "" && cfg.Secret == "":
		return nil, errors.New("edge: Config.Secret is missing; a node of a fleet must be able to tell the others from strangers")
	}
	budget := int64(cfg.RAM)
	if budget == 0 {
		budget = defaultRAM
	}
	objects, err := ram.New(budget)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	s := &Server{
		cfg: cfg, name: string(cfg.Node), loopID: string(cfg.Node), log: cfg.Log, now: cfg.Now,
		store: objects, maxBody: budget / 8,
		fills:    fill.NewGroup[*head](fill.Limits{Keep: budget / 8, Budget: max(budget/2, 1<<20), Window: fillWindow}),
		unshared: fill.NewMemory(hitForMiss, hitForMissKeys),
		parents:  parentTransport(),
	}
	s.closing, s.close = context.WithCancel(context.Background())
	if s.name == "" {
		s.name, s.loopID = standaloneName, rand.Text() // two standalone nodes in a row are no loop
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.hitStatus = cacheStatus{hit: true}.format(s.name) + "; ttl="
	s.records = newRecorder(cfg.AccessLog, s.name)
	s.metrics = newMetrics(cfg.Registry, s)
	return s, nil
}

// newID names a content.
func (s *Server) newID() store.ID { return store.ID(s.lastID.Add(1)) }

// Ready returns nil when the node can serve, else why it cannot.
func (s *Server) Ready() error {
	switch {
	case s.tables.Load() == nil:
		return errors.New("no configuration has been applied yet")
	case s.addr.Load() == nil:
		return errors.New("not listening")
	}
	return nil
}

// Addr returns the address that the node listens on, or nil before that.
func (s *Server) Addr() net.Addr {
	if a := s.addr.Load(); a != nil {
		return a
	}
	return nil
}

// Run listens and serves until ctx ends, then lets running requests finish for up
// to ten seconds and returns nil. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	defer s.store.Close()
	defer s.parents.CloseIdleConnections()
	defer s.fills.Close()
	stopRecords, err := s.records.start(s.log)
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	defer stopRecords()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		s.addr.Store(a)
	}
	defer s.addr.Store(nil)
	s.log.InfoContext(ctx, "serving", "addr", l.Addr().String(), "node", s.name, "version", s.cfg.Version)
	return s.serve(ctx, l)
}

// serve accepts until ctx ends, and returns when the last request is over.
func (s *Server) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, s.close) // a tunnel has no end of its own to wait for
	defer stop()
	srv := &http1.Server{
		Handler:  s,
		Lane:     lane{s},
		Limits:   http1.Limits{HeaderBytes: maxHeaderBytes, Stall: bodyStall, Drain: drainTimeout},
		Log:      s.log,
		Rejected: s.rejected,
		Panicked: func(any) { s.metrics.panics.Inc() },
	}
	if err := srv.Serve(ctx, l); err != nil {
		return fmt.Errorf("edge: serving: %w", err)
	}
	return nil
}

// rejected counts and records a request that was none.
func (s *Server) rejected(remote net.Addr, status int, reason string) {
	s.metrics.rejected.WithLabelValues(reason).Inc()
	client := remote.String()
	if addr, ok := remote.(*net.TCPAddr); ok {
		client = addr.IP.String()
	}
	now := s.now()
	s.records.add(&record{start: now, client: client, status: status, cache: wordError, reason: reason}, now)
}
