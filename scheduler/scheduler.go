package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/locate"
	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/httpfront"
	"nearcast/scheduler/view"
)

// Config says where a scheduler listens.
type Config struct {
	// Node is this scheduler's name in the fleet, for its log. Required.
	Node cdn.NodeName
	// DNSAddr is where to answer DNS, host:port, UDP and TCP. Required.
	DNSAddr string
	// HTTPAddr is where to redirect HTTP requests, host:port. Empty means not to.
	HTTPAddr string
	// Log gets the scheduler's own errors and changes of its view. Required.
	Log *slog.Logger
	// Registry gets the scheduler's metrics. Required.
	Registry *prometheus.Registry
}

// Server answers "which node for this visitor".
type Server struct {
	log     *slog.Logger
	dns     *dnsfront.Server
	http    *httpfront.Server // nil if there is no redirecting front
	current atomic.Pointer[view.View]
	metrics *metrics

	compiling sync.Mutex    // guards what plans are made of, and orders those that make one
	snapshot  *cdn.Snapshot // nil before the first Apply
	database  *geo.Database // nil if there is none
	clients   *locate.Index // of snapshot and database

	mu       sync.Mutex      // guards the following, and orders writers of current
	plan     *view.Plan      // nil before the first Apply
	table    *cdn.RouteTable // newest received; nil if none
	received time.Time       // when table was received or confirmed last
	believed bool            // current was made with table, which was fresh then
}

// New listens, so that an address that is taken shows at once. [Server.Run] must be
// called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	s := &Server{log: cfg.Log.With("node", cfg.Node)}
	s.metrics = newMetrics(cfg.Registry, s.tableAge)
	var err error
	s.dns, err = dnsfront.New(dnsfront.Config{Addr: cfg.DNSAddr, View: s.current.Load, Log: s.log, Registry: cfg.Registry})
	if err != nil {
		return nil, err
	}
	if cfg.HTTPAddr == "" {
		return s, nil
	}
	s.http, err = httpfront.New(httpfront.Config{Addr: cfg.HTTPAddr, View: s.current.Load, Log: s.log, Registry: cfg.Registry})
	if err != nil {
		return nil, errors.Join(err, s.dns.Close())
	}
	return s, nil
}

// DNSAddr returns where the scheduler answers DNS.
func (s *Server) DNSAddr() netip.AddrPort { return s.dns.Addr() }

// HTTPAddr returns where the scheduler redirects, or nil if it does not.
func (s *Server) HTTPAddr() net.Addr {
	if s.http == nil {
		return nil
	}
	return s.http.Addr()
}

// Apply makes a configuration the one that is answered from. After an error the
// previous one stays.
func (s *Server) Apply(snapshot *cdn.Snapshot) error {
	s.compiling.Lock()
	defer s.compiling.Unlock()
	return s.compile(snapshot, s.database)
}

// ApplyPlaces makes a database the one that says where visitors are whom no client prefix of the fleet covers. Nil is none.
// After an error the previous one stays.
func (s *Server) ApplyPlaces(database *geo.Database) error {
	s.compiling.Lock()
	defer s.compiling.Unlock()
	if s.snapshot == nil {
		s.database = database
		return nil
	}
	return s.compile(s.snapshot, database)
}

// compile makes the plan of a configuration and a database, and answers from it. Callers hold compiling.
func (s *Server) compile(snapshot *cdn.Snapshot, database *geo.Database) error {
	if snapshot == nil {
		return cdn.Errorf(cdn.Invalid, "scheduler.Apply", "no configuration")
	}
	clients, err := s.clients, error(nil)
	if clients == nil || database != s.database || !slices.Equal(snapshot.Fleet.Clients, s.snapshot.Fleet.Clients) {
		clients, err = locate.New(snapshot.Fleet.Clients, database) // seconds, for a large database
	}
	if err != nil {
		return &cdn.Error{Op: "scheduler.Apply", Kind: cdn.Invalid, Err: err}
	}
	plan, err := view.CompileWith(snapshot, clients)
	if err != nil {
		return &cdn.Error{Op: "scheduler.Apply", Kind: cdn.Invalid, Err: err}
	}
	s.snapshot, s.database, s.clients = snapshot, database, clients
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = plan
	s.joinLocked(time.Now())
	s.metrics.generation.Set(float64(plan.Generation))
	s.metrics.places.Set(float64(len(clients.Places())))
	return nil
}

// ApplyTable takes in a route table. Passing the same one again confirms that it is
// still right: a table that is not confirmed for a minute is no longer believed.
func (s *Server) ApplyTable(table *cdn.RouteTable) {
	if table == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := s.believed && s.table.Epoch == table.Epoch && s.table.Version == table.Version
	s.table, s.received = table, time.Now()
	if !same {
		s.joinLocked(s.received)
	}
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.dns.Run(ctx) })
	if s.http != nil {
		group.Go(func() error { return s.http.Run(ctx) })
	}
	group.Go(func() error {
		s.watchTableAge(ctx)
		return nil
	})
	return group.Wait()
}

// Ready returns nil once there is a configuration to answer from. A route table
// is not needed.
func (s *Server) Ready() error {
	if s.current.Load() == nil {
		return errors.New("no configuration yet")
	}
	return nil
}

// watchTableAge stops believing a table that is no longer confirmed.
func (s *Server) watchTableAge(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.dropStaleTable(now)
		}
	}
}

func (s *Server) dropStaleTable(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.believed && !view.Fresh(s.table, s.received, now) {
		s.log.Warn("the route table is too old; taking every node for healthy", "received", s.received)
		s.joinLocked(now)
	}
}

// joinLocked publishes the view of plan and table. Callers hold mu.
func (s *Server) joinLocked(now time.Time) {
	if s.plan == nil {
		return
	}
	s.believed = view.Fresh(s.table, s.received, now)
	table := s.table
	if !s.believed {
		table = nil
	}
	next := view.Join(s.plan, table)
	if before := s.current.Swap(next); next.HealthIgnored && (before == nil || !before.HealthIgnored) {
		s.log.Warn("more than half of the edge nodes look unusable; sending visitors to all of them")
	}
	s.metrics.show(next)
}

// tableAge returns the seconds since the table was received or confirmed, or -1 if
// there never was one.
func (s *Server) tableAge() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil {
		return -1
	}
	return time.Since(s.received).Seconds()
}
