package agent

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/probe"
	"nearcast/routequality/report"
)

const (
	loadEvery     = time.Second
	visitorsEvery = 10 * time.Second
	// maxSenders bounds the sequences that are followed: of load and of visitors of each node that ever was in the POP.
	maxSenders = 1024
	// forgetSender is how long a sequence is followed after its last report.
	forgetSender = 10 * time.Minute
	// maxServers bounds the route-quality servers.
	maxServers = 64
)

// Pool is what an agent needs of its POP's gossip pool; [*gossip.Pool] has it.
type Pool interface {
	// Send sends one packet of at most [report.MaxPacket] octets that may be lost.
	Send(to cdn.NodeName, msg []byte) error
	// SendReliably sends at most [report.MaxMessage] octets and takes at most 2 s.
	SendReliably(to cdn.NodeName, msg []byte) error
	// Members are all that the pool has heard of, the dead included.
	Members() []gossip.Member
	// Changed returns a channel that is closed at the next change of any member.
	Changed() <-chan struct{}
}

// Config says who the node is and whom it tells.
type Config struct {
	// Node and POP are this node's. Required.
	Node cdn.NodeName
	POP  cdn.POPName
	// Pool is the gossip pool of the POP. Whoever made it runs it, and hands its messages to [Agent.Message]. Required.
	Pool Pool
	// Load returns how busy the node is. It must not wait. Required.
	Load func() cdn.NodeLoad
	// Visitors returns what the node saw of its visitors since the last call. Nil: nothing is told of them.
	Visitors func() cdn.VisitorBatch
	// Servers are the base URLs of the route-quality servers, at most 64, such as "http://192.0.2.1:7071". None: an aggregator gathers for nobody.
	Servers []string
	// Token is shown to the servers.
	Token string
	// OpenWAN makes this node a member of the pool of all POPs, which it is while it is an aggregator. The run that it returns keeps it in
	// there until its context ends. Nil: there is no such pool.
	OpenWAN func() (run func(ctx context.Context) error, err error)
	// Log gets the beginning and the end of trouble. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry *prometheus.Registry
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Probe is how other POPs and origins are probed; its OnResult and Now are set by the agent.
	Probe probe.Config
}

// Agent tells. Its methods may be called from any goroutine.
type Agent struct {
	cfg         Config
	incarnation int64
	nodeSeq     atomic.Uint64 // of this node's own reports
	popSeq      atomic.Uint64 // of those about the POP
	dropped     atomic.Uint64 // for report.POP.Dropped
	guard       *report.Guard
	prober      *probe.Prober
	servers     []*server
	metrics     *metrics
	newsDue     chan struct{} // capacity 1: the POP is to be told news
	wan         level         // this node is to be in the pool of all POPs

	targetsMu sync.Mutex // held while the prober is given targets, so that they are set in the order of events; before mu

	mu       sync.Mutex // guards the following
	snapshot *cdn.Snapshot
	duty     duty
	members  []report.Member // as told last
	votes    map[cdn.POPName]*probe.Verdict
	heard    heard
}

// New returns an agent that says nothing until it runs.
func New(cfg Config) (*Agent, error) {
	if _, err := cdn.ParseNodeName(string(cfg.Node)); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if _, err := cdn.ParsePOPName(string(cfg.POP)); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if len(cfg.Servers) > maxServers {
		return nil, fmt.Errorf("agent: there are %d route-quality servers, at most %d are allowed", len(cfg.Servers), maxServers)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &Agent{
		cfg:         cfg,
		incarnation: cfg.Now().UnixMicro(),
		guard:       report.NewGuard(maxSenders, forgetSender),
		newsDue:     make(chan struct{}, 1),
		metrics:     newMetrics(cfg.Registry),
		votes:       make(map[cdn.POPName]*probe.Verdict),
	}
	a.wan.init()
	for _, base := range cfg.Servers {
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf(`agent: route-quality server %q is no URL; want something like "http://192.0.2.1:7071"`, base)
		}
		a.servers = append(a.servers, newServer(a, u))
	}
	pc := cfg.Probe
	pc.OnResult, pc.Now = a.probed, cfg.Now
	a.prober = probe.New(pc)
	a.metrics.follow(cfg.Registry, a)
	return a, nil
}

// Apply takes a new configuration: what is probed, and which nodes are the POP's.
func (a *Agent) Apply(s *cdn.Snapshot) error {
	if s == nil {
		return cdn.Errorf(cdn.Invalid, "agent.Apply", "no configuration")
	}
	a.mu.Lock()
	a.snapshot = s
	a.mu.Unlock()
	a.retarget()
	a.look()
	return nil
}

// Run tells until ctx ends, and returns nil when everything that it started has ended.
func (a *Agent) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { a.watch(ctx) })
	wg.Go(func() { a.tellLoad(ctx) })
	wg.Go(func() { a.spreadNews(ctx) })
	if a.cfg.Visitors != nil {
		wg.Go(func() { a.tellVisitors(ctx) })
	}
	if a.cfg.OpenWAN != nil {
		wg.Go(func() { a.keepWAN(ctx) })
	}
	for _, s := range a.servers {
		wg.Go(func() { s.run(ctx) })
	}
	err := a.prober.Run(ctx)
	wg.Wait()
	return err //nolint:wrapcheck // it is nil
}

