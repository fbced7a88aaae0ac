package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nearcast/cdn"
)

// switching is an origin that changes to the protocol that it is asked for, says "welcome " right behind its 101
// and then returns every octet. ended gets one when a tunnel is over.
type switching struct {
	t     *testing.T
	seen  chan http.Header
	ended chan string // the octets of the visitor
	other string      // the protocol that it changes to instead
}

func newSwitching(t *testing.T) *switching {
	t.Helper()
	return &switching{t: t, seen: make(chan http.Header, 1), ended: make(chan string, 1)}
}

func (o *switching) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	o.seen <- req.Header
	protocol := req.Header.Get("Upgrade")
	if o.other != "" {
		protocol = o.other
	}
	conn, ahead, err := http.NewResponseController(w).Hijack()
	if err != nil {
		o.t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-Websocket-Accept: yes\r\nX-Hop: 1\r\n\r\nwelcome ", protocol)
	var got strings.Builder
	io.Copy(io.MultiWriter(conn, &got), ahead)
	o.ended <- got.String()
}

// dialled is a connection to a node, which ends with the test.
func dialled(t *testing.T, addr, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, request)
	return conn, bufio.NewReader(conn)
}

// socket is the request of a browser for a WebSocket (RFC 6455 section 4.1).
const socket = "GET /chat HTTP/1.1\r\nHost: " + domain + "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// received reads n octets.
func received(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("after %q: %v", b[:got], err)
	}
	return string(b)
}

// switched reads a 101.
func switched(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	return resp
}

// TestTunnel: octets go both ways from the moment of the 101, those that were sent right behind
// either head included, through one node and through two.
func TestTunnel(t *testing.T) {
	for _, node := range []string{"ams-1", "fra-1"} {
		t.Run(node, func(t *testing.T) {
			o := newSwitching(t)
			r := newRig(t, o.ServeHTTP)
			r.chain(t)
			conn, in := dialled(t, r.addr(node), socket+"early ")
			resp := switched(t, in)
			h := resp.Header
			if h.Get("Upgrade") != "websocket" || !strings.EqualFold(h.Get("Connection"), "upgrade") || h.Get("Sec-Websocket-Accept") != "yes" || h.Get("Via") == "" {
				t.Errorf("head of the 101: %v", h)
			}
			if got := received(t, in, 14); got != "welcome early " {
				t.Errorf("at first %q", got)
			}
			long := string(content(mib, 7))
			var writing sync.WaitGroup
			writing.Go(func() { io.WriteString(conn, long) })
			if got := received(t, in, mib); got != long {
				t.Error("a mebibyte came back otherwise than it went out")
			}
			writing.Wait()
			conn.Close()
			if got := <-o.ended; got != "early "+long {
				t.Errorf("the origin got %d octets", len(got))
			}
			seen := <-o.seen
			if seen.Get("Upgrade") != "websocket" || seen.Get("Sec-Websocket-Key") == "" || seen.Get("X-Forwarded-For") != "127.0.0.1" ||
				seen.Get("Nearcast-Hop") != "" || !strings.Contains(seen.Get("Via"), node) {
				t.Errorf("the origin saw %v", seen)
			}
		})
	}
}

// TestOriginEndsATunnel: what it has sent last still reaches the visitor.
func TestOriginEndsATunnel(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfarewell")
		conn.Close()
	})
	r.chain(t)
	_, in := dialled(t, r.addr("fra-1"), socket)
	switched(t, in)
	if got, err := io.ReadAll(in); string(got) != "farewell" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNoTunnelBefore101: whatever follows a request to change the protocol is the visitor's next request, for this
// node to judge, unless the origin has changed it.
func TestNoTunnelBefore101(t *testing.T) {
	for _, node := range []string{"ams-1", "fra-1"} {
		t.Run(node, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("X-Hop", "1")
				fmt.Fprint(w, "answer to ", req.URL.Path)
			})
			r.chain(t)
			smuggled := "GET /secret HTTP/1.1\r\nHost: nobody.example\r\n\r\n"
			last := "GET /last HTTP/1.1\r\nHost: " + domain + "\r\nConnection: close\r\n\r\n"
			got := raw(t, r.addr(node), socket+smuggled+last)
			want := []string{"answer to /chat", "HTTP/1.1 404 ", "answer to /last"}
			at := 0
			for _, w := range want {
				i := strings.Index(got[at:], w)
				if i < 0 {
					t.Fatalf("no %q in its place:\n%s", w, got)
				}
				at += i
			}
			if n := strings.Count(got, "HTTP/1.1 "); n != 3 || r.origin.requests("/secret") != 0 || r.origin.all() != 2 {
				t.Errorf("%d answers, %d requests at the origin:\n%s", n, r.origin.all(), got)
			}
		})
	}
}

