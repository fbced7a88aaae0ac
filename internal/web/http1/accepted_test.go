package http1_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"nearcast/internal/web/http1"
)

// accepted are streams of valid requests, and what the handler sees of them.
func accepted() []struct {
	name, raw string
	want      []string
} {
	const te = "Transfer-Encoding: chunked\r\n"
	type row = struct {
		name, raw string
		want      []string
	}
	return []row{
		{"GET", get(""), []string{"GET /c "}},
		{"POST with length", post("Content-Length: 3\r\n") + "abc", []string{"POST /c abc"}},
		{"POST with leading zeros", post("Content-Length: 003\r\n") + "abc", []string{"POST /c abc"}},
		{"POST with length 0", post("Content-Length: 0\r\n"), []string{"POST /c "}},
		{"POST without body", post(""), []string{"POST /c "}},
		{"GET with body", get("Content-Length: 30\r\n") + evil[:30], []string{"GET /c " + evil[:30]}},
		{"OPTIONS with body in chunks", "OPTIONS * HTTP/1.1\r\nHost: x\r\n" + te + "\r\n1e\r\n" + evil[:30] + "\r\n0\r\n\r\n", []string{"OPTIONS * " + evil[:30]}},
		{"chunks", post(te) + "3\r\nabc\r\n0\r\n\r\n", []string{"POST /c abc"}},
		{"chunk extensions", post(te) + "3;a=b\r\nabc\r\n2 ; c=\"d;e\"\r\nde\r\n0;f\r\n\r\n", []string{"POST /c abcde"}},
		{"trailers", post(te) + "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", []string{"POST /c abc"}},
		{"trailers that are dropped", post(te) + "0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\nHost: y\r\n\r\n", []string{"POST /c "}},
		{"coding in any case", post("tRANSFER-eNCODING: Chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n", []string{"POST /c abc"}},
		{"chunk sizes with zeros and letters", post(te) + "000A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n", []string{"POST /c 01234567890123456789a"}},
		{"chunk size of 15 digits", post(te) + "000000000000003\r\nabc\r\n000000000000000\r\n\r\n", []string{"POST /c abc"}},
		{"empty lines before", "\r\n\r\n" + get(""), []string{"GET /c "}},
		{"pipeline", get("") + post("Content-Length: 1\r\n") + "a" + get("") + post(te) + "0\r\n\r\n" + get(""), []string{"GET /c ", "POST /c a", "GET /c ", "POST /c ", "GET /c "}},
		{"empty line between requests", post("Content-Length: 1\r\n") + "a\r\n" + get(""), []string{"POST /c a", "GET /c "}},
		{"HTTP/1.0 that stays", "GET /c HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", []string{"GET /c "}},
		{"HTTP/1.9 is as 1.1", line("GET /c HTTP/1.9"), []string{"GET /c "}},
		{"URL", line("GET http://x/c?d HTTP/1.1"), []string{"GET http://x/c?d "}},
		{"URL in capitals with port", line("GET HTTP://X:80/c HTTP/1.1"), []string{"GET HTTP://X:80/c "}},
		{"URL without path", line("GET https://x:443?q HTTP/1.1"), []string{"GET https://x:443?q "}},
		{"field without value", get("X-Empty:\r\n"), []string{"GET /c "}},
		{"8-bit value", get("X-L: caf\xe9\r\n"), []string{"GET /c "}},
		{"tab in value", get("X:\ta\tb\t\r\n"), []string{"GET /c "}},
		{"expectation", post("Content-Length: 3\r\nExpect: 100-Continue\r\n") + "abc", nil},
		{"expectation without body", get("Expect: 100-continue\r\n"), []string{"GET /c "}},
		{"IPv6 host", "GET /c HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", []string{"GET /c "}},
		{"host with empty port", "GET /c HTTP/1.1\r\nHost: x:\r\n\r\n", []string{"GET /c "}},
		{"unknown method", "BREW /c HTTP/1.1\r\nHost: x\r\n\r\n", []string{"BREW /c "}},
		{"two slashes", line("GET //c//d HTTP/1.1"), []string{"GET //c//d "}},
		{"target of 16 KiB", line("GET /" + strings.Repeat("a", 16<<10-1) + " HTTP/1.1"), []string{"GET /" + strings.Repeat("a", 16<<10-1) + " "}},
		{"200 fields", get(strings.Repeat("X: 1\r\n", 199)), []string{"GET /c "}},
		{"upgrade to h2c is not taken", get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"), []string{"GET /c "}},
	}
}

// Each stream is followed by a request that must be found where the stream ends.
func TestAccepted(t *testing.T) {
	for _, s := range accepted() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var handled seen
			c := dial(t, start(t, &http1.Server{Handler: &handled}))
			c.send(s.raw + "GET /marker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			want := s.want
			if want == nil { // the one that expects something
				want = []string{"POST /c abc"}
				if a := c.receive(http.MethodPost); a.StatusCode != http.StatusContinue {
					t.Fatalf("got %d, want 100", a.StatusCode)
				}
			}
			want = append(slices.Clone(want), "GET /marker ")
			for range want {
				c.want(200, "ok")
			}
			c.wantEnd()
			if got := handled.all(); !slices.Equal(got, want) {
				t.Errorf("the handler saw %q, want %q", got, want)
			}
		})
	}
}

// The same octets one by one mean the same.
func TestAcceptedOctetByOctet(t *testing.T) {
	for _, s := range accepted() {
		if len(s.raw) > 1000 || s.want == nil {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var handled seen
			c := dial(t, start(t, &http1.Server{Handler: &handled}))
			for i := range len(s.raw) {
				c.send(s.raw[i : i+1])
			}
			for range s.want {
				c.want(200, "ok")
			}
			if got := handled.all(); !slices.Equal(got, s.want) {
				t.Errorf("the handler saw %q, want %q", got, s.want)
			}
		})
	}
}
