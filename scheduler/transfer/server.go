package transfer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/rr"
)

// Config is what a server needs.
type Config struct {
	// Keys are the TSIG keys that secondaries may name, until [Server.SetKeys] has others.
	Keys Keys
	// Transfers is how many are under way at once; who comes then is told to come again (SERVFAIL). Zero means 8.
	Transfers int
	// Longest is how long one transfer may take; zero means an hour.
	Longest time.Duration
	// Now tells the time; nil means [time.Now].
	Now func() time.Time
	// Dial connects to a secondary, to tell it of a change; nil means a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log gets what goes wrong; nil means nobody does.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry prometheus.Registerer
}

// Server gives zones to secondaries. Its methods may be called by many at once; [Server.Run] only once.
type Server struct {
	cfg     Config
	metrics *metrics
	keys    atomic.Pointer[Keys]
	slots   chan struct{} // one for each transfer under way
	dialled chan struct{} // one for each secondary that is being told
	wake    chan struct{} // there is something for Run

	mu      sync.Mutex          // guards the following
	current map[string]*version // by name of the zone
	pending Source              // what Run makes current; nil: nothing
	untold  []*version          // whose secondaries are to be told
}

// version is a zone as it is now, and how it came to be. It is immutable.
type version struct {
	zone   Zone
	source Source
	steps  []*step // from older versions, one after the other; the last leads to this
	octets int     // about how long a whole transfer is; zero if that is not known
}

// step is the difference between two versions.
type step struct {
	from, to      rr.Set // the SOAs
	removed, came []record
	octets        int
}

type record struct {
	owner []byte
	set   rr.Set
}

// New returns a server without zones.
func New(cfg Config) *Server {
	if cfg.Transfers == 0 {
		cfg.Transfers = 8
	}
	if cfg.Longest == 0 {
		cfg.Longest = time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, metrics: newMetrics(cfg.Registry),
		slots: make(chan struct{}, cfg.Transfers), dialled: make(chan struct{}, 32), wake: make(chan struct{}, 1),
	}
	s.SetKeys(cfg.Keys)
	return s
}

// SetKeys makes keys those that secondaries may name from now on. What is under way ends with those that it began with. They must not be
// changed afterwards.
func (s *Server) SetKeys(keys Keys) { s.keys.Store(&keys) }

// Publish makes a source the one that is transferred. The first one is at once; of later ones [Server.Run] first finds
// out what has changed, which takes some seconds for a million names, and until then the one before is transferred. Of
// several that come meanwhile the last counts.
func (s *Server) Publish(src Source) {
	s.mu.Lock()
	if s.current == nil {
		s.install(src)
	} else {
		s.pending = src
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run makes what is published current and tells secondaries of changes, until the context ends.
func (s *Server) Run(ctx context.Context) error {
	n := newNotifier(s)
	defer n.stop()
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil
			}
			return ctx.Err()
		case <-s.wake:
		}
		for _, v := range s.next() {
			n.tell(ctx, v)
		}
	}
}

// next makes the pending source current, and returns the zones whose secondaries are to be told.
func (s *Server) next() []*version {
	s.mu.Lock()
	src := s.pending
	s.pending = nil
	before := s.current
	s.mu.Unlock()
	var zones map[string]*version
	if src != nil {
		zones = versions(src, before)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if zones != nil {
		s.replace(zones)
	}
	untold := s.untold
	s.untold = nil
	return untold
}

// install makes the first source current. The caller holds mu.
func (s *Server) install(src Source) { s.replace(versions(src, nil)) }

// replace makes versions current. The caller holds mu.
func (s *Server) replace(zones map[string]*version) {
	for name, v := range zones {
		if b := s.current[name]; b == nil || b.zone.Serial() != v.zone.Serial() {
			s.untold = append(s.untold, v)
		}
	}
	s.current = zones
}

// version returns a zone as it is, or nil.
func (s *Server) version(name []byte) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[string(name)]
}

type metrics struct {
	transfers *prometheus.CounterVec
	refused   *prometheus.CounterVec
	notified  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		transfers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_transfers_total",
			Help: "Zones given to secondaries, by how: whole, differences, unchanged, or failed under way.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_transfers_refused_total",
			Help: "Transfers refused, by reason: access, signature, or busy.",
		}, []string{"reason"}),
		notified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_notified_total",
			Help: "Secondaries told of a change, by result: told, refused, or silent after all attempts.",
		}, []string{"result"}),
	}
	r.MustRegister(m.transfers, m.refused, m.notified)
	return m
}
