package apiclient

import (
	"context"
	"time"

	"nearcast/cdn"
	"nearcast/control/wire"
)

// AwaitGeneration asks every interval until every process of the fleet that follows
// the control plane runs the generation or a newer one, or has refused it. It returns
// ctx's error if that does not happen before ctx ends. A process that has never
// reported counts as not there yet.
func (c *Client) AwaitGeneration(ctx context.Context, g cdn.Generation, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		nodes, err := c.Nodes(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if !anyBehind(nodes, g) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func anyBehind(nodes []wire.Node, g cdn.Generation) bool {
	for i := range nodes {
		for _, role := range nodes[i].Roles {
			if role == cdn.RoleControl {
				continue // does not follow itself
			}
			if r := nodes[i].Report(role); r == nil || max(r.Generation, r.Rejected) < g {
				return true
			}
		}
	}
	return false
}
