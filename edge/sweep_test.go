package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/edge/cacheadmin"
)

// withDisk gives a node a small memory, a small disk, and a state directory that the disk has.
func withDisk(dir string) func(*edge.Config) {
	return func(cfg *edge.Config) { cfg.Disks = []cdn.Disk{{Path: dir, Size: 16 << 20}} }
}

// runOnce runs a node that stands alone until stop is called.
func (r *rig) runOnce(t *testing.T, options ...func(*edge.Config)) (s *edge.Server, addr string, stop func()) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	cfg := edge.Config{Addr: "127.0.0.1:0", RAM: 64 << 20, Origin: fetcher{transport}, Now: r.clock.now}
	for _, option := range options {
		option(&cfg)
	}
	s, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	if err := s.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	s.Warm()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running: %v", err)
		}
		transport.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return s, s.Addr().String(), stop
}

// listed returns the URLs that a node lists, sorted.
func listed(t *testing.T, s *edge.Server, f cacheadmin.Filter) (urls []string, more bool) {
	t.Helper()
	more, err := s.Operator().List(t.Context(), f, func(e *cacheadmin.Entry) bool {
		urls = append(urls, e.URL)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(urls)
	return urls, more
}

func dirPurge(soft bool, path string) cdn.Purge {
	return cdn.Purge{Soft: soft, Scopes: []cdn.Scope{{Kind: cdn.ScopeDir, Site: "standalone", Domain: domain, Path: path}}}
}

// TestSweep: what has been purged is removed from memory and disk and the purge forgotten, and neither a restart nor what was purged softly
// brings anything back.
func TestSweep(t *testing.T) {
	for name, disk := range map[string]bool{"memory": false, "disk": true} {
		t.Run(name, func(t *testing.T) {
			var origin edition
			r := newRig(t, origin.ServeHTTP)
			options := []func(*edge.Config){}
			if disk {
				options = append(options, withDisk(t.TempDir()))
			}
			node, addr, stop := r.runOnce(t, options...)
			for i := range 20 {
				for _, dir := range []string{"hard", "soft", "kept"} {
					r.get(t, addr, fmt.Sprintf("/%s/%d", dir, i))
				}
			}
			node.Purge(dirPurge(true, "/soft/"))
			node.Purge(dirPurge(false, "/hard/"))
			if removed, whole, err := node.Sweep(t.Context()); err != nil || !whole || removed != map[bool]int64{false: 20, true: 40}[disk] {
				t.Errorf("%d removed, whole %v, %v", removed, whole, err)
			}
			stats := node.Operator().Stats()
			if stats.Memory.Objects != 40 || disk && stats.Disks[0].Objects != 40 {
				t.Errorf("%+v", stats)
			}
			// What was purged softly was stored before either, so that both are remembered for it. Once it has been validated neither need be.
			if stats.Purges.Entries != 2 {
				t.Errorf("%d purges are remembered, want 2", stats.Purges.Entries)
			}
			check := func(path, word string) {
				t.Helper()
				if a := r.get(t, addr, path); a.word() != word {
					t.Errorf("%s: %s, want %s", path, a.word(), word)
				}
			}
			for i := range 20 {
				check(fmt.Sprint("/soft/", i), "REVALIDATED")
			}
			node.Purge(dirPurge(false, "/nothing/"))
			if _, whole, err := node.Sweep(t.Context()); err != nil || !whole {
				t.Errorf("whole %v, %v", whole, err)
			}
			if got := node.Operator().Stats().Purges.Entries; got != 0 {
				t.Errorf("%d purges are remembered, want none", got)
			}
			if disk {
				stop()
				node, addr, _ = r.runOnce(t, options...)
				if n := node.Operator().Stats().Disks[0].Objects; n != 40 {
					t.Errorf("%d objects after a restart, want 40", n)
				}
			}
			check("/hard/1", "MISS")
			check("/soft/1", "HIT")
			check("/kept/1", "HIT")
		})
	}
}

// TestSweepByItself: a node sweeps after a purge without being told, and its metrics say so.
func TestSweepByItself(t *testing.T) {
	r := newRig(t, cacheable)
	registry := prometheus.NewRegistry()
	node, addr, _ := r.runOnce(t, withDisk(t.TempDir()), edge.SweepSoon, func(cfg *edge.Config) { cfg.Registry = registry })
	for i := range 10 {
		r.get(t, addr, fmt.Sprint("/a/", i))
		r.get(t, addr, fmt.Sprint("/a/", i))
	}
	for name, want := range map[string]float64{"disk_objects": 10, "disk_puts_total": 10, "disks_failed": 0, "disk_failed": 0, "disk_warm": 1, "disk_size_bytes": 16 << 20} {
		if got := metric(t, registry, "nearcast_edge_"+name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := metric(t, registry, "nearcast_edge_store_hits_total"); got < 10 {
		t.Errorf("%v lookups that found something, want 10 at least", got)
	}
	for i := range 3 {
		node.Purge(dirPurge(false, fmt.Sprintf("/%c/", 'a'+i)))
		eventually(t, "swept", func() bool { return node.Operator().Stats().Purges.Entries == 0 })
	}
	if got := metric(t, registry, "nearcast_edge_sweep_removed_total"); got != 20 || metric(t, registry, "nearcast_edge_disk_objects") != 0 {
		t.Errorf("%v objects removed, want those in memory and on disk: 20", got)
	}
}

// TestSweepRemembers: what is stored under keys that the configuration of now does not lead to may be led to by a later one. A purge of such
// content is not forgotten.
func TestSweepRemembers(t *testing.T) {
	r := newRig(t, cacheable)
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	apply := func(generation cdn.Generation, sites ...cdn.Site) {
		t.Helper()
		if err := node.Apply(&cdn.Snapshot{Generation: generation, Fleet: r.fleet, Sites: sites}); err != nil {
			t.Fatal(err)
		}
	}
	r.get(t, addr, "/a")
	r.get(t, addr, "/b")
	apply(2) // the site is gone for a while
	node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/a")}})
	if removed, _, err := node.Sweep(t.Context()); err != nil || removed != 0 {
		t.Errorf("%d removed, %v", removed, err)
	}
	apply(3, r.sites...)
	for path, word := range map[string]string{"/a": "MISS", "/b": "HIT"} {
		if a := r.get(t, addr, path); a.word() != word {
			t.Errorf("%s: %s, want %s", path, a.word(), word)
		}
	}
}

// TestSweepNeedsAConfiguration: before there is one nobody knows what a purge covers.
func TestSweepNeedsAConfiguration(t *testing.T) {
	r := newRig(t, cacheable)
	dir := t.TempDir()
	_, addr, stop := r.runOnce(t, withDisk(dir))
	r.get(t, addr, "/a")
	stop()
	node := r.startConfig(t, edge.Config{Addr: "127.0.0.1:0", RAM: 64 << 20}, withDisk(dir))
	node.Purge(cdn.Purge{Targets: []cdn.Target{target("/a")}})
	if _, whole, err := node.Sweep(t.Context()); err != nil || whole {
		t.Errorf("whole %v, %v", whole, err)
	}
	if err := node.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return node.Ready() == nil })
	if a := r.get(t, node.Addr().String(), "/a"); a.word() != "MISS" {
		t.Errorf("/a: %s, want a MISS", a.word())
	}
}

// TestDrop: what has been dropped is not served any more, also after a restart; all else is.
func TestDrop(t *testing.T) {
	r := newRig(t, cacheable)
	dir := t.TempDir()
	node, addr, stop := r.runOnce(t, withDisk(dir))
	for _, path := range []string{"/a", "/b", "/c"} {
		r.get(t, addr, path)
	}
	if d, err := node.Operator().Drop(target("/a")); err != nil || d.Objects != 1 || d.URL != "http://"+domain+"/a" {
		t.Errorf("Drop: %+v, %v", d, err)
	}
	if urls, _ := listed(t, node, cacheadmin.Filter{}); strings.Join(urls, " ") != "http://"+domain+"/b http://"+domain+"/c" {
		t.Errorf("listed: %s", urls)
	}
	stop()
	node, addr, stop = r.runOnce(t, withDisk(dir))
	for path, word := range map[string]string{"/a": "MISS", "/b": "HIT"} {
		if a := r.get(t, addr, path); a.word() != word {
			t.Errorf("after a restart, %s: %s, want %s", path, a.word(), word)
		}
	}
	if d, err := node.Operator().DropAll(); err != nil || d.Objects == 0 {
		t.Errorf("DropAll: %+v, %v", d, err)
	}
	stop()
	_, addr, _ = r.runOnce(t, withDisk(dir))
	for _, path := range []string{"/a", "/b", "/c"} {
		if a := r.get(t, addr, path); a.word() != "MISS" {
			t.Errorf("after everything was dropped, %s: %s", path, a.word())
		}
	}
}

// TestVerifyInTheBackground: a node reads by itself what it has on disk.
func TestVerifyInTheBackground(t *testing.T) {
	r := newRig(t, cacheable)
	dir := t.TempDir()
	_, addr, stop := r.runOnce(t, withDisk(dir))
	for i := range 10 {
		r.get(t, addr, fmt.Sprint("/", i))
	}
	stop()
	node, _, _ := r.runOnce(t, withDisk(dir), func(cfg *edge.Config) { cfg.VerifyRate = 1 << 30 })
	eventually(t, "verified", func() bool { return node.Operator().Stats().Verify.Passes == 1 })
	if v := node.Operator().Stats().Verify; v.Records != 10 || v.Damaged+v.Errors != 0 {
		t.Errorf("%+v", v)
	}
	report, err := node.Operator().Verify(t.Context(), 0, func(cacheadmin.Report) {})
	if err != nil || report.Records != 10 || report.Total == 0 {
		t.Errorf("asked for: %+v, %v", report, err)
	}
	if v := node.Operator().Stats().Verify; v.Records != 20 || v.Passes != 2 {
		t.Errorf("afterwards %+v", v)
	}
}

// TestList: filters, limits, and what is said of each.
func TestList(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Surrogate-Key", "one two")
		cacheable(w, req)
	}, cdn.Route{TTL: cdn.Duration(10 * time.Minute), ForceCache: true})
	node := r.start(t, "ams-1", withDisk(t.TempDir()))
	addr := r.addr("ams-1")
	for i := range 30 {
		r.get(t, addr, fmt.Sprintf("/img/%d", i))
	}
	r.get(t, addr, "/other", "Accept-Language", "de")
	r.get(t, addr, "/other", "Accept-Language", "en")
	for _, tt := range []struct {
		f    cacheadmin.Filter
		n    int
		more bool
	}{
		{cacheadmin.Filter{}, 32, false},
		{cacheadmin.Filter{Limit: 32}, 32, false},
		{cacheadmin.Filter{Limit: 31}, 31, true},
		{cacheadmin.Filter{Prefix: "http://" + domain + "/img/1"}, 11, false},
		{cacheadmin.Filter{Prefix: "http://" + domain + "/img/1", Limit: 5}, 5, true},
		{cacheadmin.Filter{Site: "shop", Tier: cacheadmin.InBoth}, 32, false},
		{cacheadmin.Filter{Site: domain, Tier: cacheadmin.InMemory}, 0, false},
		{cacheadmin.Filter{Tier: cacheadmin.OnDisk}, 0, false},
	} {
		if urls, more := listed(t, node, tt.f); len(urls) != tt.n || more != tt.more {
			t.Errorf("%+v: %d, more %v; want %d, %v", tt.f, len(urls), more, tt.n, tt.more)
		}
	}
	if _, err := node.Operator().List(t.Context(), cacheadmin.Filter{Site: "nobody"}, nil); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("a site that nobody has: %v", err)
	}
	r.clock.advance(5 * time.Minute)
	_, err := node.Operator().List(t.Context(), cacheadmin.Filter{Limit: 1}, func(e *cacheadmin.Entry) bool {
		if e.Site != "shop" || e.Status != 200 || e.Tags != 2 || e.Vary != "Accept-Language" || e.Verdict != "good" || e.Age < 300 || e.Age > 301 || e.TTL < 298 || e.TTL > 300 {
			t.Errorf("%+v", e)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}
