package pools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/gossip/memnet"
)

const (
	joinPatience = 5 * time.Minute
	jitter       = 0.1 // of the delays
	seedNodes    = 2   // that everybody joins through
)

// world is one simulated pool.
type world struct {
	o      *Options
	net    *memnet.Network
	chance *rand.Rand // of the kills
	nodes  []*node
	watch  watch
}

// node is one member's machine. Its process may be another after a kill.
type node struct {
	index int
	name  cdn.NodeName
	host  *memnet.Host
	pool  *gossip.Pool
	reg   *prometheus.Registry
	stop  context.CancelFunc
	done  sync.WaitGroup
	sent  int64 // octets, by processes that are no more
	err   error
}

// simulate runs one seed. It must be called in virtual time.
func simulate(o *Options, seed uint64, delay oneWay) (r Result, err error) {
	w := &world{
		o:      o,
		net:    memnet.New(memnet.Config{Seed: seed, Delay: delay, Jitter: jitter, Loss: o.Loss}),
		chance: rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // not a secret
	}
	w.watch.init(o.Nodes)
	defer func() { err = errors.Join(err, w.end()) }()
	if err := w.begin(); err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	for _, n := range w.nodes {
		background.Go(func() { w.starve(ctx, n, rand.New(rand.NewPCG(seed, uint64(3+n.index)))) }) //nolint:gosec // not a secret
		w.observe(n)
	}
	<-time.After(settle)
	start, cpu, octets, accusations := time.Now(), processorTime(), w.octets(), w.accusations()
	if err := w.kills(); err != nil {
		return r, err
	}
	if rest := time.Duration(o.Minutes*float64(time.Minute)) - time.Since(start); rest > 0 {
		<-time.After(rest)
	}
	seconds := time.Since(start).Seconds()
	r = w.watch.result()
	r.Seconds, r.cpuSeconds = seconds, (processorTime() - cpu).Seconds()
	r.octets, r.maxOctets = totals(w.octets(), octets)
	r.Accusations = w.accusations() - accusations
	return r, nil
}

// linger is how long the last probes of pools that have ended take, and virtual time ends with the last goroutine.
const linger = time.Minute

// settle is how long the pool is left alone before anything is counted.
const settle = 30 * time.Second

// begin starts all nodes and waits until each knows all.
func (w *world) begin() error {
	w.nodes = make([]*node, w.o.Nodes)
	for i := range w.nodes {
		n := &node{index: i, name: cdn.NodeName(fmt.Sprintf("node-%d", i)), reg: prometheus.NewRegistry()}
		if err := w.start(n); err != nil {
			return err
		}
		w.nodes[i] = n
		<-time.After(20 * time.Millisecond)
	}
	deadline := time.Now().Add(joinPatience)
	for _, n := range w.nodes {
		for n.living() < len(w.nodes) {
			changed := n.pool.Changed()
			if n.living() == len(w.nodes) {
				break
			}
			select {
			case <-changed:
			case <-time.After(time.Until(deadline)):
				return fmt.Errorf("after %v %s sees %d of %d members", joinPatience, n.name, n.living(), len(w.nodes))
			}
		}
	}
	return nil
}

// start starts a node's process.
func (w *world) start(n *node) error {
	host, err := w.net.Host(nodeAddr(n.index))
	if err != nil {
		return err
	}
	if n.host != nil {
		n.sent += n.host.Octets()
	}
	n.host = host
	var join []netip.AddrPort
	for i := range seedNodes {
		if i != n.index {
			join = append(join, nodeAddr(i))
		}
	}
	n.pool, err = gossip.New(gossip.Config{
		Kind: w.o.Kind, Node: n.name, Role: cdn.RoleEdge, POP: "pop", Version: "1.0.0", Join: join, Secrets: []string{"simulated"},
		Cluster: "sim", Transport: host, Log: slog.New(slog.DiscardHandler), Registry: n.reg,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	n.done.Go(func() { n.err = errors.Join(n.err, n.pool.Run(ctx)) })
	n.pool.SetState(cdn.StateReady)
	return nil
}

// end stops what runs.
func (w *world) end() (err error) {
	for _, n := range w.nodes {
		if n != nil && n.stop != nil {
			n.host.Cut(true) // nobody needs to hear a thousand goodbyes
			n.stop()
		}
	}
	for _, n := range w.nodes {
		if n != nil {
			n.done.Wait()
			err = errors.Join(err, n.err)
		}
	}
	<-time.After(linger)
	return err
}

func (n *node) living() int {
	count := 0
	for _, m := range n.pool.Members() {
		if m.State != cdn.StateDown {
			count++
		}
	}
	return count
}

// starve lets a node stand still, time and again.
func (w *world) starve(ctx context.Context, n *node, chance *rand.Rand) {
	if w.o.Starving.Share == 0 {
		return
	}
	for {
		runs, d := w.o.Starving.Next(chance)
		select {
		case <-ctx.Done():
			return
		case <-time.After(runs):
		}
		n.host.Pause(d)
		select {
		case <-ctx.Done():
			return
		case <-time.After(d):
		}
	}
}

// awake is how long a process that stood still may take to read what came meanwhile. What it believed in the meantime could not be told to anybody.
const awake = 10 * time.Millisecond

// observe has all that a node's process comes to believe written down, until it ends.
func (w *world) observe(n *node) {
	pool := n.pool
	ctx, cancel := context.WithCancel(context.Background())
	stop := n.stop
	n.stop = func() { cancel(); stop() }
	n.done.Go(func() {
		believed := make([]bool, len(w.nodes)) // to be dead
		for {
			changed := pool.Changed()
			for d := n.host.Standstill(); d > 0; d = n.host.Standstill() {
				<-time.After(d + awake)
			}
			for _, other := range w.nodes {
				if dead := pool.State(other.name) == cdn.StateDown; dead != believed[other.index] {
					believed[other.index] = dead
					w.watch.believes(n.index, other.index, dead)
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				w.watch.forget(n.index, believed)
				return
			}
		}
	})
}

// kills kills nodes one after the other, never a seed, and starts each again once it has been found dead.
func (w *world) kills() error {
	for range w.o.Kills {
		<-time.After(10*time.Second + time.Duration(w.chance.Float64()*float64(5*time.Second)))
		n := w.nodes[seedNodes+w.chance.IntN(len(w.nodes)-seedNodes)]
		w.watch.kill(n)
		select {
		case <-w.watch.found:
		case <-time.After(killPatience):
		}
		w.watch.bury()
		n.stop()
		n.done.Wait()
		if err := w.start(n); err != nil {
			return err
		}
		w.observe(n)
	}
	return nil
}

// killPatience is how long a death may go unnoticed by somebody before it counts as missed.
const killPatience = 5 * time.Minute

// octets returns what each node has sent.
func (w *world) octets() []int64 {
	all := make([]int64, len(w.nodes))
	for i, n := range w.nodes {
		all[i] = n.sent + n.host.Octets()
	}
	return all
}

// totals returns what all nodes have sent since, and the one that has sent most.
func totals(now, before []int64) (sum, most int64) {
	for i := range now {
		sum += now[i] - before[i]
		most = max(most, now[i]-before[i])
	}
	return sum, most
}

// accusations counts how often a member has suspected another of being dead.
func (w *world) accusations() (sum float64) {
	for _, n := range w.nodes {
		families, err := n.reg.Gather()
		if err != nil {
			continue // its own metrics are always in order
		}
		for _, f := range families {
			if f.GetName() != "nearcast_routequality_gossip_trouble_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				if len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == "accusing" {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
