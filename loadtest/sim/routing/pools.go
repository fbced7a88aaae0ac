package main

import (
	"fmt"
	"io"
	"testing"
	"text/tabwriter"

	"nearcast/loadtest/sim/pools"
	"nearcast/loadtest/sim/trial"
	"nearcast/loadtest/sim/votes"
	"nearcast/routequality/gossip"
)

const (
	gossipLoss = 0.01
	gateways   = 2   // of each POP, in the WAN pool
	services   = 5   // members of the WAN pool that are in no POP: three schedulers and two route-quality servers
	leastPool  = 3   // members, so that one can be killed
	mostPool   = 256 // members that are simulated here
	votedKills = 100

	deathLag = answerLag + 2 // between the first and the third probe without an answer
)

// pool is a pool that is simulated in short.
type pool struct {
	what string
	pools.Options
}

// pools are the pool of one POP and that of all POPs' gateways.
func (o options) pools() []pool {
	return []pool{
		{"LAN of a POP", pools.Options{Kind: gossip.LAN, Nodes: max(leastPool, (o.nodes+o.pops/2)/o.pops), Kills: 5, Minutes: 0.5, Loss: gossipLoss}},
		{"WAN", pools.Options{Kind: gossip.WAN, Nodes: min(mostPool, o.gateways()), Kills: 1, Minutes: 0.25, Loss: gossipLoss, Matrix: o.matrix}},
	}
}

// gateways is how many members the WAN pool has.
func (o options) gateways() int { return gateways*o.pops + services }

// detection runs the real gossip, and the votes on POPs, and prints what they cost and how long they take.
func (o options) detection(t *testing.T, out io.Writer) error {
	t.Helper()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\ngossip, %.0f %% loss\tmembers\toctets/s per node\tof the busiest\tcores per node\tdeaths\tknown to each p50 s\tp99 s\tto all p99 s\t\n", 100*gossipLoss)
	for _, p := range o.pools() {
		r, err := pools.Run(t, &p.Options, 1, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.4f\t%d\t%.2f\t%.2f\t%.2f\t\n", p.what, r.Nodes, r.OctetsPerSecond, r.MostPerSecond, r.CoresPerNode,
			p.Kills-r.Missed, r.Every.P50, r.Every.P99, r.Last.P99)
	}
	v, err := votes.Run(votes.Options{Loss: gossipLoss, Starving: trial.Starving{}}, 1, 0, 0, votedKills)
	if err != nil {
		return err //nolint:wrapcheck // it says what
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	if all := o.gateways(); all > mostPool {
		fmt.Fprintf(out, "The WAN pool of %d POPs has %d members: go run ./loadtest/sim/gossip --kind wan --nodes %d --minutes 1 --kills 1\n", o.pops, all, all)
	}
	_, err = fmt.Fprintf(out, `
A POP's death: detected by route quality after p50 %.2f s, p99 %.2f s, published to a scheduler after p50 %.2f s, p99 %.2f s (%d deaths).
The world above assumes %d s until a node's death shows in its POP's capacity, and %d s until a POP's death is in the map.
`, v.Detected.P50, v.Detected.P99, v.Published.P50, v.Published.P99, v.Detected.Count, stateLag, deathLag)
	if err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}
