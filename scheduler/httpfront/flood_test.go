package httpfront_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/scheduler/httpfront"
	"nearcast/scheduler/view"
)

// limited is a front with small limits.
func limited(t *testing.T, lim httpfront.Limits) (addr string, reg *prometheus.Registry) {
	t.Helper()
	p, err := view.Compile(fleet(80))
	if err != nil {
		t.Fatal(err)
	}
	v := view.Join(p, nil)
	reg = prometheus.NewRegistry()
	s, err := httpfront.New(httpfront.Config{
		Addr: "127.0.0.1:0", View: func() *view.View { return v }, Redirect: decide, NewResponder: newResponder,
		Log: slog.New(slog.DiscardHandler), Registry: reg, Limits: lim,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s.Addr().String(), reg
}

// TestTooManyConnections: more than a client may have are closed at once and counted; those that are there go on.
func TestTooManyConnections(t *testing.T) {
	addr, reg := limited(t, httpfront.Limits{PerClient: 3})
	var kept []net.Conn
	for range 3 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		kept = append(kept, nc)
		redirected(t, nc)
	}
	for range 5 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d octets on a connection too many", n)
		}
		nc.Close()
	}
	for _, nc := range kept {
		redirected(t, nc)
	}
	want := `
# HELP nearcast_scheduler_http_connections_refused_total HTTP connections closed at once because there were too many, by limit.
# TYPE nearcast_scheduler_http_connections_refused_total counter
nearcast_scheduler_http_connections_refused_total{limit="client-connections"} 5
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "nearcast_scheduler_http_connections_refused_total"); err != nil {
		t.Error(err)
	}
}

func redirected(t *testing.T, nc net.Conn) {
	t.Helper()
	io.WriteString(nc, "GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("%v (%v)", resp, err)
	}
	resp.Body.Close()
}

// TestStallers: whoever says nothing, half a head or half a query loses the connection when its time is over.
func TestStallers(t *testing.T) {
	const soon = 50 * time.Millisecond
	addr, _ := limited(t, httpfront.Limits{HeaderTime: soon, IdleTime: soon, Stall: soon})
	for name, test := range map[string]struct{ said, status string }{
		"nothing":      {"", ""},
		"half a head":  {"GET / HTTP/1.1\r\nHost: www.shop", " 408 "},
		"half a query": {"POST /dns-query HTTP/1.1\r\nHost: dns.example\r\nContent-Type: application/dns-message\r\nContent-Length: 100\r\n\r\nabc", " 408 "},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			io.WriteString(nc, test.said)
			nc.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer, err := io.ReadAll(nc)
			if line, _, _ := strings.Cut(string(answer), "\r\n"); err != nil || !strings.Contains(line, test.status) || line != "" && test.status == "" {
				t.Errorf("the connection is kept (%v), or the answer wrong: %q", err, line)
			}
		})
	}
}
