package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// limits are what the contract has for every seed.
type limits struct{ regret, far, overload, churn float64 }

// size is how many seeds are tried, and with how many POPs: one seed of 12 POPs every day, and with NEARCAST_ROUTING_SEEDS=20 what the contract
// has, 20 seeds of 60 POPs, which takes some minutes.
func size(t *testing.T) (seeds, pops int) {
	t.Helper()
	text := os.Getenv("NEARCAST_ROUTING_SEEDS")
	if text == "" {
		return 1, 12
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("NEARCAST_ROUTING_SEEDS is %q, want how many seeds are to be tried", text)
	}
	return n, 60
}

// hold runs Nearcast with every seed and compares.
func hold(t *testing.T, network func(seed uint64, pops int) *network, scenario string, want limits) {
	t.Helper()
	seeds, pops := size(t)
	script, err := parseScript(scenario)
	if err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= uint64(seeds); seed++ { //nolint:gosec // above zero
		s, err := one(network(seed, pops), options{pops: pops, nodes: 10 * pops}, seed, script, "nearcast")
		if err != nil {
			t.Fatal(err)
		}
		r := newResult("nearcast", seed, s)
		t.Logf("%s, seed %d: regret %.2f ms, %.2f %% more than 10 ms off, %.3f %% on overloaded POPs, churn %.1f %% a minute",
			scenario, seed, r.Regret, 100*r.Far, 100*r.Overload, 100*r.Churn)
		atMost(t, "regret in ms", r.Regret, want.regret)
		atMost(t, "share more than 10 ms off", r.Far, want.far)
		atMost(t, "share on overloaded POPs", r.Overload, want.overload)
		atMost(t, "churn a minute", r.Churn, want.churn)
	}
}

// TestContract: what the numbers are to be for 60 POPs. What is near in a flash crowd with the biggest POP gone is what has room, so the regret is not limited then.
func TestContract(t *testing.T) {
	made := func(seed uint64, pops int) *network { return synthetic(4*pops+6, seed) }
	t.Run("steady", func(t *testing.T) {
		t.Parallel()
		hold(t, made, "steady", limits{1, 0.035, 0, 0.15})
	})
	t.Run("flash crowd and loss", func(t *testing.T) {
		t.Parallel()
		hold(t, made, "flash+loss", limits{1000, 1, 0.001, 0.15})
	})
}

// TestContractOnMeasuredNetwork: the same with round trips that were measured between cities.
func TestContractOnMeasuredNetwork(t *testing.T) {
	dir := os.Getenv("NEARCAST_SHARED")
	if dir == "" {
		t.Skip("NEARCAST_SHARED is not set: the matrix is found through it; make sets it")
	}
	dir = filepath.Join(dir, "rtt", "wondernetwork-2018")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no matrix here: %v", err)
	}
	net, err := readWonderNetwork(dir)
	if err != nil {
		t.Fatal(err)
	}
	hold(t, func(_ uint64, pops int) *network {
		if pops < 60 {
			return net.third()
		}
		return net
	}, "steady", limits{1, 0.035, 0, 0.15})
}

// third returns every third site of the network.
func (n *network) third() *network {
	out := &network{}
	for i := 0; i < len(n.sites); i += 3 {
		var row []float64
		for j := 0; j < len(n.sites); j += 3 {
			row = append(row, n.rtt[i][j])
		}
		out.sites, out.rtt = append(out.sites, n.sites[i]), append(out.rtt, row)
	}
	return out
}
