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

func run(args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	flags.SetOutput(errs)
	name := flags.String("trace", "", "`FILE` of requests; .xz and .gz are unpacked")
	format := flags.String("format", "text", "of the trace: text, oracle or int32")
	ramSize := flags.String("ram", "1%", "`SIZE` of RAM, such as 512MiB, or a share of the footprint")
	diskSize := flags.String("disk", "0", "`SIZE` of the disk behind it; 0: none")
	list := flags.String("policy", "live", "what to replay against: live, or rivals with commas between them, or all")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	case flags.NArg() > 0:
		return fmt.Errorf("%q is no flag: the trace is given by --trace", flags.Arg(0))
	case *name == "":
		return errors.New("--trace is missing: which file is to be replayed?")
	}
	chosen, err := choose(*list)
	if err != nil {
		return err
	}
	requests, err := readTrace(*name, *format)
	if err != nil {
		return err
	}
	objects, footprint := measure(requests)
	ram, err := size("--ram", *ramSize, footprint)
	if err != nil {
		return err
	}
	disk, err := size("--disk", *diskSize, footprint)
	if err != nil {
		return err
	}
	if ram == 0 {
		return fmt.Errorf("--ram %s of a footprint of %d octets is nothing: give more", *ramSize, footprint)
	}
	fmt.Fprintf(out, "%s: %d requests for %d objects, footprint %d octets; RAM %d, disk %d\n\n", *name, len(requests), objects, footprint, ram, disk) //nolint:errcheck // of the report
	return table(out, chosen, requests, footprint, ram, disk)
}

// table replays the trace against each policy and prints a line for it.
func table(out io.Writer, chosen []contender, requests []request, footprint, ram, disk int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "policy\tobjects\toctets\tin RAM: objects\toctets\twritten per unique octet\tmemory beyond bodies\t") //nolint:errcheck // a tabwriter keeps the error for Flush
	for _, c := range chosen {
		r, err := replay(func() (store, error) { return c.open(ram, disk, requests) }, requests)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\t%.4f\t%.3f\t%.1f MiB\t\n", c.name, r.ratio(r.hits), r.octetRatio(r.hitOctets), //nolint:errcheck // as above
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
