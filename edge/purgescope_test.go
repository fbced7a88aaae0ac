package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// edition is an origin whose contents all change at once. Paths with "/swr/" may be served stale for 30 s while they are
// validated, and those with "/sie/" for 30 s when it fails.
type edition struct {
	number  atomic.Int64
	failing atomic.Bool
	whole   atomic.Int64 // answers with a body
}

func (e *edition) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if e.failing.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h, path := w.Header(), req.URL.Path
	h.Set("Cache-Control", "max-age=600")
	if strings.Contains(path, "/swr/") {
		h.Set("Cache-Control", "max-age=600, stale-while-revalidate=30")
	}
	if strings.Contains(path, "/sie/") {
		h.Set("Cache-Control", "max-age=600, stale-if-error=30")
	}
	tag := fmt.Sprintf(`"%d"`, e.number.Load())
	h.Set("Etag", tag)
	h.Add("Surrogate-Key", "all page:"+strings.ReplaceAll(path, "/", ":"))
	h.Add("Cache-Tag", "Big Sale, "+strings.Repeat("t", len(path)))
	if req.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	e.whole.Add(1)
	fmt.Fprintf(w, "%s, edition %d", path, e.number.Load())
}

// scoped is a purge of one scope of the rig's site.
func scoped(revision cdn.Revision, soft bool, s cdn.Scope) cdn.Purge {
	s.Site = "shop"
	return cdn.Purge{Revision: revision, Soft: soft, Scopes: []cdn.Scope{s}}
}

// TestPurgeScopes: each kind of purge, through both tiers. What is covered comes from the origin again, or is validated by it if the purge is
// soft; all else stays a hit.
func TestPurgeScopes(t *testing.T) {
	for _, tt := range []struct {
		name            string
		scope           cdn.Scope
		covered, others []string
	}{
		{"directory", cdn.Scope{Kind: cdn.ScopeDir, Domain: domain, Path: "/img/"}, []string{"/img/", "/img/a/b?c"}, []string{"/img", "/images/a", "/x/img/"}},
		{"tag in Surrogate-Key", cdn.Scope{Kind: cdn.ScopeTag, Tag: "page::a:b"}, []string{"/a/b", "/a/b?c"}, []string{"/a/B", "/a"}},
		{"tag in Cache-Tag", cdn.Scope{Kind: cdn.ScopeTag, Tag: "Big Sale"}, []string{"/a", "/b"}, nil},
		{"tag of nothing", cdn.Scope{Kind: cdn.ScopeTag, Tag: "Big"}, nil, []string{"/a"}},
		{"regular expression", cdn.Scope{Kind: cdn.ScopeRegexp, Regexp: `\.png(\?|$)`}, []string{"/a.png", "/b.png?v=1"}, []string{"/a.png/x", "/apng"}},
		{"regular expression of the domain", cdn.Scope{Kind: cdn.ScopeRegexp, Domain: domain, Regexp: `^/a`}, []string{"/a"}, []string{"/ba"}},
		{"regular expression of another domain", cdn.Scope{Kind: cdn.ScopeRegexp, Domain: "other.example", Regexp: `^/a`}, nil, []string{"/a"}},
		{"site", cdn.Scope{Kind: cdn.ScopeSite}, []string{"/", "/a/b?c"}, nil},
	} {
		for _, soft := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, soft %v", tt.name, soft), func(t *testing.T) {
				var origin edition
				r := newRig(t, origin.ServeHTTP)
				l1, l2 := r.chain(t)
				for _, path := range append(tt.covered, tt.others...) {
					r.get(t, r.addr("fra-1"), path)
				}
				bodies := origin.whole.Load()
				for revision := range cdn.Revision(2) {
					p := scoped(revision+1, soft, tt.scope)
					for _, node := range l2 {
						node.Purge(p)
					}
					l1.Purge(p)
					if revision == 1 { // and now there is something new
						origin.number.Add(1)
					}
					for _, path := range tt.covered {
						a := r.get(t, r.addr("fra-1"), path)
						want := "MISS"
						if soft && revision == 0 {
							want = "REVALIDATED"
						}
						if a.word() != want || !strings.HasSuffix(a.body, fmt.Sprint(", edition ", origin.number.Load())) || strings.Contains(a.status(), "; hit") {
							t.Errorf("%s: %s %q, %s; want %s", path, a.word(), a.body, a.status(), want)
						}
						if a := r.get(t, r.addr("fra-1"), path); a.word() != "HIT" {
							t.Errorf("%s once more: %s", path, a.word())
						}
					}
					for _, path := range tt.others {
						if a := r.get(t, r.addr("fra-1"), path); a.word() != "HIT" || !strings.HasSuffix(a.body, ", edition 0") {
							t.Errorf("%s: %s %q, want what was there", path, a.word(), a.body)
						}
					}
				}
				want := bodies + 2*int64(len(tt.covered))
				if soft {
					want = bodies + int64(len(tt.covered))
				}
				if got := origin.whole.Load(); got != want {
					t.Errorf("the origin has sent %d bodies, want %d", got, want)
				}
			})
		}
	}
}

