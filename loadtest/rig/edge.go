package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startTime is how long a server may take to be ready.
const startTime = 15 * time.Second

// EdgeConfig says how to run an edge.
type EdgeConfig struct {
	// Program is the path of nearcast.
	Program string
	// Dir is where it logs. Required.
	Dir string
	// Origin is the origin's host:port.
	Origin string
	// Certificate is for the TLS port. Required.
	Certificate Certificate
	// Core is where it runs.
	Core int
	// Args are more arguments.
	Args []string
}

// Edge is a running stand-alone edge that logs accesses and serves metrics, as in production.
type Edge struct {
	*Process
	// Plain and TLS are where it serves, host:port.
	Plain, TLS string
	// Admin is where its metrics are, host:port.
	Admin string
	// Log and AccessLog are its files.
	Log, AccessLog string
}

// StartEdge runs an edge and waits until it is ready.
func StartEdge(ctx context.Context, c EdgeConfig) (*Edge, error) {
	ports, err := FreePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	e := &Edge{
		Plain: ports[0], Admin: ports[1], TLS: ports[2],
		Log: filepath.Join(c.Dir, "edge.log"), AccessLog: filepath.Join(c.Dir, "access.ndjson"),
	}
	args := []string{
		"edge", "--listen", e.Plain, "--tls-listen", e.TLS, "--cert", c.Certificate.Cert, "--key", c.Certificate.Key,
		"--admin", e.Admin, "--origin", "http://" + c.Origin, "--access-log", e.AccessLog,
	}
	e.Process, err = Start(ctx, Command{Name: "nearcast edge", Path: c.Program, Args: append(args, c.Args...), Core: c.Core, Output: e.Log})
	if err != nil {
		return nil, err
	}
	if err := e.Await(ctx, func() bool { return isReady(ctx, e.Admin) }); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// Await waits until a process is ready, and fails if that takes too long or the process ends.
func (p *Process) Await(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s ended before it was ready: %w", p.Name, errors.Join(p.err, errAsked))
		case <-deadline.C:
			return fmt.Errorf("%s is not ready after %s", p.Name, startTime)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.Tree()
	return nil
}

var errAsked = errors.New("its output says why")

// Listens reports whether somebody accepts connections on addr.
func Listens(ctx context.Context, addr string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	conn.Close() //nolint:errcheck // not used
	return true
}

// askAdmin asks a server's admin address for a path.
func askAdmin(ctx context.Context, addr, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	return client.Do(req)
}

// isReady reports whether a server says that it is.
func isReady(ctx context.Context, addr string) bool {
	resp, err := askAdmin(ctx, addr, "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close() //nolint:errcheck // not read
	return resp.StatusCode == http.StatusOK
}

// Metrics reads the edge's metrics, by name with labels.
func (e *Edge) Metrics(ctx context.Context) (map[string]float64, error) { return metrics(ctx, e.Admin) }

func metrics(ctx context.Context, addr string) (map[string]float64, error) {
	resp, err := askAdmin(ctx, addr, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", addr, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return parseMetrics(resp.Body)
}

// parseMetrics reads the text format of Prometheus, as far as one program writes it.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	metrics := make(map[string]float64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: %q: %w", line, err)
		}
		metrics[line[:at]] = value
	}
	return metrics, lines.Err()
}

// FreePorts returns addresses of 127.0.0.1 that nobody listens on, below the range that the system gives to clients.
func FreePorts(ctx context.Context, n int) ([]string, error) {
	var addrs []string
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close() //nolint:errcheck // it was only held
		}
	}()
	for range 1000 {
		if len(addrs) == n {
			return addrs, nil
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprint("127.0.0.1:", 10000+rand.IntN(22000)))
		if err != nil {
			continue
		}
		held = append(held, l)
		addrs = append(addrs, l.Addr().String())
	}
	return nil, errors.New("no free ports")
}
