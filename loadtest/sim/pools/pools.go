// Package pools runs the real gossip pools (routequality/gossip) on a network in memory, in virtual time, and finds what they cost and
// how well they tell the dead from the slow. Several simulators use it.
//
// Killed nodes lose their power: nothing comes from them or answers them any more. A living node that any other takes for dead is a false
// removal, once for each time, however many believe it.
//
// Starved nodes stand still for a share of their time. What arrives and what they send waits meanwhile. Their clocks run on: timers fire in a
// stretch and find that the answers, which wait, have not come; a real process that wakes up finds both. So nobody is asked what it believes until
// 10 ms after it has woken up.
//
// It is not for what is concluded from the pools elsewhere, and not for the running system.
package pools

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"nearcast/loadtest/sim/trial"
	"nearcast/routequality/gossip"
)

// Options say what is simulated.
type Options struct {
	Kind     gossip.Kind
	Nodes    int            // members, at least 3
	Kills    int            // nodes that are killed, and come back, one after the other
	Minutes  float64        // for how long, after everybody has joined; longer if the kills need it
	Loss     float64        // the share of packets that are lost, below 1
	Starving trial.Starving // of each node, each for itself
	Matrix   string         // file of round trips in ms between sites; none: made up
}

// Run simulates so many seeds, from the first on. The network and the starving depend on the seed; the protocol throws dice of its own, so
// that two runs differ.
func Run(t *testing.T, o *Options, first uint64, seeds int) (*Result, error) {
	t.Helper()
	all := &Result{Kind: o.Kind, Nodes: o.Nodes, Loss: o.Loss, Starve: o.Starving.Share}
	for i := range seeds {
		seed := first + uint64(i) //nolint:gosec // an index
		delay, err := delays(o, seed)
		if err != nil {
			return nil, err
		}
		synctest.Test(t, func(*testing.T) {
			var r Result
			if r, err = simulate(o, seed, delay); err == nil {
				all.add(&r)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	all.finish()
	return all, nil
}

// Main calls f as a test, since only a test has virtual time, and ends the process with the code that it returns. It is for commands, which call
// nothing else.
func Main(name string, f func(*testing.T) int) {
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil { // nothing cannot be wrong
		panic(err)
	}
	testing.Main(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: name, F: func(t *testing.T) { t.Helper(); os.Exit(f(t)) }}}, nil, nil)
}
