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
	"runtime"
	"strings"
	"syscall"
	"time"

	"nearcast/loadtest/flood/attack"
	"nearcast/loadtest/rig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

// options are the flags.
type options struct {
	program         string
	edge, tls       string // of an edge that runs
	attacks         string
	list            bool
	duration        time.Duration
	quiet           time.Duration // how long the victims are watched without an attack
	drip            time.Duration
	connections     int
	slowConnections int
	serverCore      int
	loadCore        int
	json            string
	limits          limits
}

func parseFlags(args []string, errs io.Writer) (options, error) {
	o := options{serverCore: rig.AnyCore, loadCore: rig.AnyCore}
	if runtime.NumCPU() > 1 {
		o.serverCore, o.loadCore = 0, 1
	}
	flags := flag.NewFlagSet("flood", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.program, "program", "bin/nearcast", "`FILE` that is the edge's program; `make build` makes it")
	flags.StringVar(&o.edge, "edge", "", "attack the server that listens at `ADDR` without TLS, instead of starting an edge; it must answer "+smallObject+" and "+largeObject)
	flags.StringVar(&o.tls, "tls", "", "the same server's `ADDR` with TLS and HTTP/2")
	flags.StringVar(&o.attacks, "attack", "all", "`NAMES` with commas, or all")
	flags.BoolVar(&o.list, "list", false, "list the attacks")
	seconds := flags.Float64("seconds", 20, "how long each attack takes")
	quiet := flags.Float64("quiet", 0, "`SECONDS` that the victims are watched before it; a quarter of an attack if 0")
	flags.DurationVar(&o.drip, "drip", time.Second, "how often a slow attacker moves")
	flags.IntVar(&o.connections, "connections", 16, "attackers at full speed")
	flags.IntVar(&o.slowConnections, "slow-connections", 5000, "attackers that hardly move")
	flags.IntVar(&o.serverCore, "server-core", o.serverCore, "core of the edge; -1 lets the system choose")
	flags.IntVar(&o.loadCore, "load-core", o.loadCore, "core of the attackers; -1 lets the system choose")
	flags.StringVar(&o.json, "json", "", "`FILE` that gets the results as JSON")
	flags.Float64Var(&o.limits.share, "min-share", .95, "share of the victims' requests that must succeed")
	flags.Float64Var(&o.limits.slower, "max-slower", 2, "how many times as long the victims' p99 may be; 0 does not look at it")
	flags.Int64Var(&o.limits.memory, "max-memory", 128, "`MIB` that the edge's memory may grow by")
	flags.Int64Var(&o.limits.each, "max-memory-each", 96, "`KIB` more for each attacker")
	flags.BoolVar(&o.limits.named, "named", true, "the edge's log or metrics must tell of attackers that do what no visitor does, and of those that it cut off")
	flags.Usage = func() {
		fmt.Fprint(errs, "Attack an edge on this machine and show what becomes of its visitors.\n\n  go run ./loadtest/flood [flags]\n\n")
		flags.PrintDefaults()
		fmt.Fprint(errs, "\nWhat is measured, and how: go doc ./loadtest/flood\n")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	o.duration, o.quiet = time.Duration(*seconds*float64(time.Second)), time.Duration(*quiet*float64(time.Second))
	if o.quiet == 0 {
		o.quiet = max(o.duration/4, time.Second)
	}
	if flags.NArg() > 0 || o.duration <= 0 || o.connections < 1 || o.slowConnections < 1 || (o.tls != "" && o.edge == "") {
		fmt.Fprintln(errs, "flood: flags only, and numbers greater than zero; --tls goes with --edge; see --help")
		return o, errUsage
	}
	return o, nil
}

// chosen returns the attacks that are asked for.
func (o options) chosen() ([]attack.Attack, error) {
	if o.attacks == "all" {
		return attack.All(), nil
	}
	var attacks []attack.Attack
	for name := range strings.SplitSeq(o.attacks, ",") {
		a, err := attack.ByName(name)
		if err != nil {
			return nil, fmt.Errorf("%w; --list shows them", err)
		}
		attacks = append(attacks, a)
	}
	return attacks, nil
}

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	if len(args) > 0 && args[0] == attackerCommand {
		return runAttacker(ctx, in, out)
	}
	o, err := parseFlags(args, errs)
	if err != nil {
		return err
	}
	attacks, err := o.chosen() //nolint:contextcheck // a session has the context of its attack
	if err != nil {
		return err
	}
	if o.list {
		for _, a := range attacks {
			fmt.Fprintf(out, "%-34s %s\n", a.Name, a.What)
		}
		return nil
	}
	outcomes, err := siege(ctx, o, attacks, errs)
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
