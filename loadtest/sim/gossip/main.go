package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/routequality/gossip"
)

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if err == nil {
		inTest(func(t *testing.T) { t.Helper(); os.Exit(exitCode(command(t, o, os.Stdout))) })
	}
	os.Exit(exitCode(err))
}

// inTest calls f as a test, since only a test has virtual time.
func inTest(f func(*testing.T)) {
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil { // nothing cannot be wrong
		panic(err)
	}
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "gossip", F: f}}, nil, nil)
}

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	fmt.Fprintln(os.Stderr, "gossip:", err)
	return 1
}

var errUsage = errors.New("usage")

// options are the flags.
type options struct {
	kind                  gossip.Kind
	nodes, kills, seeds   int
	first                 uint64
	minutes, loss, starve float64
	stretch               time.Duration
	matrix, output        string
}

func parseFlags(args []string, errs io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("gossip", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar((*string)(&o.kind), "kind", "lan", "what kind of pool: lan or wan")
	flags.IntVar(&o.nodes, "nodes", 8, "how many members, 3 to 10000")
	flags.Float64Var(&o.minutes, "minutes", 10, "for how long, after everybody has joined; longer if the kills need it")
	flags.Float64Var(&o.loss, "loss", 0.01, "the share of packets that are lost, below 1")
	flags.Float64Var(&o.starve, "starve", 0, "the share of its time for which each node stands still, below 1")
	flags.DurationVar(&o.stretch, "stretch", 100*time.Millisecond, "for how long it stands still at a time, on average")
	flags.IntVar(&o.kills, "kills", 0, "how many nodes are killed, and come back, one after the other")
	flags.IntVar(&o.seeds, "seeds", 1, "how many seeds are run")
	flags.Uint64Var(&o.first, "seed", 1, "the first of them")
	flags.StringVar(&o.matrix, "matrix", "", "`FILE` of round trips in ms between sites; none: made up")
	flags.StringVar(&o.output, "o", "table", "what to print: table or json")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, errUsage
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	return o, o.check()
}

func (o *options) check() error {
	switch {
	case o.kind != gossip.LAN && o.kind != gossip.WAN:
		return fmt.Errorf("--kind: %q is neither lan nor wan", o.kind)
	case o.nodes < 3 || o.nodes > 10_000:
		return fmt.Errorf("--nodes: %d is not from 3 to 10000", o.nodes)
	case !(o.minutes > 0 && o.minutes <= 1e6):
		return fmt.Errorf("--minutes: %v is not above 0 and at most a million", o.minutes)
	case !(o.loss >= 0 && o.loss < 1):
		return fmt.Errorf("--loss: %v is no share below 1", o.loss)
	case !(o.starve >= 0 && o.starve < 1):
		return fmt.Errorf("--starve: %v is no share below 1", o.starve)
	case o.stretch < time.Millisecond || o.stretch > time.Minute:
		return fmt.Errorf("--stretch: %v is not from 1ms to 1m", o.stretch)
	case o.kills < 0 || o.kills > 100_000:
		return fmt.Errorf("--kills: %d is not from 0 to 100000", o.kills)
	case o.seeds < 1 || o.seeds > 10_000:
		return fmt.Errorf("--seeds: %d is not from 1 to 10000", o.seeds)
	case o.output != "table" && o.output != "json":
		return fmt.Errorf("-o: %q is neither table nor json", o.output)
	}
	return nil
}

// command runs all seeds and prints what came of them.
func command(t *testing.T, o options, out io.Writer) error {
	t.Helper()
	all := result{Kind: o.kind, Nodes: o.nodes, Loss: o.loss, Starve: o.starve}
	for i := range o.seeds {
		seed := o.first + uint64(i) //nolint:gosec // an index
		delay, err := delays(&o, seed)
		if err != nil {
			return err
		}
		synctest.Test(t, func(*testing.T) {
			var r result
			if r, err = simulate(&o, seed, delay); err == nil {
				all.add(&r)
			}
		})
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	all.finish()
	return all.print(out, o.output)
}
