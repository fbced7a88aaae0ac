package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"nearcast/loadtest/sim/pools"
)

func main() {
	pools.Main("routing", func(t *testing.T) int {
		t.Helper()
		switch err := command(t, os.Args[1:], os.Stdout, os.Stderr); {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.Is(err, errUsage):
			return 2
		default:
			fmt.Fprintln(os.Stderr, "routing:", err)
			return 1
		}
	})
}

var errUsage = errors.New("usage")

// options are the flags.
type options struct {
	matrix, sites, scenario, chart, output, convert string
	pops, nodes, seeds, schedulers                  int
	gossip                                          bool
}

func parseFlags(args []string, errs io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("routing", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.matrix, "matrix", "", "`FILE` of round trips in ms between sites; none: a network is made for each seed")
	flags.StringVar(&o.sites, "sites", "", "`FILE` of the matrix's sites: id, lat, lon, and population if there is one")
	flags.StringVar(&o.scenario, "scenario", "steady", "what happens: steady, flash, loss, gray, partition, oneway, churn, skew, cold, misjudged, or several with + between them")
	flags.StringVar(&o.chart, "chart", "", "`FILE` to draw a chart to, as SVG")
	flags.StringVar(&o.output, "o", "table", "what to print: table or json")
	flags.StringVar(&o.convert, "convert", "", "`DIR` of WonderNetwork's pings, from which --matrix and --sites are written; nothing is simulated")
	flags.IntVar(&o.pops, "pops", 60, "how many sites have a POP, 3 to 300")
	flags.IntVar(&o.nodes, "nodes", 0, "how many nodes the POPs have together, up to 10000; 0: ten for each POP")
	flags.IntVar(&o.seeds, "seeds", 20, "how many seeds are run: 1, 2, ...")
	flags.IntVar(&o.schedulers, "schedulers", 1, "how many schedulers compute the map, each in an order of its own; it is an error if they differ")
	flags.BoolVar(&o.gossip, "gossip", true, "below the table: run the pools of such a fleet and the votes on its POPs, and print what they cost and when deaths are known")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, errUsage
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag: the network is given by --matrix and --sites", flags.Arg(0))
	}
	if o.nodes == 0 {
		o.nodes = 10 * o.pops
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case (o.matrix == "") != (o.sites == ""):
		return errors.New("--matrix and --sites go together: the sites say where the matrix's rows are")
	case o.convert != "" && o.matrix == "":
		return errors.New("--convert needs --matrix and --sites: the files to write")
	case o.output != "table" && o.output != "json":
		return fmt.Errorf("-o: %q is neither table nor json", o.output)
	case o.pops < 3 || o.pops > 300:
		return fmt.Errorf("--pops: %d is not from 3 to 300", o.pops)
	case o.nodes < 2*o.pops || o.nodes > 10_000:
		return fmt.Errorf("--nodes: %d is not from two for each POP, %d, to 10000", o.nodes, 2*o.pops)
	case o.schedulers < 1 || o.schedulers > 100:
		return fmt.Errorf("--schedulers: %d is not from 1 to 100", o.schedulers)
	case o.seeds < 1 || o.seeds > 10_000:
		return fmt.Errorf("--seeds: %d is not from 1 to 10000", o.seeds)
	}
	return nil
}

// command runs what the arguments say. The test lends its virtual time to the gossip.
func command(t *testing.T, args []string, out, errs io.Writer) error {
	t.Helper()
	o, err := parseFlags(args, errs)
	if err != nil {
		return err
	}
	if o.convert != "" {
		net, err := readWonderNetwork(o.convert)
		if err != nil {
			return err
		}
		return net.write(o.matrix, o.sites)
	}
	results, err := o.run()
	if err != nil {
		return err
	}
	if o.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(results); err != nil {
			return fmt.Errorf("printing the results: %w", err)
		}
		return nil
	}
	if err := table(out, o, results); err != nil || !o.gossip {
		return err
	}
	return o.detection(t, out)
}

// run simulates and draws.
func (o options) run() ([]result, error) {
	s, err := parseScript(o.scenario)
	if err != nil {
		return nil, err
	}
	network, err := o.network()
	if err != nil {
		return nil, err
	}
	if o.chart != "" { // before the work, to know that it can be written
		if err := draw(o.chart, nil); err != nil {
			return nil, err
		}
	}
	results, err := o.simulate(network, s)
	if err == nil && o.chart != "" {
		err = draw(o.chart, chart(o, results))
	}
	return results, err
}

func draw(file string, svg []byte) error {
	if err := os.WriteFile(file, svg, 0o644); err != nil { //nolint:gosec // a chart is no secret
		return fmt.Errorf("drawing the chart: %w", err)
	}
	return nil
}

// network returns what a seed's network is.
func (o options) network() (func(seed uint64) *network, error) {
	if o.matrix == "" {
		return func(seed uint64) *network { return synthetic(4*o.pops+6, seed) }, nil
	}
	net, err := readNetwork(o.matrix, o.sites)
	if err != nil {
		return nil, err
	}
	return func(uint64) *network { return net }, nil
}

// result is what one controller has come to with one seed.
type result struct {
	Controller string  `json:"controller"`
	Seed       uint64  `json:"seed"`
	Regret     float64 `json:"mean_regret_ms"`
	Far        float64 `json:"share_over_10ms"`
	Overload   float64 `json:"overload_share"`
	Churn      float64 `json:"churn_per_min"`
	score      score
}

func newResult(name string, seed uint64, s score) result {
	return result{
		Controller: name, Seed: seed, Regret: s.regret / s.placed, Far: s.far / s.placed,
		Overload: s.overload / s.total, Churn: s.moved / (duration / 60.), score: s,
	}
}

// controllerNames are the controllers in the order in which they are shown.
func controllerNames() []string { return []string{"nearcast", "geo", "binary"} }

// simulate runs every controller with every seed, as many at a time as there are processors. The results are in order of controllers and seeds.
func (o options) simulate(network func(seed uint64) *network, s script) ([]result, error) {
	names := controllerNames()
	results := make([]result, len(names)*o.seeds)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range o.seeds {
		group.Go(func() error {
			seed := uint64(i + 1)
			net := network(seed)
			for k, name := range names {
				score, err := one(net, o, seed, s, name)
				if err != nil {
					return fmt.Errorf("%s, seed %d: %w", name, seed, err)
				}
				results[k*o.seeds+i] = newResult(name, seed, score)
			}
			return nil
		})
	}
	return results, group.Wait()
}

// one runs one controller with one seed.
func one(net *network, o options, seed uint64, s script, name string) (score, error) {
	w, err := newWorld(net, o.pops, o.nodes, seed, s, name != "nearcast")
	if err != nil {
		return score{}, err
	}
	switch name {
	case "geo":
		return run(w, newGeo(w)), nil
	case "binary":
		return run(w, newBinary(w)), nil
	}
	c := newNearcast(w, max(1, o.schedulers))
	r := run(w, c)
	r.maps = c.control.compared
	r.frozen, r.refused, r.clocks = c.frozen, c.measure.refused.Total(), c.measure.wrongClocks()
	return r, c.err
}
