package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
)

// broken is an edge.Origin that always fails in one way.
type broken struct{ kind cdn.Kind }

func (b broken) Fetch(context.Context, *cdn.Origin, *http.Request) (*http.Response, error) {
	return nil, cdn.Errorf(b.kind, "", "the test wants it so")
}

func TestFailingOrigin(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10")
		switch req.URL.Path {
		case "/strict":
			w.Header().Set("Cache-Control", "max-age=10, must-revalidate")
		case "/swr":
			w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=60")
		}
		io.WriteString(w, "kept")
	})
	r.chain(t)
	for _, path := range []string{"/plain", "/strict", "/swr"} {
		r.get(t, r.addr("fra-1"), path)
	}
	r.clock.advance(20 * time.Second)

	if a := r.get(t, r.addr("fra-1"), "/swr"); a.word() != "STALE" || a.body != "kept" {
		t.Errorf("stale-while-revalidate: %s %q", a.word(), a.body)
	}
	eventually(t, "a refresh in the background", func() bool { return r.get(t, r.addr("fra-1"), "/swr").word() == "HIT" })

	r.origin.Close()
	if a := r.get(t, r.addr("fra-1"), "/plain"); a.StatusCode != http.StatusOK || a.body != "kept" {
		t.Errorf("disconnected (RFC 9111 section 4.2.4): %s %q", a.Status, a.body)
	}
	for path, want := range map[string]int{"/strict": http.StatusGatewayTimeout, "/never-seen": http.StatusBadGateway} {
		if a := r.get(t, r.addr("fra-1"), path); a.StatusCode != want || a.Header.Get("Proxy-Status") == "" {
			t.Errorf("%s: %s, Proxy-Status %q; want %d", path, a.Status, a.Header.Get("Proxy-Status"), want)
		}
	}
}

// TestNothingButAFailure: without anything stored the visitor learns what failed, at
// a node alone and through both tiers, and another node's account stays inside.
func TestNothingButAFailure(t *testing.T) {
	for name, tt := range map[string]struct {
		kind   cdn.Kind
		status int
		detail string
	}{
		"unavailable": {cdn.Unavailable, http.StatusBadGateway, "unavailable"},
		"timeout":     {cdn.Timeout, http.StatusGatewayTimeout, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, cacheable)
			breaks := func(cfg *edge.Config) { cfg.Origin = broken{tt.kind} }
			r.start(t, "ams-1", breaks)
			r.start(t, "ams-2", breaks)
			r.start(t, "fra-1")
			for _, method := range []string{"GET", "HEAD", "POST"} {
				for _, node := range []string{"ams-1", "fra-1"} {
					a := r.ask(t, method, r.addr(node), domain, "/a")
					proxy := a.Header.Get("Proxy-Status")
					if a.StatusCode != tt.status || !strings.Contains(proxy, "ams-") || !strings.Contains(proxy, node+"; ") || !strings.Contains(proxy, `details="`+tt.detail+`"`) || !strings.Contains(a.status(), node+"; fwd=") {
						t.Errorf("%s at %s: %s, Proxy-Status %q, Cache-Status %q", method, node, a.Status, proxy, a.status())
					}
					if method != "HEAD" && !strings.Contains(a.body, tt.detail) || a.Header.Get("Nearcast-Error") != "" {
						t.Errorf("%s at %s: %q, %v", method, node, a.body, a.Header)
					}
				}
			}
			if r.origin.total != 0 {
				t.Error("the edge node asked the origin that its regional node could not reach")
			}
		})
	}
}

