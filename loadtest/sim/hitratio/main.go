package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"

	"nearcast/cdn"
)

func main() {
	switch err := run(os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "hitratio:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

// options are the flags.
type options struct {
	trace, format     string
	ram, disk, policy string
	model             model
}

func parseFlags(args []string, errs io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.trace, "trace", "", "`FILE` of requests; .xz and .gz are unpacked. For tragen, the model's folder")
	flags.StringVar(&o.format, "format", "text", "of the trace: text, oracle or int32; tragen: make one from a model")
	flags.StringVar(&o.ram, "ram", "1%", "`SIZE` of RAM, such as 512MiB, or a share of the footprint")
	flags.StringVar(&o.disk, "disk", "0", "`SIZE` of the disk behind it; 0: none")
	flags.StringVar(&o.policy, "policy", "live", "what to replay against: live, or rivals with commas between them, or all")
	flags.IntVar(&o.model.requests, "requests", 200_000, "tragen: how many are made")
	flags.Uint64Var(&o.model.seed, "seed", 1, "tragen: the same makes the same trace")
	flags.Float64Var(&o.model.shrink, "shrink", 1, "tragen: divides the octets between two requests for the same object, for short traces")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, errUsage
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag: the trace is given by --trace", flags.Arg(0))
	case o.trace == "":
		return o, errors.New("--trace is missing: which file is to be replayed?")
	}
	return o, o.model.check()
}

func (o options) requests() ([]request, error) {
	if o.format == "tragen" {
		return makeTragen(o.trace, o.model.requests, o.model.seed, o.model.shrink)
	}
	return readTrace(o.trace, o.format)
}

func run(args []string, out, errs io.Writer) error {
	o, err := parseFlags(args, errs)
	if err != nil {
		return err
	}
	chosen, err := choose(o.policy)
	if err != nil {
		return err
	}
	requests, err := o.requests()
	if err != nil {
		return err
	}
	objects, footprint := measure(requests)
	ram, err := size("--ram", o.ram, footprint)
	if err != nil {
		return err
	}
	disk, err := size("--disk", o.disk, footprint)
	if err != nil {
		return err
	}
	if ram == 0 {
		return fmt.Errorf("--ram %s of a footprint of %d octets is nothing: give more", o.ram, footprint)
	}
	_, err = fmt.Fprintf(out, "%s: %d requests for %d objects, footprint %d octets; RAM %d, disk %d\n\n", o.trace, len(requests), objects, footprint, ram, disk)
	if err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return table(out, chosen, requests, footprint, ram, disk)
}

// table replays the trace against each policy and prints a line for it.
func table(out io.Writer, chosen []contender, requests []request, footprint, ram, disk int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "policy\tobjects\toctets\tin RAM: objects\toctets\twritten per unique octet\tmemory beyond bodies\t") // a tabwriter keeps the error for Flush
	for _, c := range chosen {
		r, err := replay(func() (store, error) { return c.open(ram, disk, requests) }, requests)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\t%.4f\t%.3f\t%.1f MiB\t\n", c.name, r.ratio(r.hits), r.octetRatio(r.hitOctets),
			r.ratio(r.ramHits), r.octetRatio(r.ramOctets), float64(r.written)/float64(footprint), float64(r.memory)/(1<<20))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

// result is what a replay has counted.
type result struct {
	requests, hits, ramHits      int64
	octets, hitOctets, ramOctets int64
	written                      int64 // octets, to the disk
	memory                       int64 // octets of the heap at the end that are the store's
}

func (r result) ratio(hits int64) float64 { return float64(hits) / float64(r.requests) }

func (r result) octetRatio(hits int64) float64 { return float64(hits) / float64(max(r.octets, 1)) }

// replay asks a new store for everything in the trace.
func replay(open func() (store, error), requests []request) (result, error) {
	before := heap()
	s, err := open()
	if err != nil {
		return result{}, err
	}
	defer s.close()
	r := result{requests: int64(len(requests))}
	for _, q := range requests {
		r.octets += q.size
		switch s.request(q.id, q.size) {
		case inRAM:
			r.ramHits++
			r.ramOctets += q.size
			fallthrough
		case onDisk:
			r.hits++
			r.hitOctets += q.size
		case nowhere:
		}
	}
	r.written = s.written()
	r.memory = max(0, heap()-before)
	runtime.KeepAlive(s)
	return r, nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far from 2^63
}

// measure counts the objects of a trace and adds up their sizes, each at its largest.
func measure(requests []request) (objects int, footprint int64) {
	sizes := make(map[uint64]int64)
	for _, q := range requests {
		before, known := sizes[q.id]
		if !known || q.size > before {
			sizes[q.id] = q.size
			footprint += q.size - before
		}
	}
	return len(sizes), footprint
}

// size reads a size, or a share in per cent of the footprint.
func size(flag, s string, footprint int64) (int64, error) {
	if number, ok := strings.CutSuffix(s, "%"); ok {
		share, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsNaN(share) || share < 0 || share > 1000 {
			return 0, fmt.Errorf("%s: %q is not a share of the footprint from 0%% to 1000%%", flag, s)
		}
		return int64(share / 100 * float64(footprint)), nil
	}
	octets, err := cdn.ParseSize(s)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", flag, err)
	}
	if octets > maxSize {
		return 0, fmt.Errorf("%s: %s is more than the %d octets that can be simulated", flag, s, int64(maxSize))
	}
	return int64(octets), nil
}
