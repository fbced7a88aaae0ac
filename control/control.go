package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/control/api"
	"nearcast/control/compile"
	"nearcast/control/drain"
	"nearcast/control/feed"
	"nearcast/control/schedulers"
	"nearcast/control/store"
)

// shutdownTimeout bounds the wait for requests that are being answered at the end.
const shutdownTimeout = 6 * time.Second

// Config says where a control plane keeps its state and where it listens.
type Config struct {
	// Dir holds everything that must survive. Required.
	Dir string
	// APIAddr is where the HTTP API listens, host:port; port 0 chooses one. Required.
	APIAddr string
	// NATSAddr is where nodes connect, host:port; port 0 chooses one. Required.
	NATSAddr string
	// APIToken is the bearer token of the API. Required.
	APIToken string
	// NodeSecret is the password of the nodes. Required.
	NodeSecret string
	// Fleet, if it differs from that of the newest version, is put into force at
	// start as a new version. Nil keeps the newest version's.
	Fleet *cdn.Fleet
	// Health returns the route-quality system's view of the nodes. Nil, or a nil
	// table, means that nothing is known.
	Health func() *cdn.RouteTable
	// Schedulers are the base URLs of the schedulers' APIs, which operators' questions are handed on to, with SchedulerToken as bearer
	// token. Without any, these questions are answered with an error.
	Schedulers     []string
	SchedulerToken string
	// ZoneSecrets returns what keys of zones are sealed with, the one in use first; those after it open what was sealed before. It is asked again
	// and again, since secrets are replaced. Required for a fleet whose zones are signed.
	ZoneSecrets func() [][]byte
	// Now is the clock by which keys of zones and versions are dated; nil is that of the machine.
	Now func() time.Time
	// Log gets the audit trail and the changes of state. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry *prometheus.Registry
	// Version is the program's version.
	Version string
}

func (cfg *Config) check() error {
	for name, missing := range map[string]bool{
		"Dir": cfg.Dir == "", "APIAddr": cfg.APIAddr == "", "NATSAddr": cfg.NATSAddr == "", "APIToken": cfg.APIToken == "",
		"NodeSecret": cfg.NodeSecret == "", "Log": cfg.Log == nil, "Registry": cfg.Registry == nil,
	} {
		if missing {
			return cdn.Errorf(cdn.Invalid, "", "configuring the control plane: %s is not set", name)
		}
	}
	return nil
}

// Server is a control plane.
type Server struct {
	cfg      Config
	store    *store.Store
	feed     *feed.Feed
	asked    *schedulers.Client
	api      *http.Server
	listener net.Listener
	current  atomic.Pointer[cdn.Snapshot] // the newest version known here; nil if none
	running  atomic.Bool
	wake     chan struct{} // has an element when there is another version for the keeper of keys
}

