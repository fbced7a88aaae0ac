package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearcast/loadtest/rig"
)

// load is what a load generator says of one measurement.
type load struct {
	done     int64   // responses
	bad      int64   // those that were errors, and what failed otherwise
	rate     float64 // responses per second
	p50, p99 time.Duration
	remark   string
}

// toolTime is how much longer than asked a load generator may take.
const toolTime = time.Minute

// runTool runs a load generator on its core and returns what it printed.
func runTool(ctx context.Context, core int, d time.Duration, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d+toolTime)
	defer cancel()
	p, err := rig.Start(ctx, rig.Command{Name: path, Path: path, Args: args, Core: core, Pipes: true})
	if err != nil {
		return "", err
	}
	defer p.Stop()
	out, err := io.ReadAll(p.Out)
	return string(out), errors.Join(err, p.Wait(), ctx.Err())
}

func runWrk(ctx context.Context, o options, url string) (load, error) {
	args := []string{"-t1", "-c" + strconv.Itoa(o.connections), fmt.Sprintf("-d%ds", o.seconds), "--latency", url}
	out, err := runTool(ctx, o.loadCore, o.duration(), "wrk", args...)
	if err != nil {
		return load{}, err
	}
	return parseWrk(out)
}

var (
	wrkDone   = regexp.MustCompile(`(?m)^\s*(\d+) requests in`)
	wrkRate   = regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`)
	wrkP50    = regexp.MustCompile(`(?m)^\s+50%\s+(\S+)`)
	wrkP99    = regexp.MustCompile(`(?m)^\s+99%\s+(\S+)`)
	wrkStatus = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d+)`)
	wrkErrors = regexp.MustCompile(`(?m)^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)

	h2Rate   = regexp.MustCompile(`(?m)^finished in .*?, ([\d.]+) req/s`)
	h2Done   = regexp.MustCompile(`(?m)^requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded`)
	h2Status = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx`)
)

// parseWrk reads the output of wrk --latency.
func parseWrk(out string) (load, error) {
	var l load
	err := errors.Join(
		find(out, wrkDone, &l.done), find(out, wrkRate, &l.rate), find(out, wrkP50, &l.p50), find(out, wrkP99, &l.p99),
	)
	if err != nil {
		return load{}, fmt.Errorf("reading wrk's output: %w\n%s", err, out)
	}
	for _, re := range []*regexp.Regexp{wrkStatus, wrkErrors} { // lines that are there only if something was wrong
		for _, word := range slices.Concat(re.FindStringSubmatch(out), []string{""})[1:] {
			if n, err := strconv.ParseInt(word, 10, 64); err == nil {
				l.bad += n
			}
		}
	}
	return l, nil
}

// find reads what the expression's only group matches into a value.
func find(text string, re *regexp.Regexp, value any) error {
	m := re.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("no line like %s", re)
	}
	var err error
	switch v := value.(type) {
	case *int64:
		*v, err = strconv.ParseInt(m[1], 10, 64)
	case *float64:
		*v, err = strconv.ParseFloat(m[1], 64)
	case *time.Duration:
		*v, err = time.ParseDuration(m[1])
	}
	return err
}

func runH2load(ctx context.Context, o options, s scenario, url string) (load, error) {
	log := filepath.Join(o.dir, "h2load.log")
	defer os.Remove(log) //nolint:errcheck // in a folder that goes as a whole
	n := max(512, s.perSecond*o.seconds)
	args := []string{"-n", strconv.Itoa(n), "-c16", "-m16", "--log-file=" + log, url}
	out, err := runTool(ctx, o.loadCore, o.duration(), "h2load", args...)
	if err != nil {
		return load{}, err
	}
	l, err := parseH2load(out)
	if err != nil {
		return load{}, err
	}
	f, err := os.Open(log)
	if err != nil {
		return load{}, fmt.Errorf("reading h2load's log: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	l.p50, l.p99, err = parseH2log(f)
	return l, err
}

// parseH2load reads the output of h2load.
func parseH2load(out string) (load, error) {
	var l load
	var total int64
	if err := errors.Join(find(out, h2Rate, &l.rate), find(out, h2Done, &total), find(out, h2Status, &l.done)); err != nil {
		return load{}, fmt.Errorf("reading h2load's output: %w\n%s", err, out)
	}
	l.bad = total - l.done
	return l, nil
}

// parseH2log reads the percentiles of h2load's log, a line for each request: start, status, microseconds.
func parseH2log(r io.Reader) (p50, p99 time.Duration, err error) {
	var took []time.Duration
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 3 {
			return 0, 0, fmt.Errorf("reading h2load's log: %q: want three columns", lines.Text())
		}
		us, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading h2load's log: %w", err)
		}
		took = append(took, time.Duration(us)*time.Microsecond)
	}
	slices.Sort(took)
	return percentile(took, 50), percentile(took, 99), lines.Err()
}

// percentile returns the least value that p percent of the sorted values do not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	at := int(math.Ceil(float64(len(sorted))*p/100)) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// missingTools returns what to install for the load.
func missingTools() []string {
	var missing []string
	for _, tool := range [][2]string{{"wrk", "wrk"}, {"h2load", "nghttp2-client"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			missing = append(missing, fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", tool[0], tool[1]))
		}
	}
	return missing
}
