package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"nearcast/loadtest/rig"
)

// edgeName is the edge's in tables.
const edgeName = "nearcast"

// server is a cache in front of the origin.
type server struct {
	name       string
	version    string
	plain, tls string // host:port; tls is empty if it has none
	most       int    // connections that it takes; 0 means as many as files
	start      func(ctx context.Context) (*rig.Process, error)

	*rig.Process // while it runs
}

// site is what every server gets.
type site struct {
	dir    string // for their files; of everybody to read
	origin string // host:port
	cert   rig.Certificate
	core   int
	files  int // that a process may open
}

// lineup returns the servers that can be run here, the edge first, and the names of those that cannot.
func lineup(ctx context.Context, s site, program string, only []string) (servers []*server, missing []string, err error) {
	wanted := func(name string) bool { return len(only) == 0 || slices.Contains(only, name) }
	if wanted(edgeName) {
		servers = append(servers, newEdge(ctx, s, program))
	}
	for _, p := range peers() {
		if !wanted(p.name) {
			continue
		}
		path, err := exec.LookPath(p.program)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", p.name, p.debian))
			continue
		}
		server, err := newPeer(ctx, s, p, path)
		if err != nil {
			return nil, nil, fmt.Errorf("preparing %s: %w", p.name, err)
		}
		servers = append(servers, server)
	}
	return servers, missing, nil
}

// newEdge is the subject. It learns its addresses each time that it starts.
func newEdge(ctx context.Context, s site, program string) *server {
	v := &server{name: edgeName, version: strings.TrimPrefix(firstLine(ctx, program, "--version"), "nearcast version ")}
	v.start = func(ctx context.Context) (*rig.Process, error) {
		e, err := rig.StartEdge(ctx, rig.EdgeConfig{Program: program, Dir: s.dir, Origin: s.origin, Certificate: s.cert, Core: s.core, Args: []string{"--disk", filepath.Join(s.dir, "cache") + ":2GiB"}})
		if err != nil {
			return nil, err
		}
		v.plain, v.tls = e.Plain, e.TLS
		return e.Process, nil
	}
	return v
}

// newPeer writes the configuration of a peer.
func newPeer(ctx context.Context, s site, p peer, path string) (*server, error) {
	ports, err := rig.FreePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	v := &server{name: p.name, version: p.version(firstLine(ctx, path, p.askVersion...)), plain: ports[0]}
	if p.tls {
		v.tls = ports[1]
	}
	if p.twoFiles {
		v.most = s.files/2 - 200
	}
	dir := filepath.Join(s.dir, p.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	c, err := p.configure(place{site: s, dir: dir, plain: ports[0], tls: ports[1]})
	if err != nil {
		return nil, err
	}
	c.Name, c.Path, c.Core, c.Output = p.name, path, s.core, filepath.Join(dir, "output")
	v.start = func(ctx context.Context) (*rig.Process, error) {
		process, err := rig.Start(ctx, c)
		if err != nil {
			return nil, err
		}
		up := func() bool { return rig.Listens(ctx, v.plain) && (v.tls == "" || rig.Listens(ctx, v.tls)) }
		if err := process.Await(ctx, up); err != nil {
			process.Stop()
			text, _ := os.ReadFile(c.Output)
			return nil, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-1000):])
		}
		return process, nil
	}
	return v, nil
}

// run starts the server.
func (v *server) run(ctx context.Context) error {
	p, err := v.start(ctx)
	if err != nil {
		return err
	}
	v.Process = p
	return nil
}

// url returns the address of a path.
func (v *server) url(tls bool, path string) string {
	if tls {
		return "https://" + v.tls + path
	}
	return "http://" + v.plain + path
}

// firstLine returns the first line that a program prints, such as its version.
func firstLine(ctx context.Context, path string, args ...string) string {
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if err != nil && line == "" {
		return "version unknown"
	}
	return strings.TrimSpace(line)
}
