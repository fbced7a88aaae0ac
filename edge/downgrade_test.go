package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/testcert"
	"nearcast/internal/web/tlscert"
)

// octetOrigin is an origin that keeps all octets that it gets, and reads them as strictly as net/http does.
type octetOrigin struct {
	url string

	mu       sync.Mutex // guards the following
	octets   bytes.Buffer
	requests []*http.Request
}

func newOctetOrigin(t *testing.T) *octetOrigin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &octetOrigin{url: "http://" + l.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				o.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return o
}

// Write implements [io.Writer], for the octets.
func (o *octetOrigin) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.octets.Write(p)
}

func (o *octetOrigin) serve(c net.Conn) {
	in := bufio.NewReader(io.TeeReader(c, o))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		o.mu.Lock()
		o.requests = append(o.requests, r)
		o.mu.Unlock()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\nok")
	}
}

// take returns the requests and the octets since it was called last.
func (o *octetOrigin) take() (requests []*http.Request, octets string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	requests, octets = o.requests, o.octets.String()
	o.requests = nil
	o.octets.Reset()
	return requests, octets
}

// TestDowngrade: whatever comes in HTTP/2, the origin sees as many requests in HTTP/1 as get its answer, each for what was asked
// for, and none that somebody has hidden in another (reliability 2.1, row 7).
func TestDowngrade(t *testing.T) {
	o := newOctetOrigin(t)
	r := newRig(t, http.NotFound)
	s := r.startConfig(t, edge.Config{Addr: "127.0.0.1:0", RAM: 1 << 20}, withTLS(t, domain))
	if err := s.ApplyStandalone(&cdn.Origin{URLs: []string{o.url}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: " + domain + "\r\n\r\n"
	line := func(name, value string) [][2]string { return [][2]string{{name, value}} }
	type row struct {
		pseudo  map[string]string // instead of the usual; "" for none
		fields  [][2]string
		content []string // nil for none
	}
	post := func(content []string, fields ...[2]string) row {
		return row{map[string]string{":method": "POST"}, fields, content}
	}
	refused := []row{
		post([]string{"0\r\n\r\n" + smuggled}, [2]string{"transfer-encoding", "chunked"}),
		post([]string{"0\r\n\r\n" + smuggled}, [2]string{"content-length", "5"}),
		post([]string{smuggled}, [2]string{"content-length", "0"}),
		post([]string{"abc"}, [2]string{"content-length", "3"}, [2]string{"content-length", "3"}),
		post([]string{"abc"}, [2]string{"content-length", "3, 3"}),
		post([]string{"abc"}, [2]string{"content-length", "+3"}),
		post([]string{"abc"}, [2]string{"content-length", "4"}),
		{fields: line("content-length", "40")},
		{fields: line("x", "a\r\n\r\n"+smuggled)},
		{fields: line("x", "a\nb: c")},
		{fields: line("x", "a\rb")},
		{fields: line("x", "a\x00b")},
		{fields: line("x", "a\x7f")},
		{fields: line("x", " a")},
		{fields: line("x", "a\t")},
		{fields: line("x: y\r\nz", "a")},
		{fields: line("X-Upper", "a")},
		{fields: line("x y", "a")},
		{fields: line("", "a")},
		{fields: line("x:", "a")},
		{fields: line("x\x00", "a")},
		{fields: line("x\xe9", "a")},
		{fields: line(":x", "a")},
		{fields: line(":status", "200")},
		{fields: line("connection", "close")},
		{fields: line("upgrade", "h2c")},
		{fields: line("keep-alive", "1")},
		{fields: line("proxy-connection", "x")},
		{fields: line("te", "gzip")},
		{fields: line("host", "other.example")},
		{fields: [][2]string{{"host", domain}, {"host", domain}}},
		{fields: line("host", domain+":444")},
		{fields: line("host", "")},
		{pseudo: map[string]string{":authority": domain + "\r\nx: y"}},
		{pseudo: map[string]string{":authority": "u@" + domain}},
		{pseudo: map[string]string{":authority": domain + "/x"}},
		{pseudo: map[string]string{":authority": ""}},
		{pseudo: map[string]string{":path": ""}},
		{pseudo: map[string]string{":path": "*"}},
		{pseudo: map[string]string{":path": "https://" + domain + "/"}},
		{pseudo: map[string]string{":path": "/a b"}},
		{pseudo: map[string]string{":path": "/a\r\n"}},
		{pseudo: map[string]string{":path": "/a#b"}},
		{pseudo: map[string]string{":path": "/ HTTP/1.1\r\nx: y"}},
		{pseudo: map[string]string{":path": "a"}},
		{pseudo: map[string]string{":path": "/\xe9"}},
		{pseudo: map[string]string{":path": "/%zz"}},
		{pseudo: map[string]string{":method": "GET / HTTP/1.1\r\n"}},
		{pseudo: map[string]string{":method": "GET "}},
		{pseudo: map[string]string{":method": ""}},
		{pseudo: map[string]string{":method": "CONNECT"}},
		{pseudo: map[string]string{":method": "G:T"}},
		{pseudo: map[string]string{":scheme": "http"}},
		{pseudo: map[string]string{":scheme": "https://x/"}},
		{pseudo: map[string]string{":scheme": ""}},
		{fields: line(":path", "/b")},
		{fields: line(":authority", "b")},
	}
	passed := []row{
		post([]string{smuggled}), post([]string{smuggled}, [2]string{"content-length", strconv.Itoa(len(smuggled))}), post([]string{"0\r\n\r\n", smuggled}),
		post([]string{""}),
		{pseudo: map[string]string{":path": "//evil.example/"}},
		{pseudo: map[string]string{":path": "/http://evil.example/"}},
		{pseudo: map[string]string{":path": "/?a=b?c"}},
		{fields: line("host", strings.ToUpper(domain)+":443")},
		{fields: line("te", "trailers")},
		{fields: [][2]string{{"cookie", "a=b"}, {"cookie", "c=d"}}},
		{fields: line("x", "")},
		{fields: line("x-forwarded-host", "evil.example")},
		{fields: line("cookie2", "\xff")},
		{fields: line("http2-settings", "x")},
		{pseudo: map[string]string{":method": "OPTIONS"}},
		{pseudo: map[string]string{":authority": domain + ":444"}},
		{pseudo: map[string]string{":authority": domain + "."}},
		{pseudo: map[string]string{":method": "GET"}, content: []string{smuggled}},
	}
	send := func(row row) (wireAnswer, []*http.Request, string) {
		fields := [][2]string{}
		for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
			value := map[string]string{":method": "GET", ":scheme": "https", ":authority": domain, ":path": "/a"}[name]
			if other, ok := row.pseudo[name]; ok {
				value = other
			}
			fields = append(fields, [2]string{name, value})
		}
		c := dialH2(t, s.TLSAddr().String(), domain)
		defer c.nc.Close()
		id := c.send(append(fields, row.fields...), row.content...)
		a := c.receive(id)[id]
		requests, octets := o.take()
		return a, requests, octets
	}
	for _, row := range refused {
		a, requests, _ := send(row)
		if a.status >= 200 && a.status < 300 || len(requests) > 0 {
			t.Errorf("%q was answered with %d; the origin has seen %d requests", row, a.status, len(requests))
		}
	}
	for _, row := range passed {
		a, requests, octets := send(row)
		if a.status != http.StatusOK || len(requests) != 1 || strings.Contains(requests[0].RequestURI, "smuggled") || !strings.EqualFold(requests[0].Host, strings.TrimPrefix(o.url, "http://")) && !strings.EqualFold(requests[0].Host, domain) {
			t.Errorf("%q was answered with %d; the origin has seen %d requests:\n%s", row, a.status, len(requests), octets)
		}
		for _, name := range []string{"Te", "Connection", "Upgrade", "Http2-Settings", "X-Forwarded-Host"} {
			if len(requests) == 1 && requests[0].Header[name] != nil {
				t.Errorf("%q: the origin has seen %s: %q", row, name, requests[0].Header[name])
			}
		}
	}
}

// TestMisdirectedByNewCertificates: what a connection may be used for is asked for each request, hit or not, of the certificates in
// use then.
func TestMisdirectedByNewCertificates(t *testing.T) {
	r := newRig(t, cacheable)
	r.sites[0].Domains = []cdn.Domain{domain, "img.shop.example"}
	s := r.start(t, "ams-1", withTLS(t, domain, "img.shop.example"))
	for _, proto := range []string{"h2", "http/1.1"} {
		both, bothKey := testcert.Write(t, domain, "img.shop.example")
		one, oneKey := testcert.Write(t, domain)
		replace := func(chain, key string) {
			if err := s.Certificates().Replace(t.Context(), true, tlscert.Pair{Chain: chain, Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		replace(both, bothKey)
		c, err := tls.Dial("tcp", s.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: domain, NextProtos: []string{proto}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask := asker(t, c)
		for range 2 {
			if got := ask("img.shop.example"); got != http.StatusOK {
				t.Errorf("%s: %d, want 200", proto, got)
			}
		}
		replace(one, oneKey)
		if got := ask("img.shop.example"); got != http.StatusMisdirectedRequest {
			t.Errorf("%s: after the certificate was replaced by one for less: %d, want 421", proto, got)
		}
		if got := ask(domain); got != http.StatusOK {
			t.Errorf("%s: the name that the connection was made for: %d, want 200", proto, got)
		}
	}
}

// asker returns a function that asks for /a of a host over the connection, and returns the status.
func asker(t *testing.T, c *tls.Conn) func(host string) int {
	t.Helper()
	unused := make(chan net.Conn, 1)
	unused <- c
	transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		select {
		case c := <-unused:
			return c, nil
		default:
			return nil, errors.New("there is no other connection")
		}
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return func(host string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/a", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
}