// TestWhatIsNoUpgrade: a change of the HTTP version above all, behind which nobody would tell one request from
// the next, is not passed on (RFC 9110 section 7.8 lets a server ignore it).
func TestWhatIsNoUpgrade(t *testing.T) {
	seen := make(chan http.Header, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		seen <- req.Header
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "plain")
	}, cdn.Route{Match: cdn.Match{PathPrefix: "/pass"}, Bypass: true})
	r.start(t, "ams-1")
	for name, tt := range map[string]struct{ line, fields string }{
		"h2c":           {"GET /a HTTP/1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"},
		"h2c past":      {"GET /pass HTTP/1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"},
		"H2C":           {"GET /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: H2C\r\n"},
		"HTTP/2.0":      {"GET /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n"},
		"TLS":           {"GET /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"},
		"a choice":      {"GET /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"},
		"two lines":     {"GET /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"},
		"not an option": {"GET /a HTTP/1.1", "Upgrade: websocket\r\n"},
		"HTTP/1.0":      {"GET /a HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n"},
		"POST":          {"POST /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"},
		"with a body":   {"GET /a HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, in := dialled(t, r.addr("ams-1"), tt.line+"\r\nHost: "+domain+"\r\n"+tt.fields+"\r\n")
			if strings.Contains(tt.fields, ": 4\r\n") {
				io.WriteString(conn, "body")
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body := received(t, resp.Body, 5)
			if resp.StatusCode != http.StatusOK || body != "plain" || resp.Header.Get("Upgrade") != "" {
				t.Errorf("%s %q %v", resp.Status, body, resp.Header)
			}
			if h := <-seen; h["Upgrade"] != nil || h["Http2-Settings"] != nil || h["Connection"] != nil {
				t.Errorf("the origin saw %v", h)
			}
		})
	}
}

// TestAnotherProtocolThanAskedFor is no tunnel: the visitor would misread it.
func TestAnotherProtocolThanAskedFor(t *testing.T) {
	o := newSwitching(t)
	o.other = "h2c"
	r := newRig(t, o.ServeHTTP)
	r.start(t, "ams-1")
	conn, in := dialled(t, r.addr("ams-1"), strings.Replace(socket, "keep-alive, Upgrade", "close, Upgrade", 1))
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadGateway || strings.Contains(string(body), "welcome") || err != nil {
		t.Errorf("%s %q %v", resp.Status, body, err)
	}
	conn.Close()
	<-o.ended
}

// TestSwitchThatNobodyAskedFor: an origin that answers 101 to an ordinary request has failed (RFC 9110 section 15.2.2), and the
// visitor's connection stays what it is.
func TestSwitchThatNobodyAskedFor(t *testing.T) {
	for _, request := range []string{"GET /a", "POST /a", "HEAD /a"} {
		for _, node := range []string{"ams-1", "fra-1"} {
			t.Run(request+" at "+node, func(t *testing.T) {
				o := newSwitching(t)
				o.other = "websocket"
				r := newRig(t, o.ServeHTTP)
				r.chain(t)
				got := raw(t, r.addr(node), request+" HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				if !strings.HasPrefix(got, "HTTP/1.1 502 ") || strings.Contains(got, "welcome") {
					t.Errorf("%s", got)
				}
				<-o.ended
			})
		}
	}
}

// TestUpgradeThatFails: without an origin there is a failure as for any request, and the connection goes on.
func TestUpgradeThatFails(t *testing.T) {
	r := newRig(t, cacheable)
	r.chain(t)
	r.get(t, r.addr("fra-1"), "/a")
	r.origin.Close()
	got := raw(t, r.addr("fra-1"), socket+"GET /a HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 502 ") || !strings.Contains(got, "error=connection_refused") || !strings.HasSuffix(got, "body of /a") {
		t.Errorf("%s", got)
	}
}

// TestTunnelsEndAtShutdown: a node that closes does not wait for tunnels, which have no end of their own.
func TestTunnelsEndAtShutdown(t *testing.T) {
	var visitor io.Reader
	o := newSwitching(t)
	start := time.Now()
	t.Run("nodes", func(inner *testing.T) {
		r := newRig(inner, o.ServeHTTP)
		r.chain(inner)
		_, in := dialled(t, r.addr("fra-1"), socket+"hello")
		switched(t, in)
		received(t, in, 13)
		visitor = in
	})
	if rest, err := io.ReadAll(visitor); len(rest) > 0 {
		t.Errorf("after the end of the nodes: %q, %v", rest, err)
	}
	if got := <-o.ended; got != "hello" {
		t.Errorf("the origin got %q", got)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
