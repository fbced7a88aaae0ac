package httpfront_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/scheduler/httpfront"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet has one node near the client, 127.0.0.1, and one far away.
func fleet(port uint16) *cdn.Snapshot {
	here, there := cdn.Location{Latitude: 50}, cdn.Location{Latitude: -50}
	edge := []cdn.Role{cdn.RoleEdge}
	return &cdn.Snapshot{
		Fleet: cdn.Fleet{
			Zone:     "cdn.test",
			HTTPPort: port,
			POPs:     []cdn.POP{{Name: "far", Tier: cdn.TierEdge, Location: there}, {Name: "near", Tier: cdn.TierEdge, Location: here}},
			Nodes:    []cdn.Node{{Name: "f1", POP: "far", Roles: edge}, {Name: "n1", POP: "near", Roles: edge}},
			Clients:  []cdn.ClientPrefix{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Location: here}},
		},
		Sites: []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"www.shop.example"}}},
	}
}

type front struct {
	addr string
	reg  *prometheus.Registry
	view atomic.Pointer[view.View]
}

func start(t *testing.T, s *cdn.Snapshot) *front {
	t.Helper()
	return startWith(t, s, nil)
}

// startWith starts a front that trusts proxies.
func startWith(t *testing.T, s *cdn.Snapshot, proxies func(*view.View) []netip.Prefix) *front {
	t.Helper()
	f := &front{reg: prometheus.NewRegistry()}
	f.apply(t, s)
	srv, err := httpfront.New(httpfront.Config{Addr: "127.0.0.1:0", View: f.view.Load, Redirect: decide, Proxies: proxies, Log: slog.New(slog.DiscardHandler), Registry: f.reg})
	if err != nil {
		t.Fatal(err)
	}
	f.addr = srv.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return f
}

// decide redirects to the best node, as schedulers do.
func decide(v *view.View, r *redirect.Request) redirect.Outcome { return redirect.Decide(v, nil, r) }

func (f *front) apply(t *testing.T, s *cdn.Snapshot) {
	t.Helper()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	f.view.Store(view.Join(p, nil))
}

// send writes a request as it is and reads the answer.
func (f *front) send(t *testing.T, request string) (resp *http.Response, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err = http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestRedirect(t *testing.T) {
	f := start(t, fleet(8080))
	const node = "http://n1.www.shop.example.cdn.test:8080"
	for _, test := range []struct {
		name, line, host string
		status           int
		want             string // the Location, or a part of the body
	}{
		{"domain", "GET /a?b=c", "www.shop.example", 302, node + "/a?b=c"},
		{"zone", "GET /", "www.shop.example.cdn.test", 302, node + "/"},
		{"case", "GET /A", "WWW.Shop.EXAMPLE.:8053", 302, node + "/A"},
		{"head", "HEAD /a", "www.shop.example", 302, node + "/a"},
		{"post", "POST /a", "www.shop.example", 307, node + "/a"},
		{"options", "OPTIONS /a", "www.shop.example", 307, node + "/a"},
		{"normal", "GET /x/../%7ea/%2f?%41", "www.shop.example", 302, node + "/~a/%2F?A"},
		{"slashes", "GET //evil.example/a", "www.shop.example", 302, node + "//evil.example/a"},
		{"absolute", "POST http://www.shop.example/p?q", "www.shop.example", 307, node + "/p?q"},
		{"absolutebare", "GET http://www.shop.example", "www.shop.example", 302, node + "/"},
		{"absoluteother", "GET http://www.shop.example", "other.example", 400, "different hosts"},
		{"emptyquery", "GET /a?", "www.shop.example", 302, node + "/a?"},
		{"unknown", "GET /", "www.other.example", 404, `"www.other.example" is not configured`},
		{"empty", "GET /", "shop.example.cdn.test", 404, "not configured"},
		{"apex", "GET /", "cdn.test", 404, "not configured"},
		{"address", "GET /", f.addr, 404, "not configured"},
		{"loop", "GET /", "n1.www.shop.example.cdn.test:8080", 508, "leads to a scheduler"},
		{"star", "OPTIONS *", "www.shop.example", 400, "does not start"},
		{"octets", "GET /\xff", "www.shop.example", 400, "not allowed"},
		{"host", "GET /", "a..b", 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, body := f.send(t, test.line+" HTTP/1.1\nHost: "+test.host+"\nX-Forwarded-For: 192.0.2.1\n\n")
			if resp.StatusCode != test.status {
				t.Fatalf("status %d, want %d; body %q", resp.StatusCode, test.status, body)
			}
			if test.status >= 400 {
				if !strings.Contains(body, test.want) || resp.Header.Get("Cache-Control") == "private, max-age=20" {
					t.Errorf("body %q, want %q in it; fields %v", body, test.want, resp.Header)
				}
				return
			}
			if got := resp.Header.Get("Location"); got != test.want {
				t.Errorf("Location %q, want %q", got, test.want)
			}
			if got := resp.Header.Get("Cache-Control"); got != "private, max-age=20" {
				t.Errorf("Cache-Control %q", got)
			}
		})
	}
	if problems, err := testutil.GatherAndLint(f.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// Port 80 is not written.
func TestPort(t *testing.T) {
	f := start(t, fleet(0))
	resp, _ := f.send(t, "GET /a HTTP/1.1\nHost: www.shop.example\n\n")
	if got, want := resp.Header.Get("Location"), "http://n1.www.shop.example.cdn.test/a"; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
}

func TestUnavailable(t *testing.T) {
	s := fleet(80)
	s.Fleet.Nodes = nil
	f := start(t, s)
	for _, step := range []string{"no edge node", "no configuration"} {
		resp, body := f.send(t, "GET / HTTP/1.1\nHost: www.shop.example\n\n")
		if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, step) {
			t.Errorf("status %d, body %q, want 503 because of %s", resp.StatusCode, body, step)
		}
		f.view.Store(nil)
	}
}

// Headers that are too long are refused, not kept.
func TestHeaders(t *testing.T) {
	f := start(t, fleet(80))
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "X-%d: %s\n", i, strings.Repeat("x", 1000))
	}
	resp, _ := f.send(t, "GET / HTTP/1.1\nHost: www.shop.example\n"+b.String()+"\n")
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", resp.StatusCode)
	}
}

func TestTaken(t *testing.T) {
	f := start(t, fleet(80))
	if _, err := httpfront.New(httpfront.Config{Addr: f.addr, View: f.view.Load, Redirect: decide, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
		t.Error("two servers on one port")
	}
}
