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
	"nearcast/internal/web/tlscert"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/querylog"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/steer"
	"nearcast/scheduler/transfer"
	"nearcast/scheduler/view"
)

// Config says where a scheduler listens.
type Config struct {
	// Node is this scheduler's name in the fleet, for its log, and for who asks (NSID). Required.
	Node cdn.NodeName
	// DNSAddr is where to answer DNS, host:port, UDP and TCP. Required.
	DNSAddr string
	// HTTPAddr is where to redirect HTTP requests, and to answer HTTPDNS and DNS over HTTPS of proxies that end TLS, host:port. Empty means not to.
	HTTPAddr string
	// TLSAddrs are where to do that over TLS, and to answer DNS over TLS, host:port.
	TLSAddrs []string
	// Certificates are for TLSAddrs, which need one.
	Certificates []tlscert.Pair
	// ZoneSecrets returns what opens the keys that sign zones. Nil is the same as one that returns nothing.
	ZoneSecrets func() [][]byte
	// CookieSecrets are what DNS cookies are made of, the one in use first. Without one cookies are this process's own.
	CookieSecrets [][]byte
	// RedirectKey signs targets of redirects; without it sites that want them signed are relayed.
	RedirectKey []byte
	// RelaySecret is the part of the fleet's secret that cache nodes prove themselves with; empty makes them take this scheduler for the visitor.
	RelaySecret string
	// HTTPDNSKeys are the keys of HTTPDNS's clients by their IDs, until [Server.SetHTTPDNSKeys] has others. Without any everybody may ask.
	HTTPDNSKeys map[string][]byte
	// TSIGKeys are the keys of secondaries, until [Server.SetTSIGKeys] has others.
	TSIGKeys transfer.Keys
	// QueryLog gets some of the questions; nil gets none.
	QueryLog *querylog.Log
	// Log gets the scheduler's own errors and changes of its view. Required.
	Log *slog.Logger
	// Registry gets the scheduler's metrics. Required.
	Registry *prometheus.Registry
}

// Server answers "which node for this visitor".
type Server struct {
	fronts

	node        cdn.NodeName
	log         *slog.Logger
	current     atomic.Pointer[view.View]
	state       atomic.Pointer[respond.State]    // that of current, for DNS
	maps        atomic.Pointer[[]cdn.MapVersion] // that is of recent, for others
	metrics     *metrics
	zoneSecrets func() [][]byte

	compiling sync.Mutex    // guards what plans are made of, and orders those that make one
	snapshot  *cdn.Snapshot // nil before the first Apply
	kept      *keeper       // of its sites
	database  *geo.Database // nil if there is none
	clients   *locate.Index // of snapshot and database
	keys      *dnssec.Keys  // of snapshot; nil if zones are not signed
	limit     cdn.RateLimit // of the answers' limiter

	steering sync.Mutex // guards the following, and orders writers of current; answers never wait for it
	mapper   *steer.Mapper
	recent   recent
	answers  respond.State // what state is made of, beside the view
}

// New listens, so that an address that is taken shows at once. [Server.Run] must be
// called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	s := &Server{node: cfg.Node, log: cfg.Log.With("node", cfg.Node), mapper: steer.New(), zoneSecrets: cfg.ZoneSecrets, kept: new(keeper)}
	s.metrics = newMetrics(cfg.Registry, s.tableAge, s.signatures)
	if err := s.openFronts(&cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// DNSAddr returns where the scheduler answers DNS.
func (s *Server) DNSAddr() netip.AddrPort { return s.dns.Addr() }

// HTTPAddr returns where the scheduler speaks HTTP in cleartext, or nil if it does not.
func (s *Server) HTTPAddr() net.Addr {
	if s.http == nil {
		return nil
	}
	return s.http.Addr()
}

// TLSAddrs returns where the scheduler speaks TLS.
func (s *Server) TLSAddrs() []net.Addr {
	if s.http == nil {
		return nil
	}
	return s.http.TLSAddrs()
}

// Apply makes a configuration the one that is answered from. One without a POP that visitors can be sent to is refused if the one
// before had some. After an error the previous one stays.
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
	snapshot, kept := s.kept.keep(snapshot)
	plan, err := view.CompileWith(snapshot, clients, s.plan())
	if err != nil {
		return &cdn.Error{Op: "scheduler.Apply", Kind: cdn.Invalid, Err: err}
	}
	if before := s.current.Load(); len(plan.POPs) == 0 && before != nil && len(before.POPs) > 0 {
		return cdn.Errorf(cdn.Invalid, "scheduler.Apply", "configuration %d has no POP of tier edge with a node that has a cache: visitors would have nowhere to go, so that %d stays in force", plan.Generation, before.Generation)
	}
	answers, err := s.answersOf(snapshot)
	if err != nil {
		return &cdn.Error{Op: "scheduler.Apply", Kind: cdn.KindOf(err), Err: err}
	}
	s.snapshot, s.kept, s.database, s.clients = snapshot, kept, database, clients
	s.transfers.Publish(copies{plan, answers.Settings})
	s.aliases.Follow(plan.Zones.AliasTargets())
	s.steering.Lock()
	defer s.steering.Unlock()
	now := time.Now()
	s.answers = answers
	s.mapper.Configure(plan, now)
	s.publish(now)
	s.metrics.generation.Set(float64(plan.Generation))
	s.metrics.places.Set(float64(len(clients.Places())))
	return nil
}

