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
	// start as a new version. Nil keeps the newest version's, and so does one that leaves too little of it or does not fit the
	// sites: that is an error in the log, the metrics and the status, and too little can be accepted by the API.
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
	refused  atomic.Pointer[refusal] // the fleet file, if it is not in force; nil if it is, or there is none
	wake     chan struct{}           // has an element when there is another version for the keeper of keys
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
			Now: cfg.Now, Fleet: fleetFile{s}, Changed: s.changed, ZoneSecrets: cfg.ZoneSecrets, Log: cfg.Log, Registry: cfg.Registry,
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
			Name: "nearcast_control_fleet_refused", Help: "1 if the fleet file is not in force that the control plane was started with.",
		}, func() float64 {
			if s.refused.Load() != nil {
				return 1
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
