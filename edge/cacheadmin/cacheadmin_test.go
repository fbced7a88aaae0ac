package cacheadmin_test

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
	"nearcast/internal/fsys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one whose cache has as many objects as it says. It blocks where hold is set, until the context ends.
type node struct {
	objects int
	began   chan struct{} // gets one for each list or verification
	hold    bool
}

// Stats implements [cacheadmin.Node].
func (n *node) Stats() cacheadmin.Stats {
	return cacheadmin.Stats{Node: "n", Memory: cacheadmin.Memory{Objects: int64(n.objects)}}
}

// List implements [cacheadmin.Node].
func (n *node) List(ctx context.Context, f cacheadmin.Filter, yield func(*cacheadmin.Entry) bool) (bool, error) {
	if n.began != nil {
		n.began <- struct{}{}
	}
	for i := range n.objects {
		if f.Limit > 0 && i == f.Limit {
			return true, nil
		}
		if !yield(&cacheadmin.Entry{URL: f.Prefix, Site: cdn.SiteName(cmp.Or(f.Site, "s")), Tier: f.Tier, Status: i}) {
			break
		}
	}
	if n.hold {
		<-ctx.Done()
		return false, ctx.Err()
	}
	if f.Site == "nobody" {
		return false, cdn.Errorf(cdn.NotFound, "", "no such site")
	}
	return false, nil
}

// Show implements [cacheadmin.Node].
func (n *node) Show(_ context.Context, target cdn.Target) (*cacheadmin.Shown, error) {
	if target.Domain != "a.example" {
		return nil, cdn.Errorf(cdn.NotFound, "", "no site is configured for domain %s", target.Domain)
	}
	return &cacheadmin.Shown{URL: target.String(), Site: "s"}, nil
}

// Verify implements [cacheadmin.Node].
func (n *node) Verify(ctx context.Context, rate int64, tell func(cacheadmin.Report)) (cacheadmin.Report, error) {
	tell(cacheadmin.Report{Records: 1})
	tell(cacheadmin.Report{Records: 2}) // too soon to be told
	if n.hold {
		<-ctx.Done()
		n.began <- struct{}{}
		return cacheadmin.Report{Records: 3}, ctx.Err()
	}
	return cacheadmin.Report{Records: rate}, nil
}

// Drop implements [cacheadmin.Node].
func (n *node) Drop(target cdn.Target) (cacheadmin.Dropped, error) {
	return cacheadmin.Dropped{URL: target.String(), Objects: 1}, nil
}

// DropAll implements [cacheadmin.Node].
func (n *node) DropAll() (cacheadmin.Dropped, error) { return cacheadmin.Dropped{URL: "all"}, nil }

// serve has a node answer in a directory until stop is called, or the test ends.
func serve(t *testing.T, dir string, n cacheadmin.Node) (stop func()) {
	t.Helper()
	l, err := cacheadmin.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cacheadmin.Serve(ctx, l, n, slog.New(slog.DiscardHandler)) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func client(t *testing.T, dir string) *cacheadmin.Client {
	t.Helper()
	c, err := cacheadmin.NewClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, &node{objects: 250})
	c := client(t, dir)
	if s, err := c.Stats(t.Context()); err != nil || s.Node != "n" || s.Memory.Objects != 250 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	for _, tt := range []struct {
		f    cacheadmin.Filter
		n    int
		more bool
		err  string
	}{
		{cacheadmin.Filter{Prefix: "HTTP://A.example", Site: "s", Tier: cacheadmin.OnDisk}, 250, false, ""},
		{cacheadmin.Filter{Limit: 100}, 100, true, ""},
		{cacheadmin.Filter{Limit: 250}, 250, false, ""},
		{cacheadmin.Filter{Limit: -1}, 0, false, "want a number of entries"},
		{cacheadmin.Filter{Tier: "tape"}, 0, false, "want ram, disk or both"},
		{cacheadmin.Filter{Prefix: "/img/"}, 0, false, `want "http://"`},
		{cacheadmin.Filter{Site: "nobody"}, 250, false, "no such site"},
	} {
		n := 0
		more, err := c.List(t.Context(), tt.f, func(e *cacheadmin.Entry) bool {
			if e.Status != n || string(e.Site) != cmp.Or(tt.f.Site, "s") || e.Tier != tt.f.Tier || tt.f.Prefix != "" && e.URL != "http://a.example/" {
				t.Errorf("%+v: %+v", tt.f, e)
			}
			n++
			return true
		})
		if n != tt.n || more != tt.more || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v: %d, more %v, %v; want %+v", tt.f, n, more, err, tt)
		}
	}
	if s, err := c.Show(t.Context(), "http://a.example/x"); err != nil || s.URL != "http://a.example/x" {
		t.Errorf("Show: %+v, %v", s, err)
	}
	if _, err := c.Show(t.Context(), "a.example/x"); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("Show without a scheme: %v", err)
	}
	if _, err := c.Show(t.Context(), "http://b.example/x"); cdn.KindOf(err) != cdn.NotFound || !strings.Contains(err.Error(), "b.example") {
		t.Errorf("Show of an unknown domain: %v", err)
	}
	told := 0
	if r, err := c.Verify(t.Context(), 77, func(cacheadmin.Report) { told++ }); err != nil || r.Records != 77 || told != 1 {
		t.Errorf("Verify: %+v, %v, told %d times", r, err, told)
	}
	if _, err := c.Verify(t.Context(), -1, nil); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("Verify at a rate of -1: %v", err)
	}
	if d, err := c.Drop(t.Context(), "http://a.example/", "https://a.example/"); err != nil || len(d) != 2 || d[1].URL != "https://a.example/" {
		t.Errorf("Drop: %+v, %v", d, err)
	}
	if _, err := c.Drop(t.Context(), "http://a.example/", "nothing"); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("Drop of what is no URL: %v", err)
	}
	if _, err := c.Drop(t.Context()); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("Drop of nothing: %v", err)
	}
	if _, err := c.Drop(t.Context(), make([]string, 1001)...); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), "1000") {
		t.Errorf("Drop of too much: %v", err)
	}
	if d, err := c.DropAll(t.Context()); err != nil || len(d) != 1 || d[0].URL != "all" {
		t.Errorf("DropAll: %+v, %v", d, err)
	}
}

