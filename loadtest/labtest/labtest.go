// Package labtest starts a whole CDN for a test: the real program, built from the
// tree, as `nearcast up` runs it, with every process and socket real.
//
// It is not for unit tests, which need no lab.
package labtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nearcast/deploy/local"
	"nearcast/internal/waitfor"
)

// Lab is a running CDN.
type Lab struct {
	local.Endpoints
	// Dir is the lab's directory, Program the nearcast binary.
	Dir, Program string
	// PortBase is the first of its ports.
	PortBase int
	// Out is what `nearcast up` printed to standard output.
	Out string

	up     *exec.Cmd
	ended  chan struct{} // closed when the driver has ended
	stderr *lockedBuffer
	client *http.Client
}

// Program builds nearcast once for each test binary and returns its path.
func Program(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

//nolint:gochecknoglobals // one build for each test binary
var buildOnce = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "nearcast-test-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "nearcast")
	build := exec.Command("go", "build", "-o", program, "./cmd/nearcast")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building nearcast: %w\n%s", err, out)
	}
	// The lab's S3 server is looked for beside the program.
	if tool := filepath.Join(root, "bin", "versitygw"); exists(tool) {
		return program, os.Symlink(tool, filepath.Join(dir, "versitygw"))
	}
	return program, nil
})

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Root returns the module's root folder.
func Root(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Start starts a lab with more arguments for `nearcast up`, waits until it is
// ready, and stops it when the test ends, which fails if a process is left over.
func Start(t testing.TB, args ...string) *Lab {
	t.Helper()
	program := Program(t)
	for range 20 {
		// Below the range of ephemeral ports, so that no client's port is in the way.
		base := 10000 + 100*rand.IntN(220)
		lab, taken := tryStart(t, program, t.TempDir(), base, args)
		if !taken {
			t.Cleanup(func() { lab.stop(t) })
			return lab
		}
	}
	t.Fatal("no free ports for a lab in 20 attempts")
	return nil
}

// Restart stops the lab and starts it again in the same directory.
func (l *Lab) Restart(t testing.TB) {
	t.Helper()
	l.stop(t)
	again, taken := tryStart(t, l.Program, l.Dir, l.PortBase, nil)
	if taken {
		t.Fatal("the lab's ports are taken after it has stopped")
	}
	*l = *again
}

// KillDriver kills `nearcast up` itself without warning.
func (l *Lab) KillDriver(t testing.TB) {
	t.Helper()
	if err := l.up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-l.ended
}

// Alive reports whether a process of the lab runs.
func (l *Lab) Alive(p local.ProcessEndpoint) bool { return isProcessOf(p.PID, l.Dir) }

// tryStart starts a lab; taken says that its ports are in use by somebody else.
func tryStart(t testing.TB, program, dir string, base int, args []string) (lab *Lab, taken bool) {
	t.Helper()
	lab = &Lab{
		Dir: dir, Program: program, PortBase: base,
		ended: make(chan struct{}), stderr: &lockedBuffer{},
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	var stdout lockedBuffer
	lab.up = exec.Command(program, append([]string{"up", "--dir", lab.Dir, "--port-base", fmt.Sprint(base)}, args...)...)
	lab.up.Stdout, lab.up.Stderr = &stdout, lab.stderr
	if err := lab.up.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lab.up.Wait() //nolint:errcheck // what matters is in its output
		close(lab.ended)
	}()
	ready := func() bool { return exists(filepath.Join(lab.Dir, "endpoints.json")) && stdout.Len() > 0 }
	if !lab.await(3*time.Minute, ready) {
		if strings.Contains(lab.stderr.String(), "--port-base") {
			return nil, true
		}
		lab.up.Process.Kill() //nolint:errcheck // it may have ended
		t.Fatalf("nearcast up did not become ready:\n%s", lab.stderr)
	}
	lab.Out = stdout.String()
	lab.Reload(t)
	return lab, false
}

// await polls until done, the driver's end or the timeout; it returns done's answer.
func (l *Lab) await(timeout time.Duration, done func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(timeout)
	for !done() {
		select {
		case <-tick.C:
		case <-l.ended:
			return done()
		case <-deadline:
			return done()
		}
	}
	return true
}

// Reload reads endpoints.json again.
func (l *Lab) Reload(t testing.TB) {
	t.Helper()
	e, err := local.ReadEndpoints(l.Dir)
	if err != nil {
		t.Fatal(err)
	}
	l.Endpoints = *e
}

// stop ends the lab the way Ctrl-C does.
func (l *Lab) stop(t testing.TB) {
	l.client.CloseIdleConnections()
	l.up.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
	if !l.await(30*time.Second, func() bool { return !l.Running() }) {
		t.Errorf("nearcast up did not stop within 30 s of an interrupt")
		l.up.Process.Kill() //nolint:errcheck // it may have ended
		<-l.ended
	}
	for _, p := range l.Processes {
		if isProcessOf(p.PID, l.Dir) {
			t.Errorf("%s is left over as process %d", p.Name, p.PID)
			syscall.Kill(p.PID, syscall.SIGKILL) //nolint:errcheck // it may have ended
		}
	}
	if t.Failed() {
		t.Logf("nearcast up said:\n%s", l.stderr)
		l.logProcesses(t)
	}
}

// logProcesses shows the end of every process's log.
func (l *Lab) logProcesses(t testing.TB) {
	for _, p := range l.Processes {
		text, err := os.ReadFile(p.Log)
		if err != nil || len(text) == 0 {
			continue
		}
		t.Logf("end of the log of %s:\n%s", p.Name, text[max(0, len(text)-400):])
	}
}

// Running reports whether the driver runs.
func (l *Lab) Running() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// isProcessOf reports whether pid is a live process that was started for the lab
// in dir: a bare pid may belong to somebody else by now.
func isProcessOf(pid int, dir string) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(cmdline, []byte(dir))
}