// watch follows the pool.
func (a *Agent) watch(ctx context.Context) {
	for ctx.Err() == nil {
		changed := a.cfg.Pool.Changed()
		a.look() //nolint:contextcheck // probes end with the prober's run
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// tellLoad tells each second how busy the node is, and gives the word for the POP's report.
func (a *Agent) tellLoad(ctx context.Context) {
	again := time.NewTicker(loadEvery)
	defer again.Stop()
	for {
		a.look() //nolint:contextcheck // probes end with the prober's run; here because time alone ends a duty
		load := a.cfg.Load()
		n := a.report()
		n.Load = &load
		a.tell(ctx, kindLoad, n, a.cfg.Pool.Send)
		kick(a.newsDue)
		for _, s := range a.servers {
			kick(s.due)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// kick gives a word to whoever waits for it.
func kick(word chan struct{}) {
	select {
	case word <- struct{}{}:
	default: // it has not heard the last one yet
	}
}

// tellVisitors tells what the node saw of its visitors, beginning at some moment, so that the POP's nodes do not speak all at once.
func (a *Agent) tellVisitors(ctx context.Context) {
	pause := rand.N(visitorsEvery) //nolint:gosec // chance, not a secret
	for sleep(ctx, pause) {
		batch := a.cfg.Visitors()
		a.drop(kindVisitors, clean(&batch))
		for _, b := range split(&batch) {
			n := a.report()
			n.Visitors = b
			a.tell(ctx, kindVisitors, n, a.cfg.Pool.SendReliably)
		}
		pause = visitorsEvery
	}
}

// clean takes samples away that are no numbers, for which JSON has no form, and returns how many.
func clean(b *cdn.VisitorBatch) int {
	odd := func(s cdn.VisitorSample) bool {
		return slices.ContainsFunc(s.RTTs, func(rtt float32) bool { return math.IsNaN(float64(rtt)) || math.IsInf(float64(rtt), 0) })
	}
	if !slices.ContainsFunc(b.Samples, odd) {
		return 0
	}
	before := len(b.Samples)
	b.Samples = slices.DeleteFunc(slices.Clone(b.Samples), odd)
	return before - len(b.Samples)
}

// split divides a batch into some that can be sent.
func split(b *cdn.VisitorBatch) []*cdn.VisitorBatch {
	const most = report.MaxSamples / 2 // as JSON less than report.MaxMessage, whatever they are
	if len(b.Samples) == 0 && len(b.Sites) == 0 {
		return nil
	}
	first := *b
	first.Samples = b.Samples[:min(most, len(b.Samples))]
	first.Sites = b.Sites[:min(report.MaxSites, len(b.Sites))]
	parts := []*cdn.VisitorBatch{&first}
	for rest := b.Samples[len(first.Samples):]; len(rest) > 0; {
		n := min(most, len(rest))
		parts = append(parts, &cdn.VisitorBatch{At: b.At, Interval: b.Interval, Samples: rest[:n], Dropped: b.Dropped})
		rest = rest[n:]
	}
	return parts
}

// report begins a report of this node.
func (a *Agent) report() *report.Node {
	return &report.Node{Node: a.cfg.Node, Incarnation: a.incarnation, Seq: a.nodeSeq.Add(1), At: a.cfg.Now()}
}

// tell sends a report to the POP's aggregators, of which this node may be one, at the same time.
func (a *Agent) tell(ctx context.Context, kind string, n *report.Node, send func(to cdn.NodeName, msg []byte) error) {
	msg, err := n.Encode()
	if err != nil { // no measured number is so odd: a sensor is broken
		a.metrics.sent.WithLabelValues(kind, "impossible").Inc()
		a.drop(kind, rows(n)+1)
		a.cfg.Log.WarnContext(ctx, "this node's report cannot be encoded", "kind", kind, "error", err)
		return
	}
	a.metrics.sentOctets.WithLabelValues(kind).Add(float64(len(msg)))
	var wg sync.WaitGroup
	for _, to := range a.aggregators() {
		if to == a.cfg.Node {
			a.Message(to, msg)
			continue
		}
		wg.Go(func() {
			outcome := "ok"
			if err := send(to, msg); err != nil {
				outcome = "failed"
				a.cfg.Log.DebugContext(ctx, "a report did not go out", "kind", kind, "to", to, "error", err)
			}
			a.metrics.sent.WithLabelValues(kind, outcome).Inc()
		})
	}
	wg.Wait()
}

// Message takes a message of the POP's gossip pool.
func (a *Agent) Message(from cdn.NodeName, msg []byte) {
	if report.IsNews(msg) {
		a.newsFrom(from, msg)
		return
	}
	n, refused, err := report.DecodeNode(msg, a.cfg.Now())
	outcome := "ok"
	switch {
	case err != nil:
		outcome = "malformed"
		a.cfg.Log.Debug("a node's report is malformed", "node", from, "error", err)
	case n.Node != from, !a.isMember(from):
		outcome = "stranger"
	case !a.guard.Accept(a.cfg.Now(), n.Sender(), n.Incarnation, n.Seq):
		outcome = "old"
	}
	a.metrics.received.WithLabelValues(outcome).Inc()
	a.metrics.refused.Add(float64(refused.Count))
	if refused.Count > 0 {
		a.cfg.Log.Debug("parts of a node's report are absurd", "node", from, "parts", refused.Count, "first", refused.Errors[0])
	}
	if outcome != "ok" {
		return
	}
	if !a.onDuty() {
		a.drop(kindVisitors, rows(n))
		return
	}
	a.noteLoad(n)
	for _, s := range a.servers {
		s.add(n)
	}
}

// drop counts what is thrown away.
func (a *Agent) drop(what string, n int) {
	if n > 0 {
		a.metrics.dropped.WithLabelValues(what).Add(float64(n))
		a.dropped.Add(uint64(n))
	}
}

// rows returns how many networks and sites are in a report.
func rows(n *report.Node) int {
	if n.Visitors == nil {
		return 0
	}
	return len(n.Visitors.Samples) + len(n.Visitors.Sites)
}

// sleep reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
