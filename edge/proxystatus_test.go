package edge_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
)

// failing is an edge.Origin that cannot be had, for one reason.
type failing struct {
	kind  cdn.Kind
	cause error
}

func (f failing) Fetch(context.Context, *cdn.Origin, *http.Request) (*http.Response, error) {
	return nil, cdn.Errorf(f.kind, "", "asking the origin: %w", f.cause)
}

// late is what the net package says of a deadline.
type late struct{}

func (late) Error() string   { return "i/o timeout" }
func (late) Timeout() bool   { return true }
func (late) Temporary() bool { return true }

// proxyFailures are ways in which an origin fails, and what RFC 9209 section 2.3 calls them.
func proxyFailures() map[string]struct {
	failing
	word   string
	status int
} {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	type row = struct {
		failing
		word   string
		status int
	}
	return map[string]row{
		"refused":            {failing{cdn.Unavailable, dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))}, "connection_refused", 502},
		"no route":           {failing{cdn.Unavailable, dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH))}, "destination_unavailable", 502},
		"connect timeout":    {failing{cdn.Timeout, dial(late{})}, "connection_timeout", 504},
		"response timeout":   {failing{cdn.Timeout, errors.New("no response within 30s")}, "http_response_timeout", 504},
		"no such name":       {failing{cdn.Unavailable, dial(&net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true})}, "dns_error", 502},
		"names do not come":  {failing{cdn.Timeout, dial(&net.DNSError{Err: "timeout", Name: "a.example", IsTimeout: true})}, "dns_timeout", 504},
		"reset":              {failing{cdn.Unavailable, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}}, "connection_terminated", 502},
		"closed":             {failing{cdn.Unavailable, io.EOF}, "connection_terminated", 502},
		"closed in the head": {failing{cdn.Unavailable, io.ErrUnexpectedEOF}, "connection_terminated", 502},
		"bad certificate":    {failing{cdn.Unavailable, &tls.CertificateVerificationError{Err: errors.New("expired")}}, "tls_certificate_error", 502},
		"not HTTP":           {failing{cdn.Unavailable, errors.New("malformed HTTP response")}, "http_protocol_error", 502},
	}
}

// proxyWords is Proxy-Status without its details, which are for people.
func proxyWords(a answer) string {
	return regexp.MustCompile(`; details="[^"]*"`).ReplaceAllString(strings.Join(a.Header.Values("Proxy-Status"), ", "), "")
}

// TestProxyStatusNamesTheFailure: in one word, to the visitor of this node and of the one in front of it,
// which says whose word it is.
func TestProxyStatusNamesTheFailure(t *testing.T) {
	for name, tt := range proxyFailures() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, cacheable)
			fails := func(cfg *edge.Config) { cfg.Origin = tt.failing }
			r.start(t, "ams-1", fails)
			r.start(t, "fra-1", fails, func(cfg *edge.Config) { cfg.Usable = func(n cdn.NodeName) bool { return n == "ams-1" } })
			own := "ams-1; error=" + tt.word
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				a := r.ask(t, method, r.addr("ams-1"), domain, "/a")
				if got := proxyWords(a); got != own || a.StatusCode != tt.status {
					t.Errorf("%s: %s, Proxy-Status %q, want %q", method, a.Status, got, own)
				}
				a = r.ask(t, method, r.addr("fra-1"), domain, "/a")
				want := own + ", fra-1; received-status=" + a.Status[:3]
				if got := proxyWords(a); got != want || a.StatusCode != tt.status {
					t.Errorf("%s through two: %s, Proxy-Status %q, want %q", method, a.Status, got, want)
				}
				if method != http.MethodHead && strings.Contains(a.body, "a.example") {
					t.Errorf("%s tells strangers about the inside: %q", method, a.body)
				}
			}
		})
	}
}

