package edge

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/load"
	"nearcast/edge/rules"
	"nearcast/edge/shed"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/edge/store/shadow"
	"nearcast/edge/store/tier"
	"nearcast/edge/visitors"
	"nearcast/internal/geo"
	"nearcast/internal/lograte"
	"nearcast/internal/web/front"
	"nearcast/internal/web/tlscert"
)

// The node's limits. They bound what any one visitor or upstream can hold.
const (
	defaultRAM     = 512 << 20
	fillWindow     = 4 << 20     // octets between a source and its slowest reader, if not kept
	fillPatience   = time.Second // how long a fill without a head goes on when nobody waits for it
	defaultFills   = 4096
	headTimeout    = 30 * time.Second // longest wait for somebody else's fill to learn its head
	bodyStall      = 60 * time.Second // longest pause in a body, from upstream or to a visitor
	hitForMiss     = 2 * time.Minute  // how long a key is remembered as not for sharing
	hitForMissKeys = 16384
	drainTimeout   = 10 * time.Second
	maxHeaderBytes = 64 << 10
	standaloneName = "nearcast"
	catchUpTimeout = time.Second // how long a regional node waits to learn of a purge that its asker knows
	commitTimeout  = time.Second // longest wait of an unsafe request for what it has invalidated to be safe on disk
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
	// Addr is the public address to listen on in cleartext, host:port. Run needs it or TLSAddr.
	Addr string
	// TLSAddr is the public address to listen on with TLS, host:port. Empty means none.
	TLSAddr string
	// Certificates are the files of the certificates for TLS. Required with TLSAddr. They are read again when
	// they change.
	Certificates []tlscert.Pair
	// Limits bound what visitors can hold. Zero fields mean defaults.
	Limits Limits
	// RAM is the budget for stored objects and fills on their way, which have an eighth of it; see [MemoryTarget] for what
	// the process takes in all. Zero means 512 MiB. The largest object stored is an eighth of it.
	RAM cdn.Size
	// Dir is the directory for what must survive a restart: the purges that have been applied. It is made if it is not there.
	// Empty keeps them on the first disk, or in memory if there is none. The socket of package cacheadmin is there too.
	Dir string
	// Disks are what objects may fill besides the RAM. A disk without a path is a directory in Dir.
	Disks []cdn.Disk
	// VerifyRate is how much of what is on disk is read and compared with its checksums in the background, in octets in a second. Zero means
	// nothing.
	VerifyRate cdn.Size
	// Origin reaches origins. Required.
	Origin Origin
	// Usable reports whether another node looks healthy. Nil means that all do.
	Usable func(cdn.NodeName) bool
	// Secret is the fleet's: it proves that a request comes from another node.
	// Required with Node, meaningless without.
	Secret string
	// RedirectKey verifies the signatures of redirects to the node's own names, and makes them. Without it no such request of a site with
	// signed redirects is valid.
	RedirectKey []byte
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
	// Relief returns who helps the node when it is overloaded, or nil while nobody is known. It is called for each large content that an overloaded
	// node is asked for, and must not wait. Nil: nobody helps, and no visitor is sent elsewhere.
	Relief func() *shed.Relief
	// ShedAlone lets a node without a fleet give up work when it is overloaded, as far as it can alone: see package shed. Nodes of a
	// fleet always do.
	ShedAlone bool

	sweepDelay time.Duration       // of tests; zero means the usual
	measure    func() cdn.NodeLoad // of tests, in place of what is measured
	chance     func() float64      // of tests; nil means by chance
}

