package httpfront

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/web/lane"
	"nearcast/scheduler/querylog"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/view"
)

// logging has a front log one in so many requests. The function returned reads the log when all is asked.
func logging(t *testing.T, s *Server, every int) (entries func() []querylog.Entry) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queries")
	log, err := querylog.Open(querylog.Config{Path: path, Every: every, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.QueryLog = log
	return func() (all []querylog.Entry) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := log.Run(ctx); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret") {
			t.Errorf("what is a visitor's own is in the log: %s", text)
		}
		for line := range strings.Lines(string(text)) {
			var e querylog.Entry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.At.IsZero() || e.Micros < 0 {
				t.Errorf("%s: want a time", line)
			}
			e.At, e.Micros = time.Time{}, 0
			all = append(all, e)
		}
		return all
	}
}

// answers are what requests get by their paths, so that what is logged is known.
func answers(_ *view.View, r *redirect.Request) redirect.Outcome {
	path, _, _ := strings.Cut(r.Target, "?")
	switch {
	case strings.HasPrefix(path, "/none"):
		return redirect.Outcome{Status: http.StatusNotFound, Problem: "none"}
	case path == "/relayed":
		return redirect.Outcome{Status: http.StatusFound, Relay: new(redirect.Relay), POP: "p1", Reason: "map"}
	}
	status := http.StatusFound
	if r.Method == http.MethodPost {
		status = http.StatusTemporaryRedirect
	}
	return redirect.Outcome{Status: status, Location: "https://n1.www.shop.example.cdn.test" + path + "?secret", POP: "p1", Reason: "map"}
}

// What is logged of a visitor's request is where it was sent and why, once, whichever way it is answered; and no query, in which there may be a signature.
func TestNote(t *testing.T) {
	s := still(t)
	s.cfg.Redirect = answers
	relayed := 0
	s.cfg.Relay = func(http.ResponseWriter, *http.Request, netip.Addr, *redirect.Outcome) { relayed++ }
	s.cfg.Proxies = func(*view.View) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} }
	entries := logging(t, s, 1)
	const host = "www.shop.example"
	long := strings.Repeat("/0123456789abcdef", 100)
	entry := func(name, typ, path, code string) querylog.Entry {
		e := querylog.Entry{Front: "redirect", Peer: netip.MustParseAddr("10.9.8.7"), Name: name, Type: typ, Path: path, Code: code}
		if code < "400" || code == querylog.Relayed {
			e.POP, e.Reason = "p1", "map"
		}
		return e
	}
	var want []querylog.Entry
	for _, test := range []struct {
		method, host, target string
		want                 querylog.Entry
	}{
		{"GET", host, "/a/b?secret", entry(host, "GET", "/a/b", "302")},
		{"HEAD", host, "/?secret=1&sign=2", entry(host, "HEAD", "/", "302")},
		{"POST", host, "/form?secret", entry(host, "POST", "/form", "307")},
		{"GET", host, "/none?secret", entry(host, "GET", "/none", "404")},
		{"GET", host, "/relayed?secret", entry(host, "GET", "/relayed", "relayed")},
		{"OPTIONS", host, "*", entry(host, "OPTIONS", "", "302")},
		{"GET", host, long + "?secret", entry(host, "GET", long[:256]+"...", "302")},
		{"GET", "a..b", "/a?secret", entry("", "GET", "/a", "400")},
	} {
		want = append(want, test.want)
		s.serveBoth(t, test.method, test.host, test.target)
	}
	got := entries()
	for i := range got {
		if problem := got[i].Code >= "400" && got[i].Code != querylog.Relayed; problem != (got[i].Octets > 0) {
			t.Errorf("%+v: want octets of the text that says what is wrong, and else none", got[i])
		}
		got[i].Octets = 0
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if relayed != 1 {
		t.Errorf("%d requests are relayed, want 1", relayed)
	}
}

// serveBoth serves a request as connections do: in the lane, whose memory is used again at once, and what that leaves with the handler.
func (s *Server) serveBoth(t *testing.T, method, host, target string) {
	t.Helper()
	memory := []byte(method + host + target)
	part := func(from, n int) string { return unsafe.String(unsafe.SliceData(memory[from:]), n) }
	r := &lane.Request{Method: part(0, len(method)), Host: part(len(method), len(host)), Target: part(len(method+host), len(target)), Major: 2, At: time.Now()}
	r.Add("x-forwarded-for", "10.9.8.7")
	var a lane.Answer
	taken := visitors{s}.Take(&lane.Peer{Client: "192.0.2.1"}, r, &a)
	for i := range memory {
		memory[i] = '!'
	}
	if taken {
		return
	}
	req := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
	req.RequestURI, req.Host, req.RemoteAddr = target, host, "192.0.2.1:1234"
	req.Header.Set("X-Forwarded-For", "10.9.8.7")
	s.ServeHTTP(httptest.NewRecorder(), req)
}

// What is not a visitor's request is not logged here: DNS is by who answers it, and HTTPDNS, too.
func TestNoteVisitorsOnly(t *testing.T) {
	s := still(t)
	s.cfg.Resolve = http.NotFoundHandler()
	entries := logging(t, s, 1)
	for _, r := range requests() {
		if r.Host == "dns.example" {
			visitors{s}.Take(&lane.Peer{Client: "192.0.2.1"}, r, new(lane.Answer))
		}
	}
	s.serveBoth(t, "GET", "dns.example", "/resolve?host=a.example")
	s.serveBoth(t, "GET", "dns.example", "/dns-query?dns=x")
	if got := entries(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
