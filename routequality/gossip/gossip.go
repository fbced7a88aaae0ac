package gossip

import (
	"context"
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

// leaveTimeout bounds how long a leaving member says goodbye: it says so about thirty times then.
const leaveTimeout = 500 * time.Millisecond

// Config says who a member is and where the others are.
type Config struct {
	// Kind is what the pool is for. Required.
	Kind Kind
	// Node is this member's name, unique in the fleet. Required.
	Node cdn.NodeName
	// Role is this member's main job, told to the others. Required.
	Role cdn.Role
	// POP is where this member is, told to the others; empty if in none. The members of a [LAN] pool are those that name the same one.
	POP cdn.POPName
	// Version is the program's version, told to the others; cut to 32 octets, or fewer beside a long POP.
	Version string
	// Bind is where to listen, UDP and TCP, and what the others are told. Port zero takes a free one, see [Pool.Addr]. Required without a Transport.
	Bind netip.AddrPort
	// Join are members to join through. Empty means that others join this one.
	Join []netip.AddrPort
	// Secrets are the fleet's secrets, from which the traffic keys are made: the first for sending, all for reading. At least one, at most eight, none
	// empty. See [Pool.SetSecrets].
	Secrets []string
	// Cluster keeps pools apart that share a secret; empty is a name like any other.
	Cluster string
	// OnMessage is called with each directed message, one at a time, from a goroutine of [Pool.Run]; msg is the callee's. While it is busy 1,024
	// messages or 8 MiB of them wait, then the oldest is dropped and counted. Nil ignores messages.
	OnMessage func(from cdn.NodeName, msg []byte)
	// Transport carries the traffic in tests and simulations; nil listens on Bind.
	Transport memberlist.NodeAwareTransport
	// Log gets conflicts, joining and the protocol's own complaints. Required.
	Log *slog.Logger
	// Registry gets the pool's metrics, which have the label pool. One pool of each kind at a time can share a registry, and another one after it. Required.
	Registry *prometheus.Registry
}

// Pool is this node's membership. Its methods may be called from any goroutine.
type Pool struct {
	log         *slog.Logger
	self        cdn.NodeName
	seeds       []string
	settings    settings
	list        *memberlist.Memberlist
	addr        netip.AddrPort // where list listens
	keys        keys
	view        view
	coordinates coordinates
	sequences   sequences
	inbox       inbox
	onMessage   func(from cdn.NodeName, msg []byte)
	metrics     *metrics
	local       atomic.Pointer[meta] // what this member says about itself
	changed     chan struct{}        // capacity 1: the local state is to be announced
	mu          sync.Mutex           // guards the read-change-write of local
}

// New listens and becomes a pool of one; it needs no other member. [Pool.Run]
// must be called afterwards, if only with a context that has ended: it is what
// closes the sockets.
func New(cfg Config) (*Pool, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	s, err := settingsOf(cfg.Kind)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	p := &Pool{
		log:       cfg.Log.With("pool", string(cfg.Kind)),
		self:      cfg.Node,
		settings:  s,
		sequences: sequences{sent: make(map[cdn.NodeName]*[ways]uint64), received: make(map[cdn.NodeName]*[ways]window)},
		inbox:     inbox{filled: make(chan struct{}, 1)},
		onMessage: cfg.OnMessage,
		changed:   make(chan struct{}, 1),
	}
	if err := errors.Join(p.keys.init(cfg.Secrets), p.coordinates.init()); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if p.metrics, err = newMetrics(cfg.Registry, cfg.Kind); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	p.view.init(p.metrics)
	p.local.Store(&meta{role: cfg.Role, state: cdn.StateStarting, started: time.Now(), version: cfg.Version, pop: cfg.POP})
	for _, seed := range cfg.Join {
		if seed != cfg.Bind {
			p.seeds = append(p.seeds, seed.String())
		}
	}
	if err := p.open(&cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// open listens and makes the pool of one.
func (p *Pool) open(cfg *Config) error {
	conf := listConfig(cfg, p.settings, p)
	err := listen(cfg, conf)
	if err != nil {
		return fmt.Errorf("gossip: listening on %s: %w", cfg.Bind, err)
	}
	transport := conf.Transport.(wire) //nolint:errcheck // listen has put it there
	if p.list, err = memberlist.Create(conf); err != nil {
		return errors.Join(fmt.Errorf("gossip: on %s: %w", cfg.Bind, err), transport.Shutdown())
	}
	if err := (anchor{}).drop(p.list); err != nil {
		return errors.Join(fmt.Errorf("gossip: %w", err), p.shutdown())
	}
	n := p.list.LocalNode() // read only here: later the protocol may be writing to it
	ip, _ := netip.AddrFromSlice(n.Addr)
	p.addr = netip.AddrPortFrom(ip.Unmap(), n.Port)
	if err := p.outbid(transport, conf.Label); err != nil {
		return errors.Join(fmt.Errorf("gossip: sending to this node's own address %s: %w", p.addr, err), p.shutdown())
	}
	return nil
}

// Run joins the pool and keeps this member in it until ctx ends. Then it takes
// leave, for at most half a second, and closes the sockets. Probes under way end within
// the second after that. No message is delivered once Run has returned.
func (p *Pool) Run(ctx context.Context) error {
	p.maintain(ctx)
	if err := p.list.Leave(leaveTimeout); err != nil {
		p.log.DebugContext(ctx, "leaving the gossip pool", "error", err)
	}
	return p.shutdown()
}

// maintain does what a living member has to do, until ctx ends.
func (p *Pool) maintain(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.keepJoined(ctx) })
	wg.Go(func() { p.settle(ctx) })
	wg.Go(func() { p.announce(ctx) })
	wg.Go(func() { p.deliver(ctx) })
	wg.Wait()
}

func (p *Pool) shutdown() error {
	defer p.metrics.members.Reset()
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
