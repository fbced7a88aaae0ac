package edge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/edge"
)

// TestPurgeAcrossARestart: what was purged before a restart is not there after it, on disk though it is; all else is, as soon as the
// node knows what was purged while it was away.
func TestPurgeAcrossARestart(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Surrogate-Key", "tag-of:"+req.URL.Path)
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Etag", `"1"`)
		if req.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "body of "+req.URL.Path)
	})
	path := t.TempDir()
	storage := func(cfg *edge.Config) {
		cfg.Dir, cfg.Disks = path, []cdn.Disk{{Size: 64 << 20}}
	}
	addr := r.addr("ams-1")
	expect := func(t *testing.T, path, word string) {
		t.Helper()
		if a := r.get(t, addr, path); a.word() != word || a.body != "body of "+strings.SplitN(path, "?", 2)[0] {
			t.Errorf("%s: %s %q, want %s", path, a.word(), a.body, word)
		}
	}
	paths := []string{"/url?q", "/dir/a", "/tagged", "/regex.png", "/softly", "/kept", "/held", "/missed"}
	t.Run("before", func(t *testing.T) {
		node := r.start(t, "ams-1", storage)
		for _, path := range paths {
			expect(t, path, "MISS")
		}
		node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/url?q")}})
		node.Purge(scoped(2, false, cdn.Scope{Kind: cdn.ScopeDir, Domain: domain, Path: "/dir/"}))
		node.Purge(scoped(3, false, cdn.Scope{Kind: cdn.ScopeTag, Tag: "tag-of:/tagged"}))
		node.Purge(scoped(4, false, cdn.Scope{Kind: cdn.ScopeRegexp, Regexp: `\.png$`}))
		node.Purge(cdn.Purge{Revision: 5, Soft: true, Targets: []cdn.Target{target("/softly")}})
	})
	t.Run("after", func(t *testing.T) {
		node := r.start(t, "ams-1", storage)
		expect(t, "/held", "MISS") // it may have been purged meanwhile
		node.Purge(cdn.Purge{Revision: 6, Targets: []cdn.Target{target("/missed")}})
		node.CaughtUp()
		eventually(t, "what is on disk is known", func() bool { return node.Operator().Stats().Warm })
		expect(t, "/kept", "HIT")
		for path, word := range map[string]string{
			"/url?q": "MISS", "/dir/a": "MISS", "/tagged": "MISS", "/regex.png": "MISS", "/softly": "REVALIDATED", "/held": "HIT", "/missed": "MISS",
		} {
			expect(t, path, word)
		}
		if n := r.origin.requests("/kept"); n != 1 {
			t.Errorf("the origin was asked %d times for what was kept", n)
		}
	})
	t.Run("everything", func(t *testing.T) {
		node := r.start(t, "ams-1", storage)
		node.PurgeAll(9)
		node.CaughtUp()
		for _, path := range paths {
			expect(t, path, "MISS")
		}
	})
}