// TestSoftPurge: what a soft purge leaves is stale since then, with all that may be done with a stale response.
func TestSoftPurge(t *testing.T) {
	purge := cdn.Purge{Revision: 1, Soft: true, Targets: []cdn.Target{target("/a"), target("/swr/a"), target("/sie/a")}}
	for _, tt := range []struct {
		name, path string
		later      time.Duration // after the purge
		failing    bool
		word, body string
	}{
		{"validated", "/a", 0, false, "MISS", ", edition 1"},
		{"stale while it is validated", "/swr/a", 29 * time.Second, false, "STALE", ", edition 0"},
		{"no longer", "/swr/a", 31 * time.Second, false, "MISS", ", edition 1"},
		{"stale if there is an error", "/sie/a", 29 * time.Second, true, "STALE", ", edition 0"},
		{"no longer", "/sie/a", 31 * time.Second, true, "MISS", ""},
		{"not allowed", "/a", 0, true, "MISS", ""},
	} {
		t.Run(tt.name+" "+tt.path, func(t *testing.T) {
			var origin edition
			r := newRig(t, origin.ServeHTTP)
			r.clock.stop()
			node := r.start(t, "ams-1")
			addr := r.addr("ams-1")
			r.get(t, addr, tt.path)
			r.clock.advance(100 * time.Second)
			node.Purge(purge)
			r.clock.advance(tt.later)
			origin.number.Add(1)
			origin.failing.Store(tt.failing)
			a := r.get(t, addr, tt.path)
			if a.word() != tt.word || !strings.HasSuffix(a.body, tt.body) {
				t.Errorf("%s %q, %s; want %s %q", a.word(), a.body, a.status(), tt.word, tt.body)
			}
			if tt.word == "STALE" && !tt.failing {
				eventually(t, "validated in the background", func() bool {
					a := r.get(t, addr, tt.path)
					return a.word() == "HIT" && strings.HasSuffix(a.body, ", edition 1")
				})
			}
			if tt.failing {
				origin.failing.Store(false)
				if a := r.get(t, addr, tt.path); !strings.HasSuffix(a.body, ", edition 1") {
					t.Errorf("when the origin is back: %s %q", a.word(), a.body)
				}
			}
		})
	}
}

// TestSoftThenHard: a hard purge counts, however it stands with softer ones.
func TestSoftThenHard(t *testing.T) {
	var origin edition
	r := newRig(t, origin.ServeHTTP)
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	r.get(t, addr, "/swr/a")
	node.Purge(cdn.Purge{Revision: 1, Soft: true, Targets: []cdn.Target{target("/swr/a")}})
	node.Purge(cdn.Purge{Revision: 2, Targets: []cdn.Target{target("/swr/a")}})
	if a := r.get(t, addr, "/swr/a"); a.word() != "MISS" {
		t.Errorf("%s, want a miss", a.word())
	}
	if got := origin.whole.Load(); got != 2 {
		t.Errorf("the origin has sent %d bodies, want 2", got)
	}
}

