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
		"X-A: 1", "X-B: 2", "X-C: 3", "Cache-Status: other; hit", "Proxy-Status: other; error=http_request_error", "HTTP2-Settings: x", "Proxy-Authentication-Info: x",
		"Proxy-Authorization: x", "Proxy-Connection: x", "X-Cache: HIT", "Set-Cookie: a=b").Header
	want := http.Header{
		"Date": {date(0)}, "Cache-Control": {`max-age=5, no-cache="x-a", private="x-b"`}, "X-C": {"3"}, "Set-Cookie": {"a=b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored fields (-want +got):\n%s", diff)
	}
}

// TestEndToEnd: RFC 9110 section 7.6.1, for a request.
func TestEndToEnd(t *testing.T) {
	h := header("Connection: x-a , Close", "Connection: X-B", "X-A: 1", "X-B: 2", "X-C: 3", "TE: trailers", "Cookie: a=b")
	if diff := cmp.Diff(header("X-C: 3", "Cookie: a=b"), httpcache.EndToEnd(h)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if h.Get("X-A") == "" || httpcache.EndToEnd(nil) == nil {
		t.Error("EndToEnd changes what it is given, or returns nothing")
	}
}

func TestResponseSize(t *testing.T) {
	varied := httpcache.NewResponse(get("A: 1"), 200, header("Vary: A"), epoch, epoch).Size()
	if plain := response(200).Size(); varied <= 0 || plain <= 0 {
		t.Errorf("sizes %d and %d", varied, plain)
	}
	small, large := response(200).Size(), response(200, "X: "+string(make([]byte, 5000))).Size()
	if small <= 0 || large < small+5000 {
		t.Errorf("sizes %d and %d; 5000 octets of field must show", small, large)
	}
}
