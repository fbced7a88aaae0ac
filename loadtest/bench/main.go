package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
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
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var (
	errUsage  = errors.New("usage")
	errMissed = errors.New("a limit is missed")
)

// options are the flags.
type options struct {
	program     string
	rounds      int
	seconds     int
	connections int
	serverCore  int
	loadCore    int
	idle        int
	idleWait    time.Duration
	only        string
	servers     string
	json        string
	markdown    string
	notes       string
	render      string
	check       bool

	dir     string // of this run's files
	command string // what a reader types to repeat it
}

func (o options) duration() time.Duration { return time.Duration(o.seconds) * time.Second }

// wants reports whether a row is asked for.
func (o options) wants(id string) bool { return o.only == "" || matches(o.only, id) }

// matches reports whether an id is in a list with commas; "h1" also stands for what begins with "h1-".
func matches(list, id string) bool {
	for word := range strings.SplitSeq(list, ",") {
		if word == id || strings.HasPrefix(id, word+"-") {
			return true
		}
	}
	return false
}

func parseFlags(args []string, errs io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.program, "program", "bin/nearcast", "`FILE` that is the edge's program; `make build` makes it")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each server is measured; the median counts")
	flags.IntVar(&o.seconds, "seconds", 4, "how long one measurement takes, about")
	flags.IntVar(&o.connections, "connections", 64, "connections of wrk")
	flags.IntVar(&o.serverCore, "server-core", 0, "core that all servers are pinned to")
	flags.IntVar(&o.loadCore, "load-core", 1, "core that the load is pinned to")
	flags.IntVar(&o.idle, "idle", 20_000, "idle connections to hold; 0 leaves them out")
	flags.DurationVar(&o.idleWait, "idle-wait", 150*time.Second, "how long to wait before the memory of the edge's idle connections is read: Go collects garbage every 2 minutes at least")
	flags.StringVar(&o.only, "only", "", "`ROWS` to measure, with commas, such as h1,tls-1k: "+strings.Join(rowIDs(), ", "))
	flags.StringVar(&o.servers, "servers", "", "`SERVERS` to measure, with commas: nearcast, nginx, haproxy, varnish, ats; all that are installed if empty")
	flags.StringVar(&o.json, "json", "", "`FILE` that gets the results as JSON")
	flags.StringVar(&o.markdown, "markdown", "", "`FILE` that gets the results as Markdown; standard output if empty")
	flags.StringVar(&o.notes, "notes", "", "hand-written `FILE` in Markdown that the other one ends with")
	flags.StringVar(&o.render, "render", "", "measure nothing: read the results from this `FILE`, which --json has written")
	flags.BoolVar(&o.check, "check", false, "fail if a limit is missed")
	flags.Usage = func() {
		fmt.Fprint(errs, "Compare what a cache hit costs in Nearcast and in its peers.\n\n  go run ./loadtest/bench [flags]\n\n")
		flags.PrintDefaults()
		fmt.Fprint(errs, "\nIt needs two cores, wrk and h2load (Debian: wrk nghttp2-client), and takes for peers what it finds of\n"+
			"nginx, haproxy, varnish and trafficserver. How to read the figures: go doc ./loadtest/bench\n")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.seconds < 1 || o.connections < 1 || o.idle < 0 {
		fmt.Fprintln(errs, "bench: flags only, and numbers greater than zero; see --help")
		return o, errUsage
	}
	o.command = strings.TrimSpace("go run ./loadtest/bench " + strings.Join(args, " "))
	return o, nil
}

func rowIDs() []string {
	var ids []string
	for _, s := range scenarios() {
		ids = append(ids, s.id)
	}
	for _, s := range idleScenarios() {
		ids = append(ids, s.id)
	}
	return ids
}

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	if len(args) > 0 && args[0] == clientCommand {
		return runClient(ctx, in, out)
	}
	o, err := parseFlags(args, errs)
	if err != nil {
		return err
	}
	var r report
	if o.render != "" {
		r, err = readReport(o.render)
	} else {
		r, err = measure(ctx, o, errs)
	}
	if err != nil {
		return err
	}
	return publish(r, o, out)
}

// publish writes the results where they are wanted.
func publish(r report, o options, out io.Writer) error {
	if o.json != "" {
		if err := r.writeJSON(o.json); err != nil {
			return err
		}
	}
	var notes []byte
	if o.notes != "" {
		var err error
		if notes, err = os.ReadFile(o.notes); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("reading the notes: %w", err)
		}
	}
	text := r.markdown(string(notes))
	if o.markdown == "" {
		fmt.Fprint(out, text)
	} else if err := os.WriteFile(o.markdown, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	if o.check && len(r.missed()) > 0 {
		return fmt.Errorf("%w: %s", errMissed, strings.Join(r.missed(), ", "))
	}
	return nil
}
