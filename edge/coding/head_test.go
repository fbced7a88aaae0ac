package coding_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/coding"
)

func TestHeadOfACodedVariant(t *testing.T) {
	h := header("Content-Type", "text/html", "Etag", `"v1"`, "Content-Length", "5000", "Content-Md5", "x", "Digest", "x",
		"Content-Digest", "x", "Repr-Digest", "x", "Unencoded-Digest", "x", "Accept-Ranges", "bytes", "Last-Modified", "y",
		"Vary", "Origin", "Vary", "Cookie")
	before := h.Clone()
	want := http.Header{
		"Content-Type": {"text/html"}, "Content-Encoding": {"br"}, "Etag": {`"v1~br.1"`}, "Unencoded-Digest": {"x"},
		"Accept-Ranges": {"bytes"}, "Last-Modified": {"y"}, "Vary": {"Origin", "Cookie", "Accept-Encoding"},
	}
	if diff := cmp.Diff(want, coding.Head(h, coding.Brotli)); diff != "" {
		t.Errorf("the head differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, h); diff != "" {
		t.Errorf("what was handed in has changed:\n%s", diff)
	}
	h.Add("Content-Encoding", "aes128gcm")
	if diff := cmp.Diff([]string{"aes128gcm", "br"}, coding.Head(h, coding.Brotli)["Content-Encoding"]); diff != "" {
		t.Errorf("a second coding:\n%s", diff)
	}
}

func TestVaryNamesAcceptEncodingOnce(t *testing.T) {
	tests := []struct{ vary, want []string }{
		{nil, []string{"Accept-Encoding"}},
		{[]string{""}, []string{"", "Accept-Encoding"}},
		{[]string{"Origin"}, []string{"Origin", "Accept-Encoding"}},
		{[]string{"accept-encoding"}, []string{"accept-encoding"}},
		{[]string{"Origin", "Cookie,\tAccept-Encoding "}, []string{"Origin", "Cookie,\tAccept-Encoding "}},
		{[]string{"*"}, []string{"*"}},
		{[]string{"X-Accept-Encoding"}, []string{"X-Accept-Encoding", "Accept-Encoding"}},
	}
	for _, tt := range tests {
		h := http.Header{"Etag": {`"v1"`}, "Content-Length": {"5"}}
		if tt.vary != nil {
			h["Vary"] = tt.vary
		}
		for name, got := range map[string]http.Header{"coded": coding.Head(h, coding.Gzip), "plain": coding.HeadIdentity(h), "none": coding.Head(h, "")} {
			if diff := cmp.Diff(tt.want, got["Vary"]); diff != "" {
				t.Errorf("%s, %q:\n%s", name, tt.vary, diff)
			}
			if name != "coded" && (got.Get("Etag") != `"v1"` || got.Get("Content-Length") != "5") {
				t.Errorf("%s, %q: the identity has changed: %v", name, tt.vary, got)
			}
		}
	}
	if got := coding.HeadIdentity(nil); got.Get("Vary") != "Accept-Encoding" {
		t.Errorf("no header at all: %v", got)
	}
}

func TestTags(t *testing.T) {
	tests := []struct{ name, tag, gzip string }{
		{"strong", `"v1"`, `"v1~gzip.1"`},
		{"weak", `W/"v1"`, `W/"v1~gzip.1"`},
		{"empty", `""`, `"~gzip.1"`},
		{"backslash", `"a\"`, `"a\~gzip.1"`},
		{"not-ascii", "\"\xfc\"", "\"\xfc~gzip.1\""},
		{"of-the-origin", `"v1-gzip"`, `"v1-gzip~gzip.1"`},
		{"like-ours", `"v1~gzip.1"`, `"v1~gzip.1~gzip.1"`},
		{"unquoted", `v1`, ""},
		{"half", `"v1`, ""},
		{"one-quote", `"`, ""},
		{"two-tags", `"a", "b"`, ""},
		{"weak-in-lower-case", `w/"v1"`, ""},
		{"white-space", `"a b"`, ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := coding.Head(http.Header{"Etag": {tt.tag}}, coding.Gzip).Get("Etag")
			if got != tt.gzip {
				t.Fatalf("the tag is %s, want %s", got, tt.gzip)
			}
		})
	}
	if h := coding.Head(http.Header{"Etag": {`"a"`, `"b"`}}, coding.Gzip); h["Etag"] != nil {
		t.Errorf("of two lines: %v", h["Etag"])
	}
}

// FuzzCodedTag: a coded tag is a tag again, and tells the codings apart.
func FuzzCodedTag(f *testing.F) {
	for _, tag := range []string{`"v1"`, `W/"v1"`, `"~br.1"`, `"v1~gzip.1`, `~gzip.1"`, `"`, ""} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		once := coding.Head(http.Header{"Etag": {tag}}, coding.Gzip).Get("Etag")
		other := coding.Head(http.Header{"Etag": {tag}}, coding.Brotli).Get("Etag")
		if once != "" && (once == other || once == tag || coding.Head(http.Header{"Etag": {once}}, coding.Gzip).Get("Etag") == "") {
			t.Errorf("%q becomes %q and %q", tag, once, other)
		}
	})
}
