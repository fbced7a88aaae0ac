package main

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/spf13/pflag"

	"nearcast/cdn"
	"nearcast/control/feedclient"
	"nearcast/edge"
	"nearcast/routequality/agent"
	"nearcast/routequality/gossip"
	"nearcast/scheduler/apiclient"
)

// fleetFlags are the flags of a cache node in a fleet.
type fleetFlags struct {
	pop          string
	gossip       string
	join         string
	gossipWAN    string
	joinWAN      string
	routequality string
	schedulers   string
}

func (f *fleetFlags) registerFleet(flags *pflag.FlagSet) {
	flags.StringVar(&f.pop, "pop", "", "this node's POP by `NAME`")
	flags.StringVar(&f.gossip, "gossip", "", "`ADDR` of this node in the gossip pool of its POP, IP:port")
	flags.StringVar(&f.join, "join", "", "`ADDRS` of the POP's other nodes in that pool, comma-separated")
	flags.StringVar(&f.gossipWAN, "gossip-wan", "", "`ADDR` of this node in the gossip pool that connects the POPs, IP:port, for when it speaks for its POP")
	flags.StringVar(&f.joinWAN, "join-wan", "", "`ADDRS` of members of that pool, comma-separated")
	flags.StringVar(&f.routequality, "routequality", "", "`URLS` of the route-quality servers, comma-separated, that are told how the POP is")
	flags.StringVar(&f.schedulers, "scheduler", "", "`URLS` of the schedulers' APIs, comma-separated, that are asked who helps when the POP is overloaded")
}

// cacheNode is a cache node of a fleet: the cache, and what tells others how it is.
type cacheNode struct {
	role   *role
	flags  *edgeFlags
	pool   *gossip.Pool // of the POP
	agent  *agent.Agent
	server *edge.Server
	relief *relief

	secrets atomic.Pointer[[]string]    // of gossip, those in use
	wan     atomic.Pointer[gossip.Pool] // while this node speaks for its POP; else nil
}

func runCacheNode(ctx context.Context, r *role, f *edgeFlags, cfg edge.Config) error {
	n := &cacheNode{role: r, flags: f}
	secrets := gossipSecrets(r.secrets)
	n.secrets.Store(&secrets)
	if err := n.open(cfg); err != nil {
		return err
	}
	feed, err := r.follow(&f.nodeFlags, cdn.RoleEdge, feedclient.Config{
		OnSnapshot: n.apply, OnPurge: n.server.Purge, OnPurgeGap: n.server.PurgeAll, OnCaughtUp: n.server.CaughtUp, Explain: n.server.Explain,
	})
	if err != nil {
		return err
	}
	tellState := func(ctx context.Context) error { return announce(ctx, n.pool, n.server.Ready) }
	parts := append(r.followGeo(f.geo, n.server.ApplyPlaces), //nolint:contextcheck // the files are read at once, before anything is served
		n.server.Run, feed.Run, n.pool.Run, tellState, n.agent.Run, n.relief.Run, r.followSecrets(f.secretFile, n.setSecrets))
	return r.runAll(ctx, f.admin, n.server.Ready, parts...)
}

// open makes the parts, which know each other.
func (n *cacheNode) open(cfg edge.Config) error {
	pop, err := cdn.ParsePOPName(n.flags.pop)
	if err != nil {
		return err
	}
	var told atomic.Pointer[agent.Agent] // the pool is there before the agent
	n.pool, err = n.role.newPool(gossip.Config{
		Kind: gossip.LAN, Node: n.role.node, Role: cdn.RoleEdge, POP: pop,
		OnMessage: func(from cdn.NodeName, msg []byte) {
			if a := told.Load(); a != nil {
				a.Message(from, msg)
			}
		},
	}, "--gossip", n.flags.gossip, n.flags.join)
	if err != nil {
		return err
	}
	cfg.Secret, cfg.RedirectKey = frontSecrets(n.role.secrets)
	cfg.Usable = func(node cdn.NodeName) bool { return n.pool.State(node).Usable() && n.agent.Usable(node) }
	n.relief = &relief{pop: pop, log: n.role.log}
	cfg.Relief = n.relief.Now
	if n.server, err = edge.New(cfg); err != nil {
		return err
	}
	n.agent, err = agent.New(agent.Config{
		Node: n.role.node, POP: pop, Pool: n.pool, Load: n.server.Load, Visitors: n.server.Visitors,
		Servers: splitList(n.flags.routequality), Token: n.role.derive(forTable), OpenWAN: n.openWAN, Log: n.role.log, Registry: n.role.registry,
	})
	if err != nil {
		return err
	}
	told.Store(n.agent)
	n.relief.load, n.relief.loads = n.server.Load, n.agent.Loads
	for _, url := range splitList(n.flags.schedulers) {
		n.relief.schedulers = append(n.relief.schedulers, apiclient.New(url, n.role.derive(forScheduler)))
	}
	return nil
}

// apply puts a configuration into force.
func (n *cacheNode) apply(s *cdn.Snapshot) error {
	if err := n.server.Apply(s); err != nil {
		return err
	}
	return n.agent.Apply(s)
}

// openWAN makes this node a member of the pool that connects the POPs.
func (n *cacheNode) openWAN() (func(context.Context) error, error) {
	if n.flags.gossipWAN == "" {
		return waitForEnd, nil
	}
	pool, err := n.role.newPool(gossip.Config{
		Kind: gossip.WAN, Node: n.role.node, Role: cdn.RoleEdge, POP: cdn.POPName(n.flags.pop), Secrets: *n.secrets.Load(),
	}, "--gossip-wan", n.flags.gossipWAN, n.flags.joinWAN)
	if err != nil {
		return nil, err
	}
	pool.SetState(cdn.StateReady)
	return func(ctx context.Context) error {
		n.wan.Store(pool)
		defer n.wan.Store(nil)
		if err := pool.SetSecrets(*n.secrets.Load()); err != nil { // they may have changed meanwhile
			n.role.log.WarnContext(ctx, "the pool that connects the POPs keeps its secrets", "error", err)
		}
		return pool.Run(ctx)
	}, nil
}

func waitForEnd(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// setSecrets changes the secrets of both pools.
func (n *cacheNode) setSecrets(secrets []string) error {
	if err := n.pool.SetSecrets(secrets); err != nil {
		return err
	}
	n.secrets.Store(&secrets)
	if wan := n.wan.Load(); wan != nil {
		return wan.SetSecrets(secrets)
	}
	return nil
}

// splitList splits a comma-separated list.
func splitList(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