// Run runs an operator command against the lab and returns its standard output.
func (l *Lab) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, stderr, err := l.try(t, args...)
	if err != nil {
		t.Fatalf("nearcast %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr)
	}
	return out
}

func (l *Lab) try(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), l.Program, args...)
	cmd.Env = append(os.Environ(), "NEARCAST_DIR="+l.Dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	return string(out), said.String(), err
}

// Get asks the node or front at addr for a URL path of a domain; the caller
// closes the body.
func (l *Lab) Get(ctx context.Context, addr, domain, path string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = domain
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return l.client.Do(req)
}

// Fetch is Get with the body read; any failure ends the test.
func (l *Lab) Fetch(t testing.TB, addr, domain, path string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	resp, err := l.Get(t.Context(), addr, domain, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading %s%s from %s: %v", domain, path, addr, err)
	}
	return resp, body
}

// Node returns the cache node of that name.
func (l *Lab) Node(t testing.TB, name string) local.NodeEndpoint {
	t.Helper()
	for _, n := range l.Nodes {
		if string(n.Name) == name {
			return n
		}
	}
	t.Fatalf("no node %q", name)
	return local.NodeEndpoint{}
}

// Process returns the process of that name.
func (l *Lab) Process(t testing.TB, name string) local.ProcessEndpoint {
	t.Helper()
	for _, p := range l.Processes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no process %q", name)
	return local.ProcessEndpoint{}
}

// Kill kills a process without warning.
func (l *Lab) Kill(t testing.TB, name string) {
	t.Helper()
	p := l.Process(t, name)
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatalf("killing %s: %v", name, err)
	}
}

// StartAgain starts a process that has ended, as soon as nearcast up knows that it has, and waits until it is ready.
func (l *Lab) StartAgain(t testing.TB, name string) {
	t.Helper()
	Eventually(t, 5*time.Second, "the end of "+name+" is known", func() bool {
		out, stderr, err := l.try(t, "up", "start", name)
		if err != nil && !strings.Contains(stderr, name+" is running") {
			t.Fatalf("nearcast up start %s: %v\n%s%s", name, err, out, stderr)
		}
		return err == nil
	})
	l.Reload(t)
}

// Eventually fails the test if done is not true within the timeout; it returns
// how long that took.
func Eventually(t testing.TB, timeout time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	return waitfor.That(t, timeout, what, done)
}

// EdgeNodes returns the edge (L1) nodes.
func (l *Lab) EdgeNodes() []local.NodeEndpoint {
	var nodes []local.NodeEndpoint
	for _, n := range l.Nodes {
		if n.Tier == "edge" {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// HTTPPort returns the port that all nodes serve HTTP on.
func (l *Lab) HTTPPort(t testing.TB) string {
	t.Helper()
	_, port, err := net.SplitHostPort(l.Nodes[0].HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// lockedBuffer is a buffer that one goroutine may read while another writes.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Len()
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
