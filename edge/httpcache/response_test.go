package httpcache_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// TestNewResponseStrips: RFC 9111 section 3.1, RFC 9110 section 7.6.1.
func TestNewResponseStrips(t *testing.T) {
	got := response(200,
		"Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Transfer-Encoding: chunked", "TE: trailers",
		"Proxy-Authenticate: Basic", "Upgrade: h2c", "Trailer: X-T", `Cache-Control: max-age=5, no-cache="x-a", private="x-b"`,
		"X-A: 1", "X-B: 2", "X-C: 3", "Cache-Status: other; hit", "X-Cache: HIT", "Set-Cookie: a=b").Header
	want := http.Header{
		"Date": {date(0)}, "Cache-Control": {`max-age=5, no-cache="x-a", private="x-b"`}, "X-C": {"3"}, "Set-Cookie": {"a=b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored fields (-want +got):\n%s", diff)
	}
}

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

// TestMatches: RFC 9111 section 4.1.
func TestMatches(t *testing.T) {
	tests := []struct {
		name   string
		vary   []string
		first  []string // fields of the request that brought the response
		second []string // fields of the one that may use it
		want   bool
	}{
		{"none", nil, []string{"A: 1"}, []string{"A: 2"}, true},
		{"same", []string{"A"}, []string{"A: 1"}, []string{"A: 1"}, true},
		{"different", []string{"A"}, []string{"A: 1"}, []string{"A: 2"}, false},
		{"absent", []string{"A"}, nil, nil, true},
		{"appears", []string{"A"}, nil, []string{"A: 1"}, false},
		{"empty", []string{"A"}, nil, []string{"A: "}, false},
		{"case", []string{"accept-encoding"}, []string{"Accept-Encoding: GZIP"}, []string{"Accept-Encoding: gzip"}, true},
		{"sensitive", []string{"A"}, []string{"A: x"}, []string{"A: X"}, false},
		{"space", []string{"A"}, []string{"A: x,y"}, []string{"A:  x , y "}, true},
		{"lines", []string{"A"}, []string{"A: x, y"}, []string{"A: x", "A: y"}, true},
		{"order", []string{"A"}, []string{"A: x, y"}, []string{"A: y, x"}, false},
		{"several", []string{"A, B", "C"}, []string{"A: 1", "C: 3"}, []string{"A: 1", "C: 4"}, false},
		{"star", []string{"*"}, nil, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httpcache.NewResponse(get(tt.first...), 200, http.Header{"Vary": tt.vary}, epoch, epoch)
			if got := r.Matches(header(tt.second...)); got != tt.want {
				t.Errorf("Matches() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestResponseSize(t *testing.T) {
	small, large := response(200).Size(), response(200, "X: "+string(make([]byte, 5000))).Size()
	if small <= 0 || large < small+5000 {
		t.Errorf("sizes %d and %d; 5000 octets of field must show", small, large)
	}
}