// Server is one cache node.
type Server struct {
	cfg        Config
	name       string // in Via and Cache-Status
	loopID     string // in CDN-Loop
	log        *slog.Logger
	now        func() time.Time
	store      store.Store // of tiers what is not purged
	tiers      *tier.Store
	shadows    *shadow.Caches // of tiers
	fills      *fill.Group[*head]
	unshared   *fill.Memory
	maxBody    int64 // largest object stored
	metrics    *metrics
	records    *recorder
	parents    *http.Transport
	purges     *purge.Log
	budget     int64  // RAM
	stateDir   string // "": none
	sweeper    sweeper
	scrubber   scrubber
	begun      revision // the newest purge that is being applied
	applied    revision
	lastID     atomic.Uint64   // of a content
	lastTables atomic.Uint64   // number of the newest tables
	hitStatus  string          // Cache-Status of a hit up to the number of seconds
	refusals   lograte.Limiter // of fills
	forgets    atomic.Uint64   // how often something stored was forgotten
	closing    context.Context //nolint:containedctx // ends with Run: tunnels outlive their requests
	close      context.CancelFunc

	meter    *load.Meter
	load     atomic.Pointer[cdn.NodeLoad] // as measured last
	ladder   shed.Ladder
	visitors *visitors.Table // nil without a fleet
	places   atomic.Pointer[places]
	placing  waker // is woken up for it

	certificates *tlscert.Keeper // nil without TLS
	gate         *tlscert.Gate   // likewise
	front        *front.Server

	applying sync.Mutex       // guards what follows, and orders those that replace tables
	world    *rules.Countries // of the database of addresses; nil without
	database *geo.Database    // that itself, if there may be somebody who helps; guarded by applying too

	tables  atomic.Pointer[tables] // nil until a configuration is applied
	addr    atomic.Pointer[net.TCPAddr]
	tlsAddr atomic.Pointer[net.TCPAddr]
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
	if err := cfg.checkDisks(); err != nil {
		return nil, err
	}
	fills := cmp.Or(cfg.Limits.Fills, defaultFills)
	perClient := cmp.Or(cfg.Limits.FillsPerClient, (fills+3)/4)
	s := &Server{
		cfg: cfg, name: string(cfg.Node), loopID: string(cfg.Node), log: cfg.Log, now: cfg.Now,
		budget: budget, maxBody: cfg.largestBody(budget),
		fills: fill.NewGroup[*head](fill.Limits{
			Keep: cfg.largestBody(budget), Budget: max(budget/fillShare, cfg.largestBody(budget), 1<<20), Window: fillWindow,
			Fills: fills, PerClient: perClient, Patience: fillPatience,
		}),
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
	s.lastID.Store(mathrand.Uint64()) // what is on disk has IDs of earlier processes
	if err := s.openStorage(budget); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if cfg.Node != "" {
		s.purges.Hold()
	}
	s.begun.raise(s.purges.Applied())
	s.applied.raise(s.purges.Applied())
	s.sweeper.wake = make(chan struct{}, 1)
	s.hitStatus = cacheStatus{hit: true}.format(s.name) + "; ttl="
	s.records = newRecorder(cfg.AccessLog, s.name)
	s.openMeter(fills)
	if err := s.openFront(); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
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
	case s.addr.Load() == nil && (s.cfg.Addr != "" || s.cfg.TLSAddr == ""), s.tlsAddr.Load() == nil && s.cfg.TLSAddr != "":
		return errors.New("not listening")
	}
	return nil
}

// Addr returns the address that the node listens on in cleartext, or nil if it does not, or not yet.
func (s *Server) Addr() net.Addr { return addrOf(&s.addr) }

// TLSAddr returns the address that the node listens on with TLS, or nil if it does not, or not yet.
func (s *Server) TLSAddr() net.Addr { return addrOf(&s.tlsAddr) }

func addrOf(p *atomic.Pointer[net.TCPAddr]) net.Addr {
	if a := p.Load(); a != nil {
		return a
	}
	return nil
}

// Run listens and serves until ctx ends, then lets running requests finish for up
// to ten seconds and returns nil. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	defer s.purges.Close() //nolint:errcheck // nothing waits to be written
	defer s.shadows.Close()
	defer s.store.Close()
	defer s.parents.CloseIdleConnections()
	defer s.fills.Close()
	stopRecords, err := s.records.start(s.log)
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	defer stopRecords()
	defer s.startTasks(ctx)()
	if err := s.listen(ctx); err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}
