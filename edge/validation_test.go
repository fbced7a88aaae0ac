package edge_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/edge"
)

// TestConditionOfAMiss: a visitor's condition is about the visitor's copy, not the node's: the
// whole is fetched and kept, and the visitor told that nothing has changed.
func TestConditionOfAMiss(t *testing.T) {
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t)
	if a := r.get(t, addr, "/a", "If-None-Match", `W/"1"`); a.StatusCode != http.StatusNotModified || a.body != "" || a.word() != "MISS" {
		t.Errorf("%s %q %s", a.Status, a.body, a.word())
	}
	eventually(t, "the whole is stored", func() bool { // the 304 did not wait for it
		a := r.get(t, addr, "/a")
		return a.word() == "HIT" && a.body == "body of /a"
	})
	if n := r.origin.requests("/a"); n != 1 {
		t.Errorf("%d origin requests, want 1", n)
	}
	if a := r.get(t, addr, "/a", "If-Match", `"1"`); a.word() != "PASS" {
		t.Errorf("If-Match: %s, but only the origin knows the current state", a.word())
	}
}

// TestChangedContent: an answer other than 304 to a validation takes the place of what was stored.
func TestChangedContent(t *testing.T) {
	var version atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		tag := `"` + strconv.FormatInt(version.Load(), 10) + `"`
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", tag)
		if req.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "version "+tag)
	})
	r.clock.stop()
	_, addr := r.startAlone(t)
	for i, tt := range []struct {
		version            int64
		method, word, body string
		status             string // in Cache-Status
	}{
		{0, "GET", "MISS", `version "0"`, "fwd=uri-miss; fwd-status=200; stored"},
		{0, "GET", "REVALIDATED", `version "0"`, "fwd=stale; fwd-status=304; ttl=60; stored"},
		{0, "HEAD", "REVALIDATED", "", "fwd=stale; fwd-status=304; ttl=60; stored"},
		{1, "GET", "MISS", `version "1"`, "fwd=stale; fwd-status=200; stored"},
		{1, "GET", "REVALIDATED", `version "1"`, "fwd=stale; fwd-status=304; ttl=60; stored"},
	} {
		version.Store(tt.version)
		a := r.ask(t, tt.method, addr, domain, "/a")
		if a.word() != tt.word || a.body != tt.body || a.status() != "nearcast; "+tt.status {
			t.Errorf("request %d: %s %q, %q; want %s %q, %q", i, a.word(), a.body, a.status(), tt.word, tt.body, tt.status)
		}
		r.clock.advance(62 * time.Second)
	}
}

// TestNoCache: stored, but never used without asking.
func TestNoCache(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Etag", `"1"`)
		if req.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "x")
	})
	_, addr := r.startAlone(t)
	for i, want := range []string{"MISS", "REVALIDATED", "REVALIDATED"} {
		if a := r.get(t, addr, "/a"); a.word() != want || a.body != "x" {
			t.Errorf("request %d: %s %q, want %s", i, a.word(), a.body, want)
		}
	}
	r.origin.Close()
	if a := r.get(t, addr, "/a"); a.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("the origin is down: %s, want 504 (RFC 9111 section 5.2.2.2)", a.Status)
	}
}

// TestOneValidationForAll: visitors of a stale object wait for one validation.
func TestOneValidationForAll(t *testing.T) {
	const visitors = 5
	arrived, release := make(chan struct{}, visitors), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("If-None-Match") != "" {
			arrived <- struct{}{}
			<-release
		}
		cacheable(w, req)
	})
	registry := prometheus.NewRegistry()
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.Registry = registry })
	r.get(t, addr, "/a")
	r.clock.advance(61 * time.Second)
	var done sync.WaitGroup
	var collapsed atomic.Int64
	for range visitors {
		done.Go(func() {
			a := r.get(t, addr, "/a")
			if a.word() != "REVALIDATED" || a.body != "body of /a" {
				t.Errorf("%s %q", a.word(), a.body)
			}
			if strings.Contains(a.status(), "; collapsed") {
				collapsed.Add(1)
			}
		})
	}
	<-arrived
	eventually(t, "all are waiting", func() bool { return metric(t, registry, "nearcast_edge_fill_readers") == visitors })
	close(release)
	done.Wait()
	if n := r.origin.requests("/a"); n != 2 || collapsed.Load() != visitors-1 {
		t.Errorf("%d origin requests, %d collapsed; want 2 and %d", n, collapsed.Load(), visitors-1)
	}
}

// TestConditionOfAHead: a HEAD of which nothing is stored is answered with 304 if the condition is met, even if the
// origin does not look at it.
func TestConditionOfAHead(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Content-Length", "5")
	})
	_, addr := r.startAlone(t)
	for field, want := range map[string]int{`"0", W/"1"`: http.StatusNotModified, `"0"`: http.StatusOK} {
		if a := r.ask(t, http.MethodHead, addr, domain, "/a", "If-None-Match", field); a.StatusCode != want || a.Header.Get("Etag") != `"1"` {
			t.Errorf("If-None-Match %s: %s, want %d", field, a.Status, want)
		}
	}
}