// New opens the logs, puts cfg.Fleet into force and listens on both addresses.
// Nodes are served from then on, the API during [Server.Run], which must be called: it
// closes everything.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, wake: make(chan struct{}, 1)}
	if err := s.open(context.Background()); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) (err error) {
	cfg := s.cfg
	if s.asked, err = schedulers.New(cfg.Schedulers, cfg.SchedulerToken); err != nil {
		return err
	}
	// First what is likeliest to be taken, and cheapest to find out.
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.APIAddr); err != nil {
		return fmt.Errorf("listening for the API: %w", err)
	}
	if s.store, err = store.Open(ctx, store.Config{
		Dir: filepath.Join(cfg.Dir, "store"), Addr: cfg.NATSAddr, NodeSecret: cfg.NodeSecret, Log: cfg.Log,
	}); err != nil {
		return err
	}
	if err := s.putFleet(ctx); err != nil {
		return err
	}
	if err := s.keepKeys(ctx); err != nil { // everything else must go on
		cfg.Log.ErrorContext(ctx, "keys of zones stay as they are", "error", err)
	}
	s.feed = feed.New(feed.Config{
		Conn: s.store.Conn(), Head: s.store.Head, Fleet: s.fleet,
		Now: cfg.Now, Log: cfg.Log, Registry: cfg.Registry,
	})
	s.api = &http.Server{
		Handler: api.New(api.Config{
			Token: cfg.APIToken, Store: s.store, Feed: s.feed, Health: cfg.Health, Schedulers: s.asked, Version: cfg.Version,
			Now: cfg.Now, Changed: s.changed, ZoneSecrets: cfg.ZoneSecrets, Log: cfg.Log, Registry: cfg.Registry,
		}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	s.registerMetrics()
	return nil
}

// putFleet appends cfg.Fleet as a new version if it is not in force already.
func (s *Server) putFleet(ctx context.Context) error {
	old, err := s.store.Latest(ctx)
	if cdn.KindOf(err) == cdn.NotFound {
		old, err = &cdn.Snapshot{}, nil
	}
	if err != nil {
		return err
	}
	if old.Generation > 0 {
		s.setCurrent(old)
	}
	if s.cfg.Fleet == nil {
		return nil
	}
	next := &cdn.Snapshot{At: s.cfg.Now().UTC(), By: "the fleet file at start", Fleet: *s.cfg.Fleet, Sites: old.Sites, ZoneKeys: old.ZoneKeys}
	next.Drains = s.keepDrains(ctx, old.Drains)
	if old.Generation > 0 && next.Digest() == old.Digest() {
		return nil
	}
	if len(next.ZoneKeys) > 0 && !next.Fleet.DNS.Signed {
		s.cfg.Log.WarnContext(ctx, "the fleet file has zones no longer signed: the parents must have no DS of them any more, or nobody who validates finds them")
	}
	if err := compile.Snapshot(next.Fleet, next.Sites); err != nil {
		return fmt.Errorf("the fleet does not fit the sites: %w", err)
	}
	if len(next.Fleet.Nodes) == 0 {
		return cdn.Errorf(cdn.Invalid, "", "the fleet has no node")
	}
	gen, err := s.store.Append(ctx, old.Generation, next)
	if err != nil {
		return fmt.Errorf("putting the fleet into force: %w", err)
	}
	next.Generation = gen
	s.setCurrent(next)
	s.cfg.Log.InfoContext(ctx, "audit", "what", "fleet", "by", next.By, "generation", gen,
		"nodes_before", len(old.Fleet.Nodes), "nodes", len(next.Fleet.Nodes))
	return nil
}

// keepDrains returns the drains of what cfg.Fleet still has.
func (s *Server) keepDrains(ctx context.Context, drains []cdn.Drain) []cdn.Drain {
	kept, gone := drain.Keep(s.cfg.Fleet, drains)
	for _, d := range gone {
		s.cfg.Log.WarnContext(ctx, "a drain ends: the fleet file has no such thing that visitors are sent to", "drain", d.Name(), "since", d.Since, "by", d.By)
	}
	if len(kept) > 0 && drain.Working(s.cfg.Fleet, kept, nil) == 0 {
		s.cfg.Log.ErrorContext(ctx, "every edge POP of the fleet file is drained; undo a drain")
	}
	return kept
}

// setCurrent keeps the newest version, whatever the order of callers.
func (s *Server) setCurrent(snap *cdn.Snapshot) {
	for {
		old := s.current.Load()
		if old != nil && old.Generation >= snap.Generation || s.current.CompareAndSwap(old, snap) {
			return
		}
	}
}

func (s *Server) fleet() *cdn.Fleet {
	if snap := s.current.Load(); snap != nil {
		return &snap.Fleet
	}
	return nil
}

func (s *Server) registerMetrics() {
	s.cfg.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_control_generation", Help: "Newest version of the configuration.",
		}, func() float64 {
			if snap := s.current.Load(); snap != nil {
				return float64(snap.Generation)
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_control_node_connections", Help: "Connections of nodes.",
		}, func() float64 { return float64(s.store.Clients()) }),
	)
}

// APIAddr is where the API listens, host:port.
func (s *Server) APIAddr() string { return s.listener.Addr().String() }

// APIURL is the API's address as clients want it.
func (s *Server) APIURL() string { return "http://" + s.APIAddr() }

// NATSURL is where nodes connect.
func (s *Server) NATSURL() string { return s.store.URL() }

// Ready returns nil while the API and the feed are being served.
func (s *Server) Ready() error {
	if !s.running.Load() {
		return errors.New("the API is not being served")
	}
	select {
	case <-s.feed.Ready():
		return s.store.Healthy()
	default:
		return errors.New("the feed is not being served")
	}
}

// Run serves until ctx ends, then answers what has been asked, for a few seconds
// at most, and closes everything. It must be called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.feed.Run(ctx) })
	g.Go(func() error {
		s.watchKeys(ctx)
		return nil
	})
	g.Go(func() error {
		if err := s.api.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the API: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		s.running.Store(false)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := s.api.Shutdown(grace); err != nil {
			return s.api.Close()
		}
		return nil
	})
	s.running.Store(true)
	s.cfg.Log.InfoContext(ctx, "control plane is serving", "api", s.APIURL(), "nats", s.NATSURL())
	return g.Wait()
}

func (s *Server) close() {
	if s.asked != nil {
		s.asked.Close()
	}
	if s.listener != nil {
		s.listener.Close() //nolint:errcheck // closed already after Run
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.cfg.Log.Warn("closing the store", "error", err)
		}
	}
}