// TestPurgeByHead: HEAD validates what a soft purge has made stale, and sees nothing of what a hard one has removed.
func TestPurgeByHead(t *testing.T) {
	var origin edition
	r := newRig(t, origin.ServeHTTP)
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	r.get(t, addr, "/a")
	node.Purge(scoped(1, true, cdn.Scope{Kind: cdn.ScopeSite}))
	if a := r.ask(t, http.MethodHead, addr, domain, "/a"); a.word() != "REVALIDATED" {
		t.Errorf("HEAD after a soft purge: %s", a.word())
	}
	if a := r.get(t, addr, "/a"); a.word() != "HIT" {
		t.Errorf("GET after it was validated: %s", a.word())
	}
	node.Purge(scoped(2, false, cdn.Scope{Kind: cdn.ScopeSite}))
	if a := r.ask(t, http.MethodHead, addr, domain, "/a"); a.word() != "MISS" {
		t.Errorf("HEAD after a hard purge: %s", a.word())
	}
	if a := r.get(t, addr, "/a"); a.word() != "MISS" {
		t.Errorf("GET after HEAD: %s", a.word())
	}
}

// TestTagsAreForNodes: tags reach the nodes, not the visitors, from the lane, the exchange and a pass alike.
func TestTagsAreForNodes(t *testing.T) {
	var origin edition
	r := newRig(t, origin.ServeHTTP)
	r.chain(t)
	addr := r.addr("fra-1")
	for _, method := range []string{http.MethodGet, http.MethodGet, http.MethodHead, http.MethodPost} {
		a := r.ask(t, method, addr, domain, "/a")
		for _, name := range []string{"Surrogate-Key", "Cache-Tag"} {
			if v := a.Header.Values(name); v != nil {
				t.Errorf("%s, %s: a visitor sees %s: %q", method, a.word(), name, v)
			}
		}
	}
	_, alone := r.startAlone(t)
	if a := r.get(t, alone, "/b"); a.Header.Get("Cache-Tag") == "" {
		t.Error("a stand-alone cache has taken off what the origin says")
	}
}

// TestTagsOfAValidation: a 304 may give other tags, and then those count.
func TestTagsOfAValidation(t *testing.T) {
	var tags atomic.Value
	tags.Store("old")
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Surrogate-Key", tags.Load().(string))
		cacheable(w, req)
	})
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	r.get(t, addr, "/a")
	tags.Store("new")
	r.clock.advance(61 * time.Second)
	if a := r.get(t, addr, "/a"); a.word() != "REVALIDATED" || a.body != "body of /a" {
		t.Fatalf("%s %q", a.word(), a.body)
	}
	for i, tt := range []struct{ tag, word string }{{"old", "HIT"}, {"new", "MISS"}} {
		node.Purge(scoped(cdn.Revision(i+1), false, cdn.Scope{Kind: cdn.ScopeTag, Tag: tt.tag}))
		if a := r.get(t, addr, "/a"); a.word() != tt.word {
			t.Errorf("after a purge of tag %s: %s, want %s", tt.tag, a.word(), tt.word)
		}
	}
}

// TestTooManyTags: what could not be purged by all of its tags is not stored.
func TestTooManyTags(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Surrogate-Key", strings.Repeat("x ", 1001))
		cacheable(w, req)
	})
	r.start(t, "ams-1")
	for range 2 {
		if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "MISS" || !strings.Contains(a.status(), "too many tags") {
			t.Errorf("%s, %s", a.word(), a.status())
		}
	}
}

