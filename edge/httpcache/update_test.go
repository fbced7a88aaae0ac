package httpcache_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// TestRefresh: RFC 9111 section 3.2.
func TestRefresh(t *testing.T) {
	old := response(200, "Cache-Control: max-age=5", `ETag: "a"`, "X-Old: 1", "X-Both: 1", "Age: 3",
		"Content-Length: 4", "Content-Encoding: gzip", "Content-Type: text/plain")
	got := old.Refresh(header("Cache-Control: max-age=60", "Date: "+date(10), `ETag: "b"`, "X-Both: 2", "X-New: 3",
		"Content-Length: 0", "Content-Encoding: br", "Content-Type: text/html", "Connection: X-Gone", "X-Gone: 1"), after(10), after(10))
	want := http.Header{
		"Cache-Control": {"max-age=60"}, "Date": {date(10)}, "Etag": {`"a"`}, "X-Old": {"1"}, "X-Both": {"2"}, "X-New": {"3"},
		"Content-Length": {"4"}, "Content-Encoding": {"gzip"}, "Content-Type": {"text/html"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("fields after a 304 (-want +got):\n%s", diff)
	}
	if d := httpcache.Decide(after(69), get(), got, httpcache.Policy{}); d.Verdict != httpcache.Fresh {
		t.Errorf("the refreshed response is %v after 59 s of 60", d.Verdict)
	}
	if old.Header.Get("X-Both") != "1" || old.Header.Get("Age") != "3" {
		t.Error("Refresh changed the old response")
	}
}

// TestRefreshKeeps: what makes the stored octets readable stays, whatever a 304 says.
func TestRefreshKeeps(t *testing.T) {
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-MD5", "Content-Range", "ETag", "Vary"} {
		old := response(200, name+": 1")
		if got := old.Refresh(header(name+": 2"), epoch, epoch).Header.Get(name); got != "1" {
			t.Errorf("%s is %q after a 304", name, got)
		}
	}
	for _, name := range []string{
		"Content-Type", "Content-Location", "Content-Foo", "Set-Cookie", "Expires", "Last-Modified", "Cache-Control", "CDN-Cache-Control",
		"Content-Security-Policy", "X-Frame-Options",
	} {
		old := response(200, name+": 1")
		if got := old.Refresh(header(name+": 2"), epoch, epoch).Header.Get(name); got != "2" {
			t.Errorf("%s is %q after a 304", name, got)
		}
	}
}

func TestRefreshDirectives(t *testing.T) {
	old := response(200, "CDN-Cache-Control: max-age=60", "Set-Cookie: a=b", "Vary: A")
	got := old.Refresh(header(`Cache-Control: no-store`, `CDN-Cache-Control: max-age=9, private="set-cookie"`), after(10), after(10))
	if got.Lifetime(httpcache.Policy{}) != seconds(9).Value || got.Header["Set-Cookie"] != nil {
		t.Errorf("lifetime %v, fields %v", got.Lifetime(httpcache.Policy{}), got.Header)
	}
	if got.Header.Get("Date") != date(10) {
		t.Errorf("Date %q of a 304 without one, want the time of receipt", got.Header.Get("Date"))
	}
	if got.Matches(header("A: 1")) || !got.Matches(header()) {
		t.Error("the secondary key got lost")
	}
}

// TestRefreshFromHead: RFC 9111 section 4.3.5.
func TestRefreshFromHead(t *testing.T) {
	stored := response(200, `ETag: "a"`, "Last-Modified: "+date(-100), "Content-Length: 5", "Cache-Control: max-age=5", "X: old")
	tests := []struct {
		name  string
		lines []string
		size  int64
		ok    bool
	}{
		{"same", []string{`ETag: "a"`, "Last-Modified: " + date(-100), "Content-Length: 5"}, 5, true},
		{"bare", nil, 5, true},
		{"tag", []string{`ETag: "b"`}, 5, false},
		{"date", []string{"Last-Modified: " + date(-99)}, 5, false},
		{"length", []string{"Content-Length: 6"}, 5, false},
		{"lengthfield", []string{"Content-Length: 6"}, -1, false},
		{"lengthknown", []string{"Content-Length: 5"}, -1, true},
		{"lengthbody", []string{"Content-Length: 7"}, 7, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head := header(append(tt.lines, "Date: "+date(10), "Cache-Control: max-age=60", "X: new")...)
			got, ok := stored.RefreshFromHead(head, tt.size, after(10), after(10))
			if ok != tt.ok {
				t.Fatalf("RefreshFromHead() = %v, want %v", ok, tt.ok)
			}
			if ok && (got.Header.Get("X") != "new" || httpcache.Decide(after(69), get(), got, httpcache.Policy{}).Verdict != httpcache.Fresh) {
				t.Errorf("not refreshed: %v", got.Header)
			}
		})
	}
}

func FuzzRefresh(f *testing.F) {
	f.Add("Cache-Control", "private=\"x\"")
	f.Add("Connection", "Content-Type, X")
	f.Fuzz(func(t *testing.T, name, value string) {
		r := response(200, `ETag: "a"`, "Content-Encoding: gzip", "Content-Length: 5")
		h := http.Header{http.CanonicalHeaderKey(name): {value}}
		got := r.Refresh(h, after(1), after(1))
		if got.Age(after(5)) < 0 || got.Lifetime(httpcache.Policy{}) < 0 {
			t.Errorf("age %v, lifetime %v", got.Age(after(5)), got.Lifetime(httpcache.Policy{}))
		}
		if len(got.Directives().Withheld) == 0 && got.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %s changed the coding of the stored octets", name, value)
		}
	})
}