// TestStaleIfError is about servers that answer, but with an error (RFC 5861 section 4).
func TestStaleIfError(t *testing.T) {
	minute, err := cdn.ParseDuration("1m")
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Int64
	controls := map[string]string{
		"/plain":   "max-age=10",
		"/said":    "max-age=10, stale-if-error=60",
		"/shared":  "s-maxage=10, stale-if-error=60",
		"/short":   "max-age=10, stale-if-error=5",
		"/strict":  "max-age=10, stale-if-error=60, must-revalidate",
		"/ruled":   "max-age=10",
		"/ruled/2": "max-age=10, proxy-revalidate",
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", controls[req.URL.Path])
		if n := status.Load(); n != 0 {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(int(n))
			return
		}
		io.WriteString(w, "kept")
	}, cdn.Route{Match: cdn.Match{PathPrefix: "/ruled"}, StaleIfError: minute})
	r.chain(t)
	for path := range controls {
		r.get(t, r.addr("fra-1"), path)
	}
	r.clock.advance(20 * time.Second)
	for _, tt := range []struct {
		path          string
		status, wants int
	}{
		{"/said", 500, 200},
		{"/said", 503, 200},
		{"/said", 404, 404},
		{"/shared", 502, 200},
		{"/ruled", 504, 200},
		{"/plain", 503, 503},
		{"/short", 503, 503},
		{"/strict", 503, 503},
		{"/ruled/2", 503, 503},
	} {
		status.Store(int64(tt.status))
		a := r.get(t, r.addr("fra-1"), tt.path)
		if a.StatusCode != tt.wants || a.StatusCode == http.StatusOK && a.body != "kept" {
			t.Errorf("%s when the origin says %d: %s %q, want %d", tt.path, tt.status, a.Status, a.body, tt.wants)
		}
	}
	r.clock.advance(time.Minute)
	status.Store(503)
	if a := r.get(t, r.addr("fra-1"), "/shared"); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("past its window: %s", a.Status)
	}
}

// TestStaleOfTheEdge: what the edge node still has is used when no one behind it
// can reach the origin, even if the regional node has lost its copy.
func TestStaleOfTheEdge(t *testing.T) {
	r := newRig(t, cacheable)
	_, l2 := r.chain(t)
	r.get(t, r.addr("fra-1"), "/a")
	r.clock.advance(61 * time.Second)
	for _, node := range l2 {
		node.PurgeAll(0)
	}
	r.origin.Close()
	if a := r.get(t, r.addr("fra-1"), "/a"); a.word() != "STALE" || a.body != "body of /a" || a.StatusCode != http.StatusOK || !strings.Contains(a.status(), "ttl=-") {
		t.Errorf("%s %s %q, %s", a.Status, a.word(), a.body, a.status())
	}
}

// TestOriginSpeaksLikeANode: the fields that nodes exchange mean nothing from an origin.
func TestOriginSpeaksLikeANode(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Nearcast-Error", "timeout")
		w.Header().Set("Nearcast-Hop", "fra-1")
		w.Header().Set("X-Cache", "their own")
		io.WriteString(w, "x")
	})
	r.chain(t)
	a := r.get(t, r.addr("fra-1"), "/a")
	if a.StatusCode != http.StatusOK || a.Header.Get("Nearcast-Error") != "" || a.Header.Get("Nearcast-Hop") != "" || a.word() != "MISS" {
		t.Errorf("%s %v", a.Status, a.Header)
	}
}

// TestPanicInAFill: a defect in the way to the origin costs one request.
func TestPanicInAFill(t *testing.T) {
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.Origin = panicking{} })
	if a := r.get(t, addr, "/a"); a.StatusCode != http.StatusBadGateway {
		t.Errorf("%s", a.Status)
	}
}

type panicking struct{}

func (panicking) Fetch(context.Context, *cdn.Origin, *http.Request) (*http.Response, error) {
	panic("a defect")
}

// TestStaleIsRefreshedWhateverItsVisitorDoes: a visitor who is served a stale response and does not take it holds up
// nobody's refresh (RFC 5861 section 3).
func TestStaleIsRefreshedWhateverItsVisitorDoes(t *testing.T) {
	large := strings.Repeat("x", 6*mib) // more than the kernel holds for a visitor
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=60")
		io.WriteString(w, large)
	})
	_, addr := r.startAlone(t)
	r.get(t, addr, "/a")
	r.clock.advance(20 * time.Second)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprintf(conn, "GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", domain)
	eventually(t, "a refresh beside the stalled visitor", func() bool { return r.origin.requests("/a") == 2 })
}