// TestProxyStatusOfARealOrigin: the same with real connections: nobody listens, or whoever does hangs up.
func TestProxyStatusOfARealOrigin(t *testing.T) {
	for name, tt := range map[string]struct {
		origin http.HandlerFunc // nil: closed
		word   string
	}{
		"closed": {nil, "connection_refused"},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) {
			panic(http.ErrAbortHandler)
		}, "connection_terminated"},
		"resets": {func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}, "connection_terminated"},
		"babbles": {func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(conn, "220 mail.example ESMTP\r\n\r\n")
				conn.Close()
			}
		}, "http_protocol_error"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.origin)
			if tt.origin == nil {
				r.origin.Close()
			}
			r.start(t, "ams-1")
			a := r.get(t, r.addr("ams-1"), "/a")
			if got, want := proxyWords(a), "ams-1; error="+tt.word; got != want || a.StatusCode != http.StatusBadGateway {
				t.Errorf("%s, Proxy-Status %q, want %q", a.Status, got, want)
			}
		})
	}
}

// TestProxyStatusOfTheNodeItself: a loop, and a node without a configuration.
func TestProxyStatusOfTheNodeItself(t *testing.T) {
	r := newRig(t, cacheable)
	r.chain(t)
	for name, loop := range map[string]string{
		"its own name":   "other, nearcast;node=fra-1",
		"too many nodes": "nearcast;node=a, nearcast;node=b, nearcast;node=c, nearcast;node=d, nearcast;node=e, nearcast;node=f",
	} {
		a := r.get(t, r.addr("fra-1"), "/a", "Cdn-Loop", loop)
		if got := a.Header.Get("Proxy-Status"); a.StatusCode != http.StatusLoopDetected || !strings.HasPrefix(got, `fra-1; error=proxy_loop_detected; details="`) {
			t.Errorf("%s: %s, Proxy-Status %q", name, a.Status, got)
		}
	}
	if r.origin.all() != 0 {
		t.Error("a loop reached the origin")
	}
	empty := r.startConfig(t, edge.Config{Node: "fra-9", Addr: "127.0.0.1:0", RAM: 1 << 20, Secret: "a secret"})
	eventually(t, "listening", func() bool { return empty.Addr() != nil })
	a := r.get(t, empty.Addr().String(), "/a")
	if got := a.Header.Get("Proxy-Status"); a.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(got, "fra-9; error=proxy_configuration_error") {
		t.Errorf("without a configuration: %s, Proxy-Status %q", a.Status, got)
	}
}

// all returns the number of requests for any path.
func (c *counter) all() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// TestNoProxyStatusWithoutAFailure: not with an answer of the origin, whatever it is, nor where a node that
// failed could be passed by or its content stood in.
func TestNoProxyStatusWithoutAFailure(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10")
		switch req.URL.Path {
		case "/503":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/theirs":
			w.Header().Set("Proxy-Status", "balancer; received-status=500")
		}
		io.WriteString(w, "said by the origin")
	})
	r.start(t, "ams-1") // ams-2 is not there
	r.start(t, "fra-1")
	want := map[string]string{"/a": "", "/b": "", "/c": "", "/d": "", "/503": "", "/theirs": "balancer; received-status=500"}
	for path, status := range want {
		for _, status := range []string{status, ""} { // the origin's is about one response: it is not stored
			if a := r.get(t, r.addr("fra-1"), path); a.Header.Get("Proxy-Status") != status || a.body != "said by the origin" {
				t.Errorf("%s: %s, Proxy-Status %q", path, a.Status, a.Header.Get("Proxy-Status"))
			}
		}
	}
	r.clock.advance(20 * time.Second)
	r.origin.Close()
	if a := r.get(t, r.addr("fra-1"), "/a"); a.StatusCode != http.StatusOK || a.Header.Get("Proxy-Status") != "" {
		t.Errorf("stale: %s, Proxy-Status %q", a.Status, a.Header.Get("Proxy-Status"))
	}
}

// TestProxyStatusIsNotStored: a failure is over when it is over.
func TestProxyStatusIsNotStored(t *testing.T) {
	down := make(chan struct{}, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		select {
		case down <- struct{}{}:
			panic(http.ErrAbortHandler)
		default:
			cacheable(w, req)
		}
	})
	r.start(t, "ams-1")
	for i, want := range []string{"ams-1; error=connection_terminated", "", ""} {
		a := r.ask(t, http.MethodGet, r.addr("ams-1"), domain, "/a")
		if got := proxyWords(a); got != want || (a.StatusCode == http.StatusOK) != (i > 0) {
			t.Errorf("request %d: %s, Proxy-Status %q, want %q", i, a.Status, got, want)
		}
	}
}
