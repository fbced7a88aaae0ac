package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "fronts:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

// options are the flags.
type options struct {
	program    string
	scenarios  []string
	seed       uint64
	pairs      int
	requests   int // of redirects
	duration   time.Duration
	mutants    int // a second, over UDP
	flood      int // queries a second
	serverCore int
	loadCore   int
	strict     bool
}

// scenario is something to prove.
type scenario struct {
	name, what string
	run        func(ctx context.Context, o options, r *report) error
}

//nolint:gochecknoglobals // constant
var scenarios = []scenario{
	{"pairs", "every front sends each of many names and networks to the same POP", pairsAgree},
	{"mutants", "mutants of queries over every front do no harm to those who ask properly", mutantsDoNoHarm},
	{"random", "a flood of names that nobody has costs no memory, and honest clients nothing", randomNames},
	{"spoofed", "a network in whose name many ask is not drowned, and its neighbours are answered", spoofed},
	{"amplification", "no answer over UDP is much longer than its query", amplified},
	{"crowd", "who wants all connections of DNS over TCP keeps nobody out, and drives nobody away", crowded},
	{"elsewhere", "the redirecting front sends nobody to what is not configured", elsewhere},
	{"forged", "HTTPDNS refuses signatures that are wrong, late or missing", forged},
	{"rate", "what an answer costs on each front", rates},
	{"latency", "how late answers are at half the highest rate", latency},
}

func parseFlags(args []string, errs io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("fronts", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.program, "program", "bin/nearcast", "the `PATH` of nearcast")
	names := flags.String("scenario", "all", "`NAMES` of what to prove, comma-separated")
	flags.Uint64Var(&o.seed, "seed", 1, "of the chance that makes fleet, questions and mutants")
	flags.IntVar(&o.pairs, "pairs", 10_000, "how `MANY` names and networks are asked about")
	flags.IntVar(&o.requests, "requests", 100_000, "how `MANY` requests are made of the redirecting front")
	seconds := flags.Float64("seconds", 60, "how long mutants and floods are sent; of a measurement each takes at most 5 `SECONDS`")
	flags.IntVar(&o.mutants, "mutants", 20_000, "how `MANY` mutants are sent over UDP each second")
	flags.IntVar(&o.flood, "flood", 20_000, "how `MANY` queries a flood has each second")
	flags.IntVar(&o.serverCore, "server-core", 0, "the `CORE` of the scheduler where something is measured, -1 for any")
	flags.IntVar(&o.loadCore, "load-core", runtime.NumCPU()-1, "the `CORE` of the load there, -1 for any")
	flags.BoolVar(&o.strict, "strict", true, "limits of time count: the machine does nothing else")
	flags.Usage = func() {
		fmt.Fprint(errs, "Prove the scheduler's fronts on this machine.\n\n  go run ./loadtest/fronts [flags]\n\n")
		flags.PrintDefaults()
		fmt.Fprintln(errs, "\nScenarios:")
		for _, s := range scenarios {
			fmt.Fprintf(errs, "  %-14s %s\n", s.name, s.what)
		}
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	o.duration = time.Duration(*seconds * float64(time.Second))
	if flags.NArg() > 0 || o.duration <= 0 || o.pairs < 1 || o.requests < 1 || o.mutants < 1 || o.flood < 1 {
		fmt.Fprintln(errs, "fronts: flags only, and numbers greater than zero; see --help")
		return o, errUsage
	}
	for name := range strings.SplitSeq(*names, ",") {
		if name != "all" && !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			fmt.Fprintf(errs, "fronts: there is no scenario %q; see --help\n", name)
			return o, errUsage
		}
		o.scenarios = append(o.scenarios, name)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := parseFlags(args, errs)
	if err != nil {
		return err
	}
	var broken []error
	r := &report{out: out}
	for _, s := range scenarios {
		if !slices.Contains(o.scenarios, s.name) && !slices.Contains(o.scenarios, "all") {
			continue
		}
		if err := s.run(ctx, o, r); err != nil {
			broken = append(broken, fmt.Errorf("%s: %w", s.name, err))
			r.say("%s: BROKEN: %v", s.name, err)
		}
		if ctx.Err() != nil {
			return errors.Join(append(broken, ctx.Err())...)
		}
	}
	return errors.Join(broken...)
}