// plan is what is answered from, or nil.
func (s *Server) plan() *view.Plan {
	if v := s.current.Load(); v != nil {
		return v.Plan
	}
	return nil
}

// ApplyTable takes in a route table, in the order in which they were published: one of another slot is a step of the map. Passing the same one again
// confirms that it is still right: from a minute without that on its loads are no longer believed, and what was measured grows old. A
// table that cannot be right is refused, and [Server.Status] says why. It takes some hundred milliseconds for a large one;
// answers do not wait.
func (s *Server) ApplyTable(table *cdn.RouteTable) {
	if table == nil {
		return
	}
	s.steering.Lock()
	defer s.steering.Unlock()
	if !s.recent.noteTable(table) {
		return
	}
	now := time.Now()
	s.mapper.Table(now, table)
	s.publish(now)
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.dns.Run(ctx) })
	if s.http != nil {
		group.Go(func() error { return s.http.Run(ctx) })
	}
	for _, part := range []func(context.Context) error{s.transfers.Run, s.aliases.Run} {
		group.Go(func() error { return part(ctx) })
	}
	group.Go(func() error {
		s.watchTableAge(ctx)
		return nil
	})
	err := group.Wait()
	if s.relay != nil {
		s.relay.Close()
	}
	return err
}

// Ready returns nil once there is a configuration to answer from. A route table
// is not needed.
func (s *Server) Ready() error {
	if s.current.Load() == nil {
		return errors.New("no configuration yet")
	}
	return nil
}

// watchTableAge lets tables grow old that are no longer confirmed, and policies come into force.
func (s *Server) watchTableAge(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.tick(now)
		}
	}
}

func (s *Server) tick(now time.Time) {
	s.steering.Lock()
	defer s.steering.Unlock()
	if s.mapper.Tick(now) || s.mapper.Differs(now, s.current.Load()) {
		s.publish(now)
	}
}

// publish makes the view of the moment the one that is answered from. Callers hold steering.
func (s *Server) publish(now time.Time) {
	before := s.current.Load()
	next := s.mapper.View(now, before)
	if next == nil {
		return
	}
	answers := s.answers
	answers.View = next
	s.state.Store(&answers)
	s.current.Store(next)
	s.recent.noteMap(s.Version())
	maps := slices.Clone(s.recent.maps)
	s.maps.Store(&maps)
	s.tell(before, next)
	s.metrics.show(next)
}

// tell logs what somebody should know who was not told before.
func (s *Server) tell(before, next *view.View) {
	var had []string
	if before == nil {
		before = new(view.View)
	} else {
		had = decide.Alarms(before)
	}
	if next.HealthIgnored && !before.HealthIgnored {
		s.log.Warn("more than half of the edge nodes look unusable; sending visitors to all of them")
	}
	if before.Loads && !next.Loads {
		s.log.Warn("the route table is too old; its loads are no longer believed", "received", next.Received)
	}
	if before.States && !next.States {
		s.log.Warn("the route table is too old; taking every node for healthy", "received", next.Received)
	}
	for _, alarm := range decide.Alarms(next) {
		if !slices.Contains(had, alarm) {
			s.log.Warn("alarm of the map", "alarm", alarm)
		}
	}
}

// tableAge returns the seconds since the table was received or confirmed, or -1 if
// there never was one.
func (s *Server) tableAge() float64 {
	v := s.current.Load()
	if v == nil || v.Received.IsZero() {
		return -1
	}
	return time.Since(v.Received).Seconds()
}
