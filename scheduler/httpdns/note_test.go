package httpdns_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/httpdns"
	"nearcast/scheduler/querylog"
)

// logging is a log of one in so many requests, and what reads it when all is asked.
func logging(t *testing.T, every int) (log *querylog.Log, entries func() []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queries")
	log, err := querylog.Open(querylog.Config{Path: path, Every: every, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return log, func() []string {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := log.Run(ctx); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
}

// What is logged of a request: what was asked and said for the first host, and nothing of a signature, right or wrong.
func TestLogged(t *testing.T) {
	signature := httpdns.Sign([]byte(appKey), map[string][]string{"host": {"www.shop.example"}, "id": {"app-1"}, "t": {"1800000000"}})
	unasked := querylog.Entry{Code: "400"}
	for _, test := range []struct {
		what, method, query string
		closed              bool
		want                querylog.Entry
	}{
		{"one host", "GET", "host=www.shop.example", false, querylog.Entry{
			Name: "www.shop.example", Type: "4,6", Code: "200", POP: "p1", Reason: "nearest", Scope: 16,
		}},
		{"for somebody else", "GET", "host=WWW.shop.example,none.example,www.bound.example&ip=10.2.3.4&type=https,6", false, querylog.Entry{
			Client: "10.2.3.4/32", Name: "www.shop.example", More: 2, Type: "6,https", Code: "200", POP: "p2", Reason: "nearest", Scope: 16,
		}},
		{"for a network", "HEAD", "host=www.shop.example&ip=10.0.7.9/24&type=4", false, querylog.Entry{
			Client: "10.0.7.9/24", Name: "www.shop.example", Type: "4", Code: "200", POP: "p0", Reason: "nearest", Scope: 16,
		}},
		{"not configured", "GET", "host=none.example,www.shop.example", false, querylog.Entry{Name: "none.example", More: 1, Type: "4,6", Code: "200"}},
		{"none configured", "GET", "host=none.example", false, querylog.Entry{Name: "none.example", Type: "4,6", Code: "404"}},
		{"no question", "GET", "type=4&ip=junk", false, unasked},
		{"no query", "GET", "host=%zz&sign=" + signature, false, unasked},
		{"another method", "DELETE", "host=www.shop.example", false, querylog.Entry{Code: "405"}},
		{"signed", "GET", "host=www.shop.example&id=app-1&t=1800000000&sign=" + signature, true, querylog.Entry{
			Key: "app-1", Name: "www.shop.example", Type: "4,6", Code: "200", POP: "p1", Reason: "nearest", Scope: 16,
		}},
		{"signed for another host", "GET", "host=www.bound.example&id=app-1&t=1800000000&sign=" + signature, true, querylog.Entry{
			Name: "www.bound.example", Type: "4,6", Code: "403",
		}},
		{"with a key for an ID", "GET", "host=www.shop.example&id=" + url.QueryEscape(appKey), true, querylog.Entry{Name: "www.shop.example", Type: "4,6", Code: "403"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			log, entries := logging(t, 1)
			now := noon
			s := serve(t, func(c *httpdns.Config) {
				c.Log = log
				c.Now = func() time.Time {
					now = now.Add(time.Millisecond)
					return now
				}
				if test.closed {
					c.Keys = keys
				}
			})
			now = noon.Add(-time.Millisecond)
			w := httptest.NewRecorder()
			s.Serve(w, &http.Request{Method: test.method, URL: &url.URL{Path: httpdns.Path, RawQuery: test.query}}, peer)
			lines := entries()
			if len(lines) != 1 || strings.Contains(lines[0], signature) || strings.Contains(lines[0], "secret") {
				t.Fatalf("%q", lines)
			}
			var got querylog.Entry
			if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
				t.Fatal(err)
			}
			if got.Octets < 50 || test.method != http.MethodHead && got.Octets != w.Body.Len() {
				t.Errorf("%d octets, and %d were sent", got.Octets, w.Body.Len())
			}
			test.want.At, test.want.Front, test.want.Peer, test.want.Micros, test.want.Octets = noon, "httpdns", peer, 1000, got.Octets
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateApproxTime(0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Who asks too much is logged, too; of several requests there are as many as are due.
func TestLoggedSampled(t *testing.T) {
	log, entries := logging(t, 50)
	s := serve(t, func(c *httpdns.Config) { c.Log = log })
	for range 300 {
		get(s, "host=www.shop.example")
	}
	lines := entries()
	if all, refused := len(lines), strings.Count(strings.Join(lines, ""), `"code":"429"`); all != 6 || refused != 1 {
		t.Errorf("%d lines, %d of them of refusals; want 6 and 1: %s", all, refused, lines)
	}
}
