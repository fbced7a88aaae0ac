package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"nearcast/loadtest/rig"
)

func main() {
	if status, done := setApart(); done {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

// options are the flags.
type options struct {
	program     string
	scenarios   string
	list, short bool
	rounds      int
	connections int
	objects     int
	maxStart    time.Duration
	spell       time.Duration
	patience    time.Duration
	dir         string
	json        string
	keep        bool
}

func parseFlags(args []string, errs io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.program, "program", "bin/nearcast", "`FILE` that is the edge's program; `make build` makes it")
	flags.StringVar(&o.scenarios, "scenario", "all", "`NAMES` with commas, or all")
	flags.BoolVar(&o.list, "list", false, "list the scenarios")
	flags.BoolVar(&o.short, "short", false, "few rounds")
	flags.IntVar(&o.rounds, "rounds", 0, "`ROUNDS` of each scenario instead of its own number")
	flags.IntVar(&o.connections, "connections", 6, "visitors at a time")
	flags.IntVar(&o.objects, "objects", 1_000_000, "small objects of the scenario restart; 20,000 at most in its short form")
	flags.DurationVar(&o.maxStart, "max-start", time.Second, "longest time until an edge is ready; twice that until it is warm")
	flags.DurationVar(&o.spell, "spell", time.Second, "how long visitors are at work between two events")
	flags.DurationVar(&o.patience, "patience", 10*time.Second, "longest time until an alarm is raised, or room is used again")
	flags.StringVar(&o.dir, "dir", "", "`DIR` for the disks, of which some are 4 GiB; one for temporary files if empty")
	flags.StringVar(&o.json, "json", "", "`FILE` that gets the results as JSON")
	flags.BoolVar(&o.keep, "keep", false, "stop the scenarios kill and kill-full at the first wrong answer, and keep the disks of a scenario that has failed")
	flags.Usage = func() {
		fmt.Fprint(errs, "Crash an edge on this machine in many ways, and judge each of its answers.\n\n  go run ./loadtest/crash [flags]\n\n")
		flags.PrintDefaults()
		fmt.Fprint(errs, "\nWhat is done, and what must hold: go doc ./loadtest/crash\n")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	if flags.NArg() > 0 || o.rounds < 0 || o.connections < 1 || o.objects < 2000 || o.spell <= 0 {
		fmt.Fprintln(errs, "crash: flags only, numbers greater than zero, and 2000 objects at least; see --help")
		return o, errUsage
	}
	return o, nil
}

// chosen returns the scenarios that are asked for.
func (o options) chosen() ([]scenario, error) {
	all := scenarios()
	if o.scenarios == "all" {
		return all, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(o.scenarios, ",") {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario is called %q; --list shows them", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := parseFlags(args, errs)
	if err != nil {
		return err
	}
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	if o.list {
		for _, s := range chosen {
			fmt.Fprintf(out, "%-10s %4d rounds, %d in short  %s\n", s.name, s.long, s.short, s.what)
		}
		return nil
	}
	outcomes, err := playAll(ctx, o, chosen, errs)
	writeTable(out, outcomes)
	if err != nil {
		return err
	}
	if o.json != "" {
		text, err := json.MarshalIndent(outcomes, "", "\t")
		if err == nil {
			err = os.WriteFile(o.json, append(text, '\n'), 0o644)
		}
		if err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	return verdict(outcomes)
}

// playAll plays one scenario after the other. One that could not be played to its end does not keep the next from it.
func playAll(ctx context.Context, o options, chosen []scenario, errs io.Writer) ([]outcome, error) {
	dir, err := os.MkdirTemp(o.dir, "nearcast-crash-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if !o.keep {
			os.RemoveAll(dir) //nolint:errcheck // disks and logs
		}
	}()
	cert, err := rig.NewCertificate(dir)
	if err != nil {
		return nil, err
	}
	var outcomes []outcome
	for _, sc := range chosen {
		got, err := sc.stage(ctx, o, dir, cert)
		if ctx.Err() != nil {
			got.fault("it was stopped")
			return append(outcomes, got), ctx.Err()
		}
		if err != nil {
			got.fault("it broke off: %v", err)
		}
		outcomes = append(outcomes, got)
		fmt.Fprintf(errs, "%s: %s\n", sc.name, got.summary())
		for _, f := range got.Faults {
			fmt.Fprintf(errs, "%s: %s\n", sc.name, f)
		}
		if o.keep && len(got.Faults) > 0 {
			fmt.Fprintf(errs, "%s: %s/%s is kept\n", sc.name, dir, sc.name)
			continue
		}
		if err := os.RemoveAll(fmt.Sprintf("%s/%s", dir, sc.name)); err != nil {
			return outcomes, err
		}
	}
	return outcomes, nil
}

// writeTable prints the outcomes.
func writeTable(out io.Writer, outcomes []outcome) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\trounds\trequests\thits\tcut off\tkept\twrong\tundone\tfailed\tlongest start\tverdict")
	for _, o := range outcomes {
		kept := "-"
		if o.Asked > 0 {
			kept = fmt.Sprintf("%.2f %% of %d", 100*float64(o.Kept)/float64(o.Asked), o.Asked)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f %%\t%d\t%s\t%d\t%d\t%d\t%s\t%s\n", o.Scenario, o.Rounds, o.Requests, 100*float64(o.Hits)/float64(max(1, o.Requests)),
			o.BrokenOff, kept, o.Wrong, o.Undone, o.Failed, o.Slowest.Round(time.Millisecond), o.summary())
	}
	w.Flush() //nolint:errcheck // a terminal or a buffer
	for _, o := range outcomes {
		o.tell(out)
	}
}

// verdict is an error if anything was wrong.
func verdict(outcomes []outcome) error {
	var bad []string
	for _, o := range outcomes {
		if len(o.Faults) > 0 {
			bad = append(bad, o.Scenario)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("something is wrong in %s", strings.Join(bad, ", "))
	}
	return nil
}
