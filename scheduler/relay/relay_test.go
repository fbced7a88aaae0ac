package relay_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/internal/onbehalf"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of the fleet"

var visitor = netip.MustParseAddr("192.0.2.77")

// rig is a front that relays to a node.
type rig struct {
	relayer *relay.Relayer
	node    *httptest.Server
	front   *httptest.Server
	client  *http.Client
	outcome redirect.Outcome
	reg     *prometheus.Registry
}

func start(t *testing.T, node http.HandlerFunc, options ...func(*relay.Config)) *rig {
	t.Helper()
	r := &rig{node: httptest.NewServer(node), reg: prometheus.NewRegistry()}
	r.client = &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cfg := relay.Config{Name: "front-1", Secret: secret, Log: slog.New(slog.DiscardHandler), Registry: r.reg}
	for _, o := range options {
		o(&cfg)
	}
	r.relayer = relay.New(cfg)
	r.outcome = redirect.Outcome{Status: 302, Location: "http://n1.www.shop.example.cdn.test/a", MaxAge: 20}
	r.outcome.Relay = &redirect.Relay{
		Nodes: []netip.AddrPort{netip.MustParseAddrPort(r.node.Listener.Addr().String())}, Target: target(t, "https", "/a%2Fb?c"),
	}
	r.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		o := r.outcome
		r.relayer.Serve(w, req, visitor, &o)
	}))
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		r.front.Close()
		r.relayer.Close()
		r.node.Close()
	})
	return r
}

func target(t *testing.T, scheme, uri string) cdn.Target {
	t.Helper()
	at, err := cdn.NewTarget(scheme, "www.shop.example", uri)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (r *rig) send(t *testing.T, method string, body io.Reader, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.front.URL+"/whatever", body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func (r *rig) counted(t *testing.T, result string, want int) {
	t.Helper()
	text := fmt.Sprintf("# HELP nearcast_scheduler_relays_total Requests that were not worth a redirect, by what became of them.\n"+
		"# TYPE nearcast_scheduler_relays_total counter\nnearcast_scheduler_relays_total{result=%q} %d\n", result, want)
	if err := testutil.GatherAndCompare(r.reg, strings.NewReader(text), "nearcast_scheduler_relays_total"); err != nil {
		t.Error(err)
	}
}

// The node gets the request as the target says, with the visitor's address and a proof, and nothing that a visitor says of that.
func TestRelayed(t *testing.T) {
	type seen struct {
		host, uri, body string
		h               http.Header
	}
	got := make(chan seen, 1)
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got <- seen{req.Host, req.RequestURI, string(body), req.Header}
		w.Header().Set("X-Of", "node")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "content")
	})
	resp, body := r.send(t, "POST", strings.NewReader("question"), "X-Forwarded-For", "203.0.113.1", "Forwarded", "for=203.0.113.1", "Nearcast-Hop", "n1 1 1 http x", "Via", "1.1 proxy",
		"Cdn-Loop", "other", "Connection", "X-Mine", "X-Mine", "1", "X-Kept", "1", "Upgrade", "websocket", "User-Agent", "")
	if resp.StatusCode != http.StatusTeapot || body != "content" || resp.Header.Get("X-Of") != "node" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	s := <-got
	if s.host != "www.shop.example" || s.uri != "/a%2Fb?c" || s.body != "question" {
		t.Errorf("asked for %q at %q with %q", s.uri, s.host, s.body)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "192.0.2.77", "X-Forwarded-Proto": "https", "Forwarded": "", "Via": "1.1 proxy, 1.1 nearcast-front-1", "Cdn-Loop": "other, nearcast;front=front-1",
		"X-Mine": "", "X-Kept": "1", "Upgrade": "", "Connection": "", "User-Agent": "", "X-Forwarded-Host": "",
	} {
		if got := strings.Join(s.h.Values(name), ", "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	scheme, ok := onbehalf.Verify(time.Now(), secret, s.h.Get(onbehalf.Field), "POST", "192.0.2.77", func(scheme string) string { return scheme + "://www.shop.example/a%2Fb?c" })
	if !ok || scheme != "https" || len(s.h.Values(onbehalf.Field)) != 1 {
		t.Errorf("the proof is %q", s.h.Values(onbehalf.Field))
	}
	r.counted(t, "relayed", 1)
	if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// A content that is long enough is given up for a redirect, if it is the whole of it and known to be so long.
func TestMinSize(t *testing.T) {
	for _, test := range []struct {
		name, method string
		status, size int
		want         int
	}{
		{"short", "GET", 200, 999, 200},
		{"long", "GET", 200, 1000, 302},
		{"far longer", "GET", 200, 8 << 20, 302},
		{"unknown", "GET", 200, -1, 200},
		{"a part", "GET", 206, 5000, 206},
		{"an error", "GET", 404, 5000, 404},
		{"another method", "POST", 200, 5000, 200},
		{"head", "HEAD", 200, 5000, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Of", "node")
				if test.size >= 0 {
					w.Header().Set("Content-Length", fmt.Sprint(test.size))
				}
				w.WriteHeader(test.status)
				if test.size < 0 {
					http.NewResponseController(w).Flush()
					test.size = 5000
				}
				w.Write(make([]byte, test.size))
			})
			r.outcome.Relay.MinSize, r.outcome.Origin = 1000, "https://player.example"
			resp, body := r.send(t, test.method, http.NoBody)
			if resp.StatusCode != test.want {
				t.Fatalf("status %d, want %d", resp.StatusCode, test.want)
			}
			if test.want != 302 {
				if resp.Header.Get("X-Of") != "node" || test.method == "GET" && len(body) != test.size {
					t.Errorf("%d octets, %v", len(body), resp.Header)
				}
				return
			}
			if resp.Header.Get("Location") != r.outcome.Location || resp.Header.Get("Cache-Control") != "private, max-age=20" || body != "" || resp.Header.Get("X-Of") != "" {
				t.Errorf("%q %v", body, resp.Header)
			}
			if h := resp.Header; h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Origin") != r.outcome.Origin || h.Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("a script may not follow: %v", h)
			}
			r.counted(t, "redirected", 1)
		})
	}
}