// TestPurgeScopesDuringAFill: a fill that began before a purge that covers it is delivered to whoever waited for it; whoever
// comes later gets one of their own, and what is stored is theirs, in whatever order the two end.
func TestPurgeScopesDuringAFill(t *testing.T) {
	for _, tt := range []struct {
		name  string
		purge cdn.Purge
	}{
		{"url", cdn.Purge{Targets: []cdn.Target{target("/a")}}},
		{"url, softly", cdn.Purge{Targets: []cdn.Target{target("/a")}, Soft: true}},
		{"directory", scoped(0, false, cdn.Scope{Kind: cdn.ScopeDir, Domain: domain, Path: "/"})},
		{"tag", scoped(0, false, cdn.Scope{Kind: cdn.ScopeTag, Tag: "t"})},
		{"tag, softly", scoped(0, true, cdn.Scope{Kind: cdn.ScopeTag, Tag: "t"})},
		{"regular expression", scoped(0, false, cdn.Scope{Kind: cdn.ScopeRegexp, Regexp: "a"})},
		{"site", scoped(0, false, cdn.Scope{Kind: cdn.ScopeSite})},
	} {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, head known %v", tt.name, begun), func(t *testing.T) {
				arrived, release := make(chan struct{}, 10), make(chan struct{})
				var asked atomic.Int64
				r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
					first := asked.Add(1) == 1
					if first && !begun {
						arrived <- struct{}{}
						<-release
					}
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Surrogate-Key", "s t")
					if !first {
						io.WriteString(w, "new")
						return
					}
					io.WriteString(w, "ol")
					if begun {
						http.NewResponseController(w).Flush()
						arrived <- struct{}{}
						<-release
					}
					io.WriteString(w, "d")
				})
				node := r.start(t, "ams-1")
				addr := r.addr("ams-1")
				var readers sync.WaitGroup
				readers.Go(func() {
					if a := r.get(t, addr, "/a"); a.body != "old" {
						t.Errorf("the waiting reader got %q", a.body)
					}
				})
				<-arrived
				p := tt.purge
				p.Revision = 1
				node.Purge(p)
				readers.Go(func() {
					if a := r.get(t, addr, "/a"); a.body != "new" {
						t.Errorf("a reader who came after the purge got %q", a.body)
					}
				})
				if begun { // the purge knows what the fill brings; else whoever comes may wait for that
					eventually(t, "a fetch of one's own", func() bool { return asked.Load() == 2 })
				}
				close(release)
				readers.Wait()
				eventually(t, "the new one is stored", func() bool {
					a := r.get(t, addr, "/a")
					return a.word() == "HIT" && a.body == "new"
				})
			})
		}
	}
}

// TestPurgeSurvivesARestart: the log of a node is there again when it starts, and so is the revision.
func TestPurgeSurvivesARestart(t *testing.T) {
	path := t.TempDir()
	r := newRig(t, cacheable)
	registry := prometheus.NewRegistry()
	node := r.start(t, "ams-1", func(cfg *edge.Config) { cfg.Dir, cfg.Registry = path, registry })
	node.Purge(scoped(7, false, cdn.Scope{Kind: cdn.ScopeDir, Domain: domain, Path: "/a/"}))
	node.Purge(cdn.Purge{Revision: 8, Soft: true, Targets: []cdn.Target{target("/a")}})
	if metric(t, registry, "nearcast_edge_purge_entries") != 2 || metric(t, registry, "nearcast_edge_purges_soft_total") != 1 {
		t.Error("the metrics do not have the purges")
	}
	again := prometheus.NewRegistry()
	r.startConfig(t, edge.Config{Addr: "127.0.0.1:0", RAM: 64 << 20, Dir: path, Registry: again})
	if got := metric(t, again, "nearcast_edge_purge_revision"); got != 8 {
		t.Errorf("after a restart the node is at revision %v, want 8", got)
	}
	if got := metric(t, again, "nearcast_edge_purge_entries"); got != 1 { // a URL becomes a key with the configuration
		t.Errorf("%v entries, want 1", got)
	}
}

// TestPurgeDirectoryOfSharedDomain: where keys leave something out of URLs, a directory covers whatever shares a key with what it has.
func TestPurgeDirectoryOfSharedDomain(t *testing.T) {
	r := newRig(t, cacheable, cdn.Route{CacheKey: cdn.KeyRule{ShareDomains: true, IgnoreCase: true}})
	r.sites[0].Domains = append(r.sites[0].Domains, "two.example", "three.example")
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	for i, asked := range []cdn.Domain{domain, "two.example", "three.example"} {
		for j, purged := range []cdn.Domain{domain, "two.example", "three.example"} {
			r.ask(t, http.MethodGet, addr, string(asked), "/Img/a")
			node.Purge(scoped(cdn.Revision(10*i+j), false, cdn.Scope{Kind: cdn.ScopeDir, Domain: purged, Path: "/iMG/"}))
			if a := r.ask(t, http.MethodGet, addr, string(asked), "/Img/a"); a.word() != "MISS" {
				t.Errorf("asked as %s, purged as %s: %s", asked, purged, a.word())
			}
		}
	}
}
