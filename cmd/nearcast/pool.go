package main

import (
	"context"
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
)

// newPool makes a member of a gossip pool. The rest of cfg says which.
func (r *role) newPool(cfg gossip.Config, flag, bind, join string) (*gossip.Pool, error) {
	addr, err := netip.ParseAddrPort(bind)
	if err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "%s %q: want IP:port", flag, bind)
	}
	if cfg.Join, err = parseAddrs(join); err != nil {
		return nil, err
	}
	cfg.Bind, cfg.Version, cfg.Cluster = addr, Version, "nearcast"
	cfg.Log, cfg.Registry = r.log, r.registry
	if cfg.Secrets == nil {
		cfg.Secrets = gossipSecrets(r.secrets)
	}
	return gossip.New(cfg)
}

// announce keeps the node's state in the gossip pool what ready says it is.
func announce(ctx context.Context, pool *gossip.Pool, ready func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	told := cdn.StateUnknown
	for {
		state := cdn.StateReady
		if ready() != nil {
			state = cdn.StateStarting
		}
		if state != told {
			pool.SetState(state)
			told = state
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
