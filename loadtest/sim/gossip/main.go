package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"nearcast/loadtest/sim/pools"
	"nearcast/routequality/gossip"
)

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(exitCode(err))
	}
	pools.Main("gossip", func(t *testing.T) int { t.Helper(); return exitCode(command(t, o, os.Stdout)) })
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

// kindPOP is not a pool but the votes on a POP.
const kindPOP gossip.Kind = "pop"

// options are the flags.
type options struct {
	pools.Options
	seeds  int
	first  uint64
	output string
	given  map[string]bool // the flags that are there
}

func parseFlags(args []string, errs io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("gossip", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar((*string)(&o.Kind), "kind", "lan", "what kind of pool: lan or wan; or pop: the votes on a POP")
	flags.IntVar(&o.Nodes, "nodes", 8, "how many members, 3 to 10000")
	flags.Float64Var(&o.Minutes, "minutes", 10, "for how long, after everybody has joined; longer if the kills need it. Of a pop a month (43200) if it is not given")
	flags.Float64Var(&o.Loss, "loss", 0.01, "the share of packets that are lost, below 1. Of a pop several are tried if neither this nor --starve is given")
	flags.Float64Var(&o.Starving.Share, "starve", 0, "the share of its time for which each node stands still, below 1")
	flags.DurationVar(&o.Starving.Stretch, "stretch", 100*time.Millisecond, "for how long it stands still at a time, on average")
	flags.IntVar(&o.Kills, "kills", 0, "how many nodes are killed, and come back, one after the other. Of a pop: how many die, of 100 if it is not given")
	flags.IntVar(&o.seeds, "seeds", 1, "how many seeds are run")
	flags.Uint64Var(&o.first, "seed", 1, "the first of them")
	flags.StringVar(&o.Matrix, "matrix", "", "`FILE` of round trips in ms between sites; none: made up")
	flags.StringVar(&o.output, "o", "table", "what to print: table or json")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, errUsage
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	o.given = make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	return o, o.check()
}

func (o *options) check() error {
	switch {
	case o.Kind != gossip.LAN && o.Kind != gossip.WAN && o.Kind != kindPOP:
		return fmt.Errorf("--kind: %q is none of lan, wan and pop", o.Kind)
	case o.Kind == kindPOP && (o.given["nodes"] || o.given["matrix"]):
		return errors.New("--kind pop is always the same: two nodes and four voters, without --nodes and --matrix")
	case o.Nodes < 3 || o.Nodes > 10_000:
		return fmt.Errorf("--nodes: %d is not from 3 to 10000", o.Nodes)
	case !(o.Minutes > 0 && o.Minutes <= 1e6):
		return fmt.Errorf("--minutes: %v is not above 0 and at most a million", o.Minutes)
	case !(o.Loss >= 0 && o.Loss < 1):
		return fmt.Errorf("--loss: %v is no share below 1", o.Loss)
	case !(o.Starving.Share >= 0 && o.Starving.Share < 1):
		return fmt.Errorf("--starve: %v is no share below 1", o.Starving.Share)
	case o.Starving.Stretch < time.Millisecond || o.Starving.Stretch > time.Minute:
		return fmt.Errorf("--stretch: %v is not from 1ms to 1m", o.Starving.Stretch)
	case o.Kills < 0 || o.Kills > 100_000:
		return fmt.Errorf("--kills: %d is not from 0 to 100000", o.Kills)
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
	if o.Kind == kindPOP {
		return vote(o, out)
	}
	r, err := pools.Run(t, &o.Options, o.first, o.seeds)
	if err != nil {
		return err
	}
	return r.Print(out, o.output)
}
