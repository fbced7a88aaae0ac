package edge_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

func TestPurge(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		io.WriteString(w, "x")
	})
	l1, l2 := r.chain(t)
	for _, language := range []string{"de", "en"} {
		r.get(t, r.addr("fra-1"), "/a", "Accept-Language", language)
	}
	r.get(t, r.addr("fra-1"), "/b")
	purge := cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}}
	for _, node := range l2 {
		node.Purge(purge)
	}
	l1.Purge(purge)
	for _, language := range []string{"de", "en"} {
		if a := r.get(t, r.addr("fra-1"), "/a", "Accept-Language", language); a.word() != "MISS" || strings.Contains(a.status(), "; hit") {
			t.Errorf("variant %s after the purge: %s", language, a.status())
		}
	}
	if a := r.get(t, r.addr("fra-1"), "/b"); a.word() != "HIT" {
		t.Errorf("another URL after the purge: %s", a.word())
	}
	l1.PurgeAll(0)
	if a := r.get(t, r.addr("fra-1"), "/b"); a.word() != "MISS" {
		t.Errorf("after a purge of everything: %s", a.word())
	}
}

// TestPurgeDuringAFill: what was under way when the purge was applied is delivered
// to those who wait for it, and never stored.
func TestPurgeDuringAFill(t *testing.T) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "x")
	})
	node := r.start(t, "ams-1")
	var reader sync.WaitGroup
	reader.Go(func() {
		if a := r.get(t, r.addr("ams-1"), "/a"); a.body != "x" {
			t.Errorf("the waiting reader got %q", a.body)
		}
	})
	<-arrived
	node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}})
	close(release)
	reader.Wait()
	if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "MISS" {
		t.Errorf("after the purge: %s, the old fill was stored", a.word())
	}
}

// TestRegionalNodeCatchesUp: a regional node that is behind waits for the purge, and
// then may use what it has.
func TestRegionalNodeCatchesUp(t *testing.T) {
	r := newRig(t, cacheable)
	registry := prometheus.NewRegistry()
	l1, l2 := r.chain(t, func(cfg *edge.Config) { cfg.Registry = registry })
	r.get(t, r.addr("fra-1"), "/a")
	r.get(t, r.addr("fra-1"), "/b")
	purge := cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}}
	l1.PurgeAll(0)
	l1.Purge(purge)
	var reader sync.WaitGroup
	reader.Go(func() {
		if a := r.get(t, r.addr("fra-1"), "/b"); a.word() != "MISS" || !strings.Contains(a.status(), "; hit") {
			t.Errorf("%s, want a hit at the regional node", a.status())
		}
	})
	eventually(t, "the regional node is asked", func() bool { return metric(t, registry, "nearcast_edge_upstream_requests_total") == 3 })
	for _, node := range l2 {
		node.Purge(purge)
	}
	reader.Wait()
	if a := r.get(t, r.addr("fra-1"), "/a"); strings.Contains(a.status(), "; hit") {
		t.Errorf("purged content: %s", a.status())
	}
}

// TestPurgeNamesTheSite: a purge finds the content by any of the site's names, and one of
// somebody else's domain or of an old revision does nothing.
func TestPurgeNamesTheSite(t *testing.T) {
	r := newRig(t, cacheable)
	node := r.start(t, "ams-1")
	for _, tt := range []struct {
		target cdn.Target
		word   string
	}{
		{cdn.Target{Scheme: "http", Domain: domain, Path: "/a"}, "MISS"},
		{cdn.Target{Scheme: "http", Domain: domain + ".cdn.test", Path: "/a"}, "MISS"},
		{cdn.Target{Scheme: "http", Domain: "nobody.example", Path: "/a"}, "HIT"},
		{cdn.Target{Scheme: "http", Domain: domain, Path: "/A"}, "HIT"},
		{cdn.Target{Scheme: "http", Domain: domain, Path: "/a", HasQuery: true}, "HIT"},
	} {
		r.get(t, r.addr("ams-1"), "/a")
		node.Purge(cdn.Purge{Revision: 5, Targets: []cdn.Target{tt.target}})
		if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != tt.word {
			t.Errorf("after a purge of %s: %s, want %s", tt.target, a.word(), tt.word)
		}
	}
}

// TestPurgeOfEverythingDuringAFill is [TestPurgeDuringAFill] for PurgeAll, with a validation
// under way: what a 304 says of purged content does not bring it back.
func TestPurgeOfEverythingDuringAFill(t *testing.T) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("If-None-Match") != "" {
			arrived <- struct{}{}
			<-release
		}
		cacheable(w, req)
	})
	node, addr := r.startAlone(t)
	r.get(t, addr, "/a")
	r.clock.advance(61 * time.Second)
	var reader sync.WaitGroup
	reader.Go(func() {
		if a := r.get(t, addr, "/a"); a.word() != "REVALIDATED" || a.body != "body of /a" {
			t.Errorf("the waiting reader got %s %q", a.word(), a.body)
		}
	})
	<-arrived
	node.PurgeAll(0)
	close(release)
	reader.Wait()
	if a := r.get(t, addr, "/a"); a.word() != "MISS" {
		t.Errorf("after the purge: %s", a.word())
	}
}

// TestRegionalNodeBehindInPurges: an edge node that has applied a purge does not
// get the purged content back from a regional node that has not.
func TestRegionalNodeBehindInPurges(t *testing.T) {
	r := newRig(t, cacheable)
	l1, _ := r.chain(t)
	r.get(t, r.addr("fra-1"), "/a")
	l1.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}})
	if a := r.get(t, r.addr("fra-1"), "/a"); strings.Contains(a.status(), "; hit") {
		t.Errorf("purged content came back from behind: %s", a.status())
	}
	if n := r.origin.requests("/a"); n != 2 {
		t.Errorf("%d origin requests, want 2", n)
	}
}
