package http1_test

import (
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/internal/web/http1"
)

// ask sends a request and returns what the handler got, its body read.
func ask(t *testing.T, raw string) *http.Request {
	t.Helper()
	got := make(chan *http.Request, 1)
	c := dial(t, start(t, &http1.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r
	})}))
	c.send(raw)
	c.want(200, "")
	r := <-got
	if r.RemoteAddr != c.LocalAddr().String() {
		t.Errorf("RemoteAddr is %q, want %q", r.RemoteAddr, c.LocalAddr())
	}
	return r
}

func TestRequest(t *testing.T) {
	for _, row := range []struct {
		name, raw string
		want      http.Request
	}{
		{
			"fields", "GET /a%2fb?c=%20 HTTP/1.1\r\nhOsT: X.example:80\r\nuser-agent:\t me \r\nX-A: 1\r\nETAG:\r\nx-a: 2\r\n\r\n",
			http.Request{
				Method: http.MethodGet, RequestURI: "/a%2fb?c=%20", URL: &url.URL{Path: "/a/b", RawPath: "/a%2fb", RawQuery: "c=%20"},
				Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "X.example:80", Body: http.NoBody,
				Header: http.Header{"User-Agent": {"me"}, "X-A": {"1", "2"}, "Etag": {""}},
			},
		},
		{
			"HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n",
			http.Request{
				Method: http.MethodGet, RequestURI: "/a", URL: &url.URL{Path: "/a"}, Proto: "HTTP/1.0", ProtoMajor: 1,
				Header: http.Header{}, Body: http.NoBody,
			},
		},
		{
			"HTTP/1.0 with URL", "GET http://h/a HTTP/1.0\r\n\r\n",
			http.Request{
				Method: http.MethodGet, RequestURI: "http://h/a", URL: &url.URL{Scheme: "http", Host: "h", Path: "/a"}, Host: "h",
				Proto: "HTTP/1.0", ProtoMajor: 1, Header: http.Header{}, Body: http.NoBody,
			},
		},
		{
			"length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 02\r\nTrailer: X\r\n\r\nab",
			http.Request{
				Method: http.MethodPost, RequestURI: "/", URL: &url.URL{Path: "/"}, Host: "x", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Length": {"02"}}, ContentLength: 2,
			},
		},
		{
			"chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\nTrailer: x-b, X-None, Host\r\nTE: trailers\r\n\r\n" +
				"1\r\na\r\n0\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\nHost: y\r\nAuthorization: z\r\nContent-Length: 3\r\nCookie: a\r\n\r\n",
			http.Request{
				Method: http.MethodPost, RequestURI: "/", URL: &url.URL{Path: "/"}, Host: "x", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Te": {"trailers"}}, ContentLength: -1, TransferEncoding: []string{"chunked"},
				Trailer: http.Header{"X-A": {"1", "3"}, "X-B": {"2"}, "X-None": nil},
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ask(t, row.raw)
			ignore := cmpopts.IgnoreFields(http.Request{}, "RemoteAddr")
			if row.want.Body == nil {
				got.Body = nil
			}
			if diff := cmp.Diff(&row.want, got, ignore, cmpopts.IgnoreUnexported(http.Request{})); diff != "" {
				t.Errorf("the request is not as wanted (-want +got):\n%s", diff)
			}
		})
	}
}
