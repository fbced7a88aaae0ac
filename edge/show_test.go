package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
	"nearcast/edge/store"
)

func show(t *testing.T, node cacheadmin.Node, url string) *cacheadmin.Shown {
	t.Helper()
	target, err := cdn.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := node.Show(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestShow: every variant of a URL, what was compressed of it, what was purged of it, and where it is.
func TestShow(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Vary", "Accept-Language")
		h.Set("Content-Type", "text/plain")
		h.Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat(req.Header.Get("Accept-Language")+" ", 2000))
	}, cdn.Route{Compress: &cdn.Compress{}, CacheKey: cdn.KeyRule{Cookies: []string{"tier"}}})
	r.sites[0].Domains = append(r.sites[0].Domains, "other.example")
	node := r.start(t, "ams-1", withDisk(t.TempDir()))
	addr, url := r.addr("ams-1"), "http://"+domain+"/a"
	r.get(t, addr, "/a", "Accept-Language", "de")
	r.get(t, addr, "/a", "Accept-Language", "en", "Cookie", "tier=gold")
	r.get(t, addr, "/a", "Accept-Language", "en", "Cookie", "tier=gold", "Accept-Encoding", "gzip")
	node.Purge(cdn.Purge{Revision: 1, Soft: true, Targets: []cdn.Target{target("/a")}})
	r.get(t, addr, "/a", "Accept-Language", "fr")

	s := show(t, node.Operator(), url)
	if s.URL != url || s.Site != "shop" || len(s.Keys) != 1 || len(s.Objects) != 3 {
		t.Fatalf("%+v", s)
	}
	slices.SortFunc(s.Objects, func(a, b cacheadmin.Object) int {
		return strings.Compare(a.Selecting["Accept-Language"], b.Selecting["Accept-Language"])
	})
	for i, want := range []struct{ language, variant, verdict, coded string }{
		{"de", "cookie.tier", "stale", ""}, {"en", "cookie.tier=gold", "stale", "gzip"}, {"fr", "cookie.tier", "good", ""},
	} {
		o := s.Objects[i]
		coded := ""
		for _, c := range o.Coded {
			coded += c.Coding
		}
		if o.Selecting["Accept-Language"] != want.language || o.Variant != want.variant || o.Verdict != want.verdict || coded != want.coded {
			t.Errorf("%d: %+v, want %+v", i, o, want)
		}
		if o.Memory != "head and body" || o.Tier != cacheadmin.InBoth || o.Disk == nil || o.Disk.Offset < 4096 || o.Octets != 6000 || !slices.Contains(o.Fields, "Vary: Accept-Language") {
			t.Errorf("%d: %+v", i, o)
		}
		if (want.verdict == "stale") != (o.TTL <= 0) {
			t.Errorf("%d: fresh for %d s", i, o.TTL)
		}
	}
	node.Purge(cdn.Purge{Revision: 2, Targets: []cdn.Target{target("/a")}})
	if s := show(t, node.Operator(), url); len(s.Objects) != 0 {
		t.Errorf("after a hard purge: %+v", s.Objects)
	}
	if _, err := node.Operator().Show(t.Context(), cdn.Target{Scheme: "http", Domain: "nobody.example", Path: "/"}); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("a domain that nobody has: %v", err)
	}
	if _, err := node.Operator().Drop(cdn.Target{Scheme: "http", Domain: "nobody.example", Path: "/"}); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("dropping of a domain that nobody has: %v", err)
	}
}

// TestShowSlices: which octets of a large content are there.
func TestShowSlices(t *testing.T) {
	const size = 5*store.SliceSize + 100
	content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, req, "", time.Time{}, strings.NewReader(content))
	})
	node, addr, _ := r.runOnce(t)
	r.get(t, addr, "/a", "Range", fmt.Sprintf("bytes=%d-%d", store.SliceSize, 2*store.SliceSize-1))
	r.get(t, addr, "/a", "Range", fmt.Sprintf("bytes=%d-%d", size-50, size-1))
	url := "http://" + domain + "/a"
	eventually(t, "stored", func() bool {
		s := show(t, node.Operator(), url)
		return len(s.Objects) == 1 && len(s.Objects[0].Present) == 2
	})
	o := show(t, node.Operator(), url).Objects[0]
	present := []cacheadmin.Range{{First: store.SliceSize, Last: 2*store.SliceSize - 1}, {First: 5 * store.SliceSize, Last: size - 1}}
	missing := []cacheadmin.Range{{First: 0, Last: store.SliceSize - 1}, {First: 2 * store.SliceSize, Last: 5*store.SliceSize - 1}}
	if diff := cmp.Diff(present, o.Present) + cmp.Diff(missing, o.Missing); diff != "" || !o.Sliced || o.Octets != size || o.Unlooked != 0 {
		t.Errorf("%+v\n%s", o, diff)
	}
	r.get(t, addr, "/a")
	eventually(t, "whole", func() bool {
		o := show(t, node.Operator(), url).Objects[0]
		return len(o.Missing) == 0 && len(o.Present) == 1
	})
}
