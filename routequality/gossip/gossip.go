package gossip

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// leaveTimeout bounds how long a leaving member tries to say goodbye.
const leaveTimeout = time.Second

// Config says who a member is and where the others are.
type Config struct {
	// Node is this member's name, unique in the fleet. Required.
	Node cdn.NodeName
	// Role is this member's main job, told to the others. Required.
	Role cdn.Role
	// Version is the program's version, told to the others; cut to 32 octets.
	Version string
	// Bind is where to listen, UDP and TCP, and what the others are told. Port zero
	// takes a free one, see [Pool.Addr]. Required.
	Bind netip.AddrPort
	// Join are members to join through. Empty means that others join this one.
	Join []netip.AddrPort
	// Secret is the fleet's secret, from which the traffic key is made. Required.
	Secret string
	// Cluster keeps pools apart that share a secret; empty is a name like any other.
	Cluster string
	// Log gets conflicts, joining and the protocol's own complaints. Required.
	Log *slog.Logger
	// Registry gets the pool's metrics. Required.
	Registry *prometheus.Registry
}

// Pool is this node's membership. Its methods may be called from any goroutine.
type Pool struct {
	log     *slog.Logger
	self    cdn.NodeName
	seeds   []string
	list    *memberlist.Memberlist
	addr    netip.AddrPort // where list listens
	view    view
	metrics *metrics
	local   atomic.Pointer[meta] // what this member says about itself
	changed chan struct{}        // capacity 1: the local state is to be announced
	mu      sync.Mutex           // guards the read-change-write of local
}

// New listens and becomes a pool of one; it needs no other member. [Pool.Run]
// must be called afterwards, if only with a context that has ended: it is what
// closes the sockets.
func New(cfg Config) (*Pool, error) {
	if _, err := cdn.ParseNodeName(string(cfg.Node)); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if cfg.Secret == "" {
		return nil, errors.New("gossip: no fleet secret: an open pool would believe anybody")
	}
	if !cfg.Bind.IsValid() {
		return nil, errors.New("gossip: no address to listen on")
	}
	m := newMetrics(cfg.Registry)
	p := &Pool{
		log:     cfg.Log,
		self:    cfg.Node,
		metrics: m,
		changed: make(chan struct{}, 1),
	}
	p.view.init(m)
	p.local.Store(&meta{role: cfg.Role, state: cdn.StateStarting, started: time.Now(), version: cfg.Version})
	for _, seed := range cfg.Join {
		if seed != cfg.Bind {
			p.seeds = append(p.seeds, seed.String())
		}
	}
	conf, err := listConfig(cfg, p)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if p.list, err = memberlist.Create(conf); err != nil {
		return nil, fmt.Errorf("gossip: listening on %s: %w", cfg.Bind, err)
	}
	n := p.list.LocalNode() // read only here: later the protocol may be writing to it
	ip, _ := netip.AddrFromSlice(n.Addr)
	p.addr = netip.AddrPortFrom(ip.Unmap(), n.Port)
	return p, nil
}

// listConfig returns the protocol's settings. The arithmetic: a dead member is
// suspected at the end of the first probe that reaches for it (with 8 survivors
// 99 times in 100 within 1.25 s, then 0.25 s of waiting) and dead 0.75 s after
// that if a second member agrees. A member that is merely slow has those 0.75 s
// to contradict, is also asked over TCP and through two others, and a prober that
// finds itself slow takes more time.
func listConfig(cfg Config, p *Pool) (*memberlist.Config, error) {
	key, err := hkdf.Key(sha256.New, []byte(cfg.Secret), nil, "nearcast gossip AES-256-GCM key 1", 32)
	if err != nil {
		return nil, fmt.Errorf("making the traffic key: %w", err)
	}
	c := memberlist.DefaultLANConfig()
	c.Name = string(cfg.Node)
	c.Label = "nearcast/" + cfg.Cluster
	c.SecretKey = key
	c.BindAddr, c.BindPort = cfg.Bind.Addr().String(), int(cfg.Bind.Port())
	c.AdvertisePort = c.BindPort
	if !cfg.Bind.Addr().IsUnspecified() {
		c.AdvertiseAddr = c.BindAddr
	}
	c.ProbeInterval, c.ProbeTimeout = 250*time.Millisecond, 100*time.Millisecond
	c.IndirectChecks = 2
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 4
	c.AwarenessMaxMultiplier = 4
	c.GossipInterval, c.GossipNodes = 50*time.Millisecond, 3
	// In a pool of up to nine everybody repeats a piece of news this many times. It
	// misses a given member with a probability of about e^-n: with the usual 3,
	// one announcement in twenty was missed by somebody until the next full exchange.
	c.RetransmitMult = 8
	c.PushPullInterval = 10 * time.Second
	c.TCPTimeout = 2 * time.Second
	c.DeadNodeReclaimTime = 30 * time.Second
	c.EnableCompression = false // the messages are a few dozen octets
	c.Delegate, c.Events, c.Conflict, c.Alive = delegate{p}, events{p}, conflicts{p}, alive{p}
	c.Logger = newLogger(cfg.Log, p.metrics.logDropped)
	return c, nil
}

// Run joins the pool and keeps this member in it until ctx ends. Then it takes
// leave, for at most a second, and closes the sockets. Probes under way end within
// the second after that.
func (p *Pool) Run(ctx context.Context) error {
	p.maintain(ctx)
	if err := p.list.Leave(leaveTimeout); err != nil {
		p.log.WarnContext(ctx, "leaving the gossip pool", "error", err)
	}
	return p.shutdown()
}

// maintain does what a living member has to do, until ctx ends.
func (p *Pool) maintain(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.keepJoined(ctx) })
	wg.Go(func() { p.announce(ctx) })
	wg.Wait()
}

func (p *Pool) shutdown() error {
	if err := p.list.Shutdown(); err != nil {
		return fmt.Errorf("closing the gossip pool: %w", err)
	}
	return nil
}

// Addr returns where the pool listens.
func (p *Pool) Addr() netip.AddrPort { return p.addr }

// SetState tells the others the state of this node. It does not wait.
func (p *Pool) SetState(s cdn.NodeState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := *p.local.Load()
	if next.state == s {
		return
	}
	next.state = s
	p.local.Store(&next)
	p.view.setState(p.self, s)
	select {
	case p.changed <- struct{}{}:
	default: // an announcement is already due and will carry this state
	}
}

// State returns the last known state of a node: [cdn.StateDown] once it has died
// or left, [cdn.StateUnknown] if it was never heard of. It takes no lock.
func (p *Pool) State(node cdn.NodeName) cdn.NodeState { return p.view.state(node) }

// Members returns everybody who was ever heard of, sorted by name.
func (p *Pool) Members() []Member { return p.view.members() }

// Changed returns a channel that is closed at the next change of any member. Take
// it before reading, so that no change falls between the two.
func (p *Pool) Changed() <-chan struct{} { return p.view.changed() }

// announce spreads this member's new states.
func (p *Pool) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
			if err := p.list.UpdateNode(time.Second); err != nil {
				p.log.DebugContext(ctx, "announcing this node's state is slow", "error", err)
			}
		}
	}
}
