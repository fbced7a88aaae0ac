package coding_test

import (
	"net/http"
	"testing"

	"nearcast/edge/coding"
)

func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestEligible(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header http.Header
		length int64
		want   bool
	}{
		{"page", 200, header("Content-Type", "text/html; charset=utf-8"), 5000, true},
		{"type-in-upper-case", 200, header("Content-Type", "Text/HTML"), 5000, true},
		{"unknown-length", 200, header("Content-Type", "text/html"), -1, true},
		{"just-long-enough", 200, header("Content-Type", "text/html"), coding.DefaultMinSize, true},
		{"too-short", 200, header("Content-Type", "text/html"), coding.DefaultMinSize - 1, false},
		{"nothing", 200, header("Content-Type", "text/html"), 0, false},
		{"json", 200, header("Content-Type", "application/json"), 5000, true},
		{"json-of-a-kind", 200, header("Content-Type", "application/problem+json"), 5000, true},
		{"svg", 200, header("Content-Type", "image/svg+xml"), 5000, true},
		{"suffix-alone", 200, header("Content-Type", "application/+json"), 5000, false},
		{"not-a-prefix", 200, header("Content-Type", "application/jsonp"), 5000, false},
		{"image", 200, header("Content-Type", "image/jpeg"), 5000, false},
		{"no-type", 200, header(), 5000, false},
		{"two-types", 200, header("Content-Type", "text/html", "Content-Type", "text/plain"), 5000, false},
		{"events", 200, header("Content-Type", "text/event-stream"), -1, false},
		{"multipart", 200, header("Content-Type", "multipart/mixed; boundary=x"), 5000, false},
		{"part", 206, header("Content-Type", "text/html"), 5000, false},
		{"not-found", 404, header("Content-Type", "text/html"), 5000, false},
		{"no-content", 204, header("Content-Type", "text/html"), -1, false},
		{"not-modified", 304, header("Content-Type", "text/html"), -1, false},
		{"coded-already", 200, header("Content-Type", "text/html", "Content-Encoding", "gzip"), 5000, false},
		{"content-range", 200, header("Content-Type", "text/html", "Content-Range", "bytes 0-4999/9000"), 5000, false},
		{"no-transform", 200, header("Content-Type", "text/html", "Cache-Control", "no-transform"), 5000, false},
		{"no-transform-among-others", 200, header("Content-Type", "text/html", "Cache-Control", "max-age=5", "Cache-Control", "public ,\tNo-Transform"), 5000, false},
		{"no-transform-with-an-argument", 200, header("Content-Type", "text/html", "Cache-Control", "no-transform=1"), 5000, false},
		{"no-transform-in-another-name", 200, header("Content-Type", "text/html", "Cache-Control", "x-no-transform, no-transformer"), 5000, true},
	}
	p := coding.Policy{Codings: []coding.Coding{"br"}, MinSize: coding.DefaultMinSize, Types: append(coding.DefaultTypes(), "multipart/*")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.Eligible(tt.status, tt.header, tt.length); got != tt.want {
				t.Errorf("Eligible = %t", got)
			}
			if (coding.Policy{Types: p.Types}).Eligible(tt.status, tt.header, tt.length) {
				t.Error("a policy without codings makes it eligible")
			}
		})
	}
}

func TestTypesOfAPolicy(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"text/html", "text/html", true},
		{"text/html", "text/html5", false},
		{"*", "image/png", true},
		{"*/*", "image/png", true},
		{"*", "text/event-stream", false},
		{"text/*", "text", false},
		{"application/*+xml", "application/atom+xml", true},
		{"application/*+xml", "image/svg+xml", false},
		{"", "text/html", false},
	}
	for _, tt := range tests {
		p := coding.Policy{Codings: []coding.Coding{"gzip"}, Types: []string{tt.pattern}}
		if got := p.Eligible(200, header("Content-Type", tt.name), 1); got != tt.want {
			t.Errorf("%q for %q: %t", tt.pattern, tt.name, got)
		}
	}
}
