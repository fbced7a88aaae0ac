package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"nearcast/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server and returns its URL and what stops it and waits.
func start(t *testing.T, ready func() error) (base string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- admin.Serve(ctx, l, admin.Config{Registry: admin.NewRegistry(), Ready: ready, Log: slog.New(slog.DiscardHandler)})
	}()
	stop = func() error {
		cancel()
		return <-ended
	}
	return "http://" + l.Addr().String(), stop
}

// get returns status and body, over a connection of its own.
func get(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPaths(t *testing.T) {
	var notReady atomic.Pointer[error]
	base, stop := start(t, func() error {
		if err := notReady.Load(); err != nil {
			return *err
		}
		return nil
	})
	waiting := errors.New("no configuration yet")
	for _, tt := range []struct {
		name, method, path string
		err                *error
		status             int
		body               string // a part of it
	}{
		{"health", http.MethodGet, "/healthz", &waiting, 200, "ok\n"},
		{"ready", http.MethodGet, "/readyz", nil, 200, "ready\n"},
		{"unready", http.MethodGet, "/readyz", &waiting, 503, "no configuration yet"},
		{"metrics", http.MethodGet, "/metrics", nil, 200, "\ngo_goroutines "},
		{"process", http.MethodGet, "/metrics", nil, 200, "\nprocess_open_fds "},
		{"unknown", http.MethodGet, "/debug/pprof/", nil, 404, ""},
		{"post", http.MethodPost, "/readyz", nil, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			notReady.Store(tt.err)
			status, body := get(t, tt.method, base+tt.path)
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.path, status, body, tt.status, tt.body)
			}
		})
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestAlwaysReady(t *testing.T) {
	base, stop := start(t, nil)
	if status, _ := get(t, http.MethodGet, base+"/readyz"); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// TestShutdown: an answer that is being made is finished.
func TestShutdown(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	base, stop := start(t, func() error {
		close(asked)
		<-release
		return nil
	})
	answered := make(chan int, 1)
	go func() {
		status, _ := get(t, http.MethodGet, base+"/readyz")
		answered <- status
	}()
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(release)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := admin.Config{Addr: l.Addr().String(), Registry: admin.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	if err := admin.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), cfg.Addr) {
		t.Errorf("error %v, want one that names %s", err, cfg.Addr)
	}
}

// TestEnded: a context that ended before is no error, and leaves nothing behind.
func TestEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := admin.Serve(ctx, l, admin.Config{Registry: admin.NewRegistry(), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Errorf("error %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}
