package http2_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"nearcast/internal/web/http2"
)

// overTLS serves s over TLS on a listener of its own, and returns a client of net/http for it.
func overTLS(t *testing.T, s *http2.Server) (url string, client *http.Client) {
	t.Helper()
	// httptest knows how to make a certificate; its server is not used.
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	config := certified.TLS.Clone()
	config.NextProtos = []string{"h2"}
	client = certified.Client()
	certified.Close()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	client.Transport = transport
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				tc := tls.Server(nc, config)
				if err := tc.HandshakeContext(ctx); err != nil {
					nc.Close()
					return
				}
				state := tc.ConnectionState()
				s.ServeConn(ctx, tc, &state)
			})
		}
	})
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		l.Close()
		cancel()
		conns.Wait()
	})
	return "https://" + l.Addr().String(), client
}

// Go's own client and this server understand each other.
func TestNetHTTPClient(t *testing.T) {
	h := byPath{
		"/echo": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			n, err := io.Copy(w, r.Body)
			w.Header().Set("X-Sum", fmt.Sprint(n, " ", err, " ", r.Trailer.Get("X-In")))
		},
		"/tls": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.TLS.NegotiatedProtocol) },
	}
	url, client := overTLS(t, &http2.Server{Handler: h, Lane: new(testLane)})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			size := i * 20_000
			resp, err := client.Get(url + fmt.Sprint("/hit/", size))
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != content(size) || resp.ProtoMajor != 2 || resp.ContentLength != int64(size) {
				t.Errorf("%d: got %d octets, %v, %s", size, len(body), err, resp.Proto)
			}
		})
		all.Go(func() {
			size := i * 20_000
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/echo", struct{ io.Reader }{strings.NewReader(content(size))})
			if err != nil {
				t.Error(err)
				return
			}
			req.Trailer = http.Header{"X-In": {"in"}}
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != content(size) || resp.Trailer.Get("X-Sum") != fmt.Sprint(size, " <nil> in") {
				t.Errorf("%d: got %d octets, %v, %v", size, len(body), err, resp.Trailer)
			}
		})
	}
	all.Wait()
	resp, err := client.Get(url + "/tls")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/2.0 h2" {
		t.Errorf("got %q", body)
	}
}