// TestStop: when the one who asked goes, or the node, the work ends.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	n := &node{began: make(chan struct{}, 10), hold: true}
	stop := serve(t, dir, n)
	c := client(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := c.Verify(ctx, 0, func(cacheadmin.Report) { cancel() })
	if !errors.Is(err, context.Canceled) || r.Records != 1 {
		t.Errorf("stopped: %+v, %v", r, err)
	}
	<-n.began // the node has seen it

	// Only so many at a time.
	ended := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := c.List(t.Context(), cacheadmin.Filter{}, func(*cacheadmin.Entry) bool { return true })
			ended <- err
		}()
		<-n.began
	}
	if _, err := c.List(t.Context(), cacheadmin.Filter{}, nil); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("a fifth one: %v", err)
	}
	stop()
	for range 4 {
		if err := <-ended; err == nil {
			t.Error("a list that was broken off looks whole")
		}
	}
}

func TestSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	stop := serve(t, dir, &node{})
	path := filepath.Join(dir, cacheadmin.SocketName)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want 0600", info.Mode(), err)
	}
	if _, err := cacheadmin.Listen(t.Context(), dir); !errors.Is(err, fsys.ErrLocked) {
		t.Errorf("a second node: %v", err)
	}
	if _, err := client(t, dir).Stats(t.Context()); err != nil {
		t.Errorf("after a second node tried: %v", err)
	}
	stop()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := cacheadmin.NewClient(dir); cdn.KindOf(err) != cdn.NotFound || !strings.Contains(err.Error(), "no node runs in") {
		t.Errorf("without a node: %v", err)
	}

	// What a dead process has left.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := client(t, dir).Stats(t.Context()); cdn.KindOf(err) != cdn.Unavailable || !strings.Contains(err.Error(), "start it again") {
		t.Errorf("with a dead node: %v", err)
	}
	stop = serve(t, dir, &node{})
	if _, err := client(t, dir).Stats(t.Context()); err != nil {
		t.Errorf("in the place of a dead node: %v", err)
	}
	stop()

	// A file that is none of ours stays.
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cacheadmin.Listen(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("with another file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("it is %q now, %v", text, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	serve(t, filepath.Join(dir, "state"), &node{})
	if path, err := cacheadmin.Find(dir); err != nil || path != filepath.Join(dir, "state", cacheadmin.SocketName) {
		t.Errorf("of a disk: %q, %v", path, err)
	}
	if _, err := cacheadmin.Find(filepath.Join(dir, "nothing")); cdn.KindOf(err) != cdn.NotFound || !strings.Contains(err.Error(), "no such directory") {
		t.Errorf("of no directory: %v", err)
	}
	deep := filepath.Join(dir, strings.Repeat("d", 100))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := cacheadmin.Find(deep); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), "at most 107") {
		t.Errorf("of a long path: %v", err)
	}
	if _, err := cacheadmin.Listen(t.Context(), deep); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("listening at a long path: %v", err)
	}
	if _, err := os.Stat(filepath.Join(deep, cacheadmin.SocketName+".lock")); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("something is there: %v", err)
	}
}

// TestStrangers: whatever else is asked is answered with an error, and the node lives on.
func TestStrangers(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, &node{})
	path, err := cacheadmin.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/", "", http.StatusNotFound},
		{"GET", "/v1/drop", "", http.StatusMethodNotAllowed},
		{"POST", "/v1/drop", `{"urls": 7}`, http.StatusUnprocessableEntity},
		{"POST", "/v1/drop", `{"all": true, "urls": ["http://a.example/"]}`, http.StatusUnprocessableEntity},
		{"POST", "/v1/drop", `{"everything": true}`, http.StatusUnprocessableEntity},
		{"POST", "/v1/verify?rate=fast", "", http.StatusUnprocessableEntity},
		{"GET", "/v1/objects?limit=x", "", http.StatusUnprocessableEntity},
		{"GET", "/v1/object", "", http.StatusUnprocessableEntity},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://node"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s %s: %s, want %d", tt.method, tt.path, tt.body, resp.Status, tt.status)
		}
	}
	if _, err := client(t, dir).Stats(t.Context()); err != nil {
		t.Error(err)
	}
}