// If a node cannot be reached the next one is asked; if none can, that is said.
func TestNodesInTurn(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "content") })
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	dead := netip.MustParseAddrPort(closed.Listener.Addr().String())
	good := r.outcome.Relay.Nodes[0]
	r.outcome.Relay.Nodes = []netip.AddrPort{dead, good}
	if resp, body := r.send(t, "GET", http.NoBody); resp.StatusCode != http.StatusOK || body != "content" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	r.outcome.Relay.Nodes = []netip.AddrPort{dead, dead, good}
	if resp, body := r.send(t, "GET", http.NoBody); resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "no node could be reached") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func TestRefused(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		io.WriteString(w, "content")
	}, func(c *relay.Config) { c.Body = 100 })
	if resp, _ := r.send(t, "GET", http.NoBody, "Cdn-Loop", "x, nearcast;front=front-1"); resp.StatusCode != http.StatusLoopDetected {
		t.Errorf("a loop: %d", resp.StatusCode)
	}
	if resp, _ := r.send(t, "GET", http.NoBody, "Cdn-Loop", "x, nearcast;front=front-11"); resp.StatusCode != http.StatusOK {
		t.Errorf("another front: %d", resp.StatusCode)
	}
	if resp, _ := r.send(t, "POST", strings.NewReader(strings.Repeat("x", 101))); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long content: %d", resp.StatusCode)
	}
	if resp, _ := r.send(t, "POST", io.MultiReader(strings.NewReader(strings.Repeat("x", 101)))); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long content of unknown length: %d", resp.StatusCode)
	}
	if resp, _ := r.send(t, "POST", strings.NewReader(strings.Repeat("x", 100))); resp.StatusCode != http.StatusOK {
		t.Errorf("a short content: %d", resp.StatusCode)
	}
}

// One client can take an eighth of what may be under way, and gets it back.
func TestBusy(t *testing.T) {
	entered, leave := make(chan struct{}, 9), make(chan struct{})
	r := start(t, func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-leave }, func(c *relay.Config) { c.Requests = 8 })
	ended := make(chan int, 1)
	go func() {
		resp, err := r.client.Get(r.front.URL)
		if err != nil {
			ended <- 0
			return
		}
		resp.Body.Close()
		ended <- resp.StatusCode
	}()
	<-entered
	resp, _ := r.send(t, "GET", http.NoBody)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the second: %d", resp.StatusCode)
	}
	close(leave)
	if status := <-ended; status != 200 {
		t.Errorf("the first: %d", status)
	}
	if resp, _ := r.send(t, "GET", http.NoBody); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}
