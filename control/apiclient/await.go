package apiclient

import (
	"context"
	"time"

	"nearcast/cdn"
)

// AwaitGeneration asks every interval until every machine of the fleet runs the
// generation or a newer one, or has refused it. It returns ctx's error if that
// does not happen before ctx ends. A machine that has never reported counts as not there yet.
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
		behind := false
		for _, n := range nodes {
			behind = behind || n.Report == nil || max(n.Report.Generation, n.Report.Rejected) < g
		}
		if !behind {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
