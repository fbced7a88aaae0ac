package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"nearcast/loadtest/rig"
)

// bench is one run.
type bench struct {
	o       options
	origin  *rig.Origin
	servers []*server
	report  report
	files   int       // that a process may open
	errs    io.Writer // for progress
}

// measure does the whole of a run, and leaves nothing behind.
func measure(ctx context.Context, o options, errs io.Writer) (report, error) {
	if runtime.NumCPU() < 2 || o.serverCore == o.loadCore {
		return report{}, errors.New("the servers and the load need a core each, and two cores in all")
	}
	dir, err := os.MkdirTemp("", "nearcast-bench-")
	if err != nil {
		return report{}, err
	}
	defer os.RemoveAll(dir)                      //nolint:errcheck // only logs and caches
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the peers' users look into it
		return report{}, err
	}
	o.dir = dir
	b := &bench{o: o, errs: errs}
	b.files = rig.RaiseFiles(2*o.idle + 20_000)
	if room := b.files - b.files/10; room < o.idle {
		b.o.idle = max(0, room)
		b.remark("The limit of open files allows %d idle connections to a server.", b.o.idle)
	}
	if err := b.prepare(ctx); err != nil {
		return report{}, err
	}
	defer b.origin.Stop()
	if err := b.loads(ctx); err != nil {
		return report{}, err
	}
	if err := b.idles(ctx); err != nil {
		return report{}, err
	}
	return b.report, nil
}

// prepare starts the origin and finds the servers.
func (b *bench) prepare(ctx context.Context) error {
	cert, err := rig.NewCertificate(b.o.dir)
	if err != nil {
		return err
	}
	if err := os.Chmod(cert.Key, 0o644); err != nil { //nolint:gosec // a key for an hour, and for servers that are not root
		return err
	}
	origin, err := rig.StartOrigin(ctx)
	if err != nil {
		return err
	}
	var only []string
	if b.o.servers != "" {
		only = strings.Split(b.o.servers, ",")
	}
	s := site{dir: b.o.dir, origin: origin.Addr, cert: cert, core: b.o.serverCore, files: b.files}
	servers, missing, err := lineup(ctx, s, b.o.program, only)
	if err == nil && len(servers) == 0 {
		err = errors.New("no server to measure")
	}
	if err != nil {
		origin.Stop()
		return err
	}
	b.origin, b.servers = origin, servers
	b.report.describe(ctx, b.o, servers, append(missing, missingTools()...))
	for _, line := range b.report.Missing {
		fmt.Fprintln(b.errs, line)
	}
	return nil
}

func (b *bench) remark(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintln(b.errs, line)
	b.report.Remarks = append(b.report.Remarks, line)
}

// loads measures everything that has requests, with all servers up.
func (b *bench) loads(ctx context.Context) error {
	defer b.stop()
	for _, v := range b.servers {
		if err := v.run(ctx); err != nil {
			return err
		}
	}
	b.report.edgeTLS(b.servers)
	for _, s := range scenarios() {
		if !b.o.wants(s.id) || !b.report.has(s.tool) {
			continue
		}
		if err := b.load(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.id, err)
		}
	}
	return nil
}

func (b *bench) stop() {
	for _, v := range b.servers {
		v.Stop()
		v.Process = nil
	}
}

// load measures one scenario: every server once in each round.
func (b *bench) load(ctx context.Context, s scenario) error {
	results := make([]result, 0, len(b.servers))
	var able []*server
	for _, v := range b.servers {
		if s.tls && v.tls == "" {
			continue
		}
		if err := b.warm(ctx, v, s); err != nil {
			return fmt.Errorf("warming %s: %w", v.name, err)
		}
		able = append(able, v)
		results = append(results, result{Server: v.name})
	}
	for round := range b.o.rounds {
		for i, v := range able {
			if err := ctx.Err(); err != nil {
				return err
			}
			m, err := b.once(ctx, v, s)
			if err != nil {
				return fmt.Errorf("measuring %s: %w", v.name, err)
			}
			results[i].add(m)
			fmt.Fprintf(b.errs, "%s  round %d  %-8s  %8.2f us  %8.0f/s  p99 %s  bad %d %s\n", s.id, round+1, v.name, m.cost, m.rate, m.p99, m.bad, m.remark)
		}
	}
	if len(results) > 0 {
		b.report.addLoad(s, results)
	}
	return nil
}

// measured is one measurement.
type measured struct {
	load
	cost   float64 // microseconds of processor time for each response or connection
	origin int64   // requests that the origin got meanwhile
}

func (b *bench) once(ctx context.Context, v *server, s scenario) (measured, error) {
	asked := b.origin.Requests()
	l, cpu, err := b.generate(ctx, v, s)
	if err != nil {
		return measured{}, err
	}
	m := measured{load: l, origin: b.origin.Requests() - asked}
	if l.done > 0 {
		m.cost = float64(cpu.Microseconds()) / float64(l.done)
	}
	return m, nil
}

// generate makes the load, and returns with what it says the processor time that the server used meanwhile.
func (b *bench) generate(ctx context.Context, v *server, s scenario) (l load, cpu time.Duration, err error) {
	url := v.url(s.tls, s.path)
	if s.tool == handshakes {
		return b.connect(ctx, v, s)
	}
	before := v.CPU()
	if s.tool == h2load {
		l, err = runH2load(ctx, b.o, s, url)
	} else {
		l, err = runWrk(ctx, b.o, url)
	}
	return l, v.CPU() - before, err
}

// connect makes new connections.
func (b *bench) connect(ctx context.Context, v *server, s scenario) (load, time.Duration, error) {
	c, first, err := startClient(ctx, b.o, clientJob{Addr: v.tls, Path: s.path, TLS: true, Resume: s.resume, Duration: b.o.duration()})
	if err != nil {
		return load{}, 0, err
	}
	defer c.Stop()
	if first.Connections == 0 {
		return load{}, 0, fmt.Errorf("no connection: %s", first.Error)
	}
	before := v.CPU()
	r, err := c.work()
	if err != nil {
		return load{}, 0, err
	}
	used := v.CPU() - before
	l := load{done: r.Connections, bad: r.Failed, rate: float64(r.Connections) / r.Elapsed.Seconds(), p50: r.P50, p99: r.P99}
	switch {
	case s.resume && r.Resumed < r.Connections:
		l.remark = fmt.Sprintf("only %d of %d connections were resumed", r.Resumed, r.Connections)
	case !s.resume && r.Resumed > 0:
		l.remark = fmt.Sprintf("%d connections were resumed", r.Resumed)
	}
	if r.Error != "" {
		l.remark = strings.TrimSpace(l.remark + " " + r.Error)
	}
	return l, used, nil
}

// warm asks until the answer comes from the cache.
func (b *bench) warm(ctx context.Context, v *server, s scenario) error {
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	defer client.CloseIdleConnections()
	for range 10 {
		asked := b.origin.Requests()
		for range 2 {
			if err := get(ctx, &client, v.url(s.tls, s.path)); err != nil {
				return err
			}
		}
		if b.origin.Requests() == asked {
			return nil
		}
	}
	b.remark("%s does not cache %s.", v.name, s.path)
	return nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
