package front_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/seat"
	"nearcast/internal/web/front"
	"nearcast/internal/web/http1"
	"nearcast/internal/web/http2"
	"nearcast/internal/web/tlscert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newServer returns a server that answers with the protocol of the request, and the root that its certificate is of.
func newServer(t *testing.T) (*front.Server, *x509.CertPool) {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure := ""
		if r.TLS != nil {
			secure = " over TLS"
		}
		io.WriteString(w, r.Proto+secure)
	})
	certified := httptest.NewUnstartedServer(nil) // for its certificate
	certified.StartTLS()
	defer certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	s := &front.Server{
		HTTP1: &http1.Server{Handler: h}, HTTP2: &http2.Server{Handler: h},
		Gate: tlscert.NewGate(tlscert.GateOptions{}),
		TLS:  &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: front.Protocols()},
	}
	t.Cleanup(func() { // when all that start has started is over
		if n := s.Connections(); n != 0 {
			t.Errorf("%d connections are counted when all are over", n)
		}
	})
	return s, roots
}

// start serves s until the test ends.
func start(t *testing.T, s *front.Server, secure bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, secure) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}))
	return l.Addr().String()
}

// TestProtocols: each connection is served by the protocol that it speaks.
func TestProtocols(t *testing.T) {
	s, roots := newServer(t)
	plain, secure := start(t, s, false), start(t, s, true)
	for _, row := range []struct {
		url, want string
		http2     bool
	}{
		{"http://" + plain, "HTTP/1.1", true},
		{"https://" + secure, "HTTP/2.0 over TLS", true},
		{"https://" + secure, "HTTP/1.1 over TLS", false},
	} {
		transport := &http.Transport{ForceAttemptHTTP2: row.http2, TLSClientConfig: &tls.Config{RootCAs: roots}}
		if !row.http2 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		resp, err := (&http.Client{Transport: transport}).Get(row.url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		if string(body) != row.want || err != nil {
			t.Errorf("%s: %q (%v), want %q", row.url, body, err, row.want)
		}
	}
}

// TestLimits: connections that are too many are closed at once, counted and logged; those that are there go on.
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		limits front.Limits
		fit    int
		reason string
	}{
		{front.Limits{Connections: 3, PerClient: 9}, 3, "connections"},
		{front.Limits{PerClient: 2}, 2, "client-connections"},
		{front.Limits{Connections: 5}, 3, "client-connections"},
	} {
		s, _ := newServer(t)
		var refused atomic.Value
		s.Limits, s.Refused = row.limits, func(limit string) { refused.Store(limit) }
		addr := start(t, s, false)
		var conns []net.Conn
		for range row.fit {
			c := dial(t, addr)
			ask(t, c, "HTTP/1.1 200 OK")
			conns = append(conns, c)
		}
		if n := s.Connections(); n != row.fit {
			t.Errorf("%+v: %d connections are counted, want %d", row.limits, n, row.fit)
		}
		over := dial(t, addr)
		if n, err := over.Read(make([]byte, 1)); n > 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v: one more than fits was not closed: %v", row.limits, err)
		}
		if refused.Load() != row.reason {
			t.Errorf("%+v: Refused was told %v, want %q", row.limits, refused.Load(), row.reason)
		}
		for _, c := range conns {
			ask(t, c, "HTTP/1.1 200 OK")
		}
		conns[0].Close()
		for s.Connections() == row.fit { // until it is seen
			runtime.Gosched()
		}
		ask(t, dial(t, addr), "HTTP/1.1 200 OK")
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// ask sends a request and checks the status line.
func ask(t *testing.T, c net.Conn, want string) {
	t.Helper()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if strings.TrimSpace(line) != want {
		t.Fatalf("got %q (%v), want %q", line, err, want)
	}
	for line != "\r\n" && err == nil {
		line, err = r.ReadString('\n')
	}
	io.CopyN(io.Discard, r, int64(len("HTTP/1.1")))
}

// A listener that fails.
type brokenListener struct {
	net.Listener

	errs chan error
}

func (l *brokenListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, &net.OpError{Op: "accept", Err: err}
	default:
		return l.Listener.Accept()
	}
}

func TestAcceptGoesOnAfterFailuresThatPass(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := &brokenListener{l, make(chan error, 3)}
	broken.errs <- syscall.EMFILE
	broken.errs <- syscall.ECONNABORTED
	served := make(chan error, 1)
	srv, _ := newServer(t)
	go func() { served <- srv.Serve(t.Context(), broken, false) }()
	c := dial(t, l.Addr().String())
	ask(t, c, "HTTP/1.1 200 OK")
	broken.errs <- syscall.EINVAL
	c2 := dial(t, l.Addr().String()) // ends the Accept that waits
	if err := <-served; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v, want %v", err, syscall.EINVAL)
	}
	for _, c := range []net.Conn{c, c2} {
		if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) { // nobody has accepted the second: it is reset
			t.Errorf("got %d octets (%v), want the end of the connection", n, err)
		}
	}
}

// TestNewcomers: when all places are taken by some who say nothing, those who ask get in, over each protocol, and who has asked stays.
func TestNewcomers(t *testing.T) {
	s, roots := newServer(t)
	var lost sync.Map
	s.Limits, s.Lost = front.Limits{Connections: 40}, func(reason string) { lost.Store(reason, true) }
	plain, secure := start(t, s, false), start(t, s, true)
	good := dialFrom(t, plain, "127.3.0.1")
	ask(t, good, "HTTP/1.1 200 OK")
	for i := range 39 {
		dialFrom(t, []string{plain, secure}[i%2], fmt.Sprintf("127.2.0.%d", 1+i%10))
	}
	for s.Connections() < 40 {
		runtime.Gosched()
	}
	for i := range 10 {
		ask(t, dialFrom(t, plain, fmt.Sprintf("127.3.%d.1", 1+i)), "HTTP/1.1 200 OK")
		for _, protocol := range front.Protocols() {
			nc := tls.Client(dialFrom(t, secure, fmt.Sprintf("127.4.%d.1", i)), &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{protocol}})
			if protocol == "http/1.1" {
				ask(t, nc, "HTTP/1.1 200 OK")
			} else if n, err := nc.Read(make([]byte, 1)); n == 0 { // our settings
				t.Errorf("over TLS: %v", err)
			}
		}
		ask(t, good, "HTTP/1.1 200 OK")
	}
	if _, silent := lost.Load(seat.Silent); !silent || s.Connections() != 40 {
		t.Errorf("%d connections; nobody has lost one for saying nothing: %v", s.Connections(), !silent)
	}
}

// TestAnsweredMakeRoom: who has the answer, and goes on to hold the connection as if to send the rest, keeps nobody out.
func TestAnsweredMakeRoom(t *testing.T) {
	s, _ := newServer(t)
	s.HTTP1.Limits.Linger = time.Minute
	s.Limits = front.Limits{Connections: 40}
	addr := start(t, s, false)
	for i := range 40 {
		c := dialFrom(t, addr, fmt.Sprintf("127.2.0.%d", 1+i%10))
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nx")
		if answer, err := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK") {
			t.Fatalf("connection %d: %q, %v", i, answer, err)
		}
	}
	ask(t, dialFrom(t, addr, "127.3.0.1"), "HTTP/1.1 200 OK")
}

// TestPingsAreNoMovement: who takes nothing of an answer over HTTP/2, and has PINGs answered meanwhile, gives way as one who is silent.
func TestPingsAreNoMovement(t *testing.T) {
	s, roots := newServer(t)
	s.Limits = front.Limits{Connections: 2, Stuck: time.Second}
	addr := start(t, s, true)
	connect := func(from, protocol string) net.Conn {
		return tls.Client(dialFrom(t, addr, from), &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{protocol}})
	}
	var attackers []*h2.Framer
	for i := range 2 {
		c := connect(fmt.Sprintf("127.2.0.%d", 1+i), "h2")
		requestOf(c, "GET", true)
		attackers = append(attackers, h2.NewFramer(c, c))
	}
	answered := false
	for range 50 {
		for _, f := range attackers {
			f.WritePing(false, [8]byte{})
			for acked := false; !acked; { // until one has lost its place
				frame, err := f.ReadFrame()
				ping, ok := frame.(*h2.PingFrame)
				acked = err != nil || ok && ping.IsAck()
			}
		}
		c := connect("127.3.0.1", "http/1.1")
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if n, _ := c.Read(make([]byte, 1)); n == 1 {
			answered = true
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	if !answered {
		t.Error("a newcomer is refused for as long as they have PINGs answered")
	}
}

// TestOwed: who owes the content of a request, or does not open the window of an answer, is waited for from the beginning, and not as somebody is to
// whom the server owes an answer.
func TestOwed(t *testing.T) {
	for name, owe := range map[string]func(c net.Conn){
		"content": func(c net.Conn) {
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
		},
		"content over HTTP/2": func(c net.Conn) { requestOf(c, "POST", false) },
		"a window":            func(c net.Conn) { requestOf(c, "GET", true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, roots := newServer(t)
			read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, "read")
			})
			s.HTTP1.Handler, s.HTTP1.Limits.Stall = read, time.Minute
			s.HTTP2.Handler, s.HTTP2.Limits.Stall = read, time.Minute
			s.Limits = front.Limits{Connections: 2, Stuck: 4 * time.Second}
			addr := start(t, s, true)
			connect := func(from, protocol string) net.Conn {
				return tls.Client(dialFrom(t, addr, from), &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{protocol}})
			}
			for i := range 2 { // of different networks, so that nothing else counts against them
				protocol := "h2"
				if name == "content" {
					protocol = "http/1.1"
				}
				c := connect(fmt.Sprintf("127.%d.0.1", 20+i), protocol)
				owe(c)
				go io.Copy(io.Discard, c)
			}
			began := time.Now()
			for n := 0; n != 1; <-time.After(50 * time.Millisecond) {
				c := connect("127.3.0.1", "http/1.1")
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				n, _ = c.Read(make([]byte, 1))
				c.Close()
				if time.Since(began) > 19*time.Second { // five times as long as a client may take is 20
					t.Fatal("a newcomer is refused as if it was the server that is slow")
				}
			}
		})
	}
}

// requestOf sends a request over HTTP/2, for an answer that no window is open for. Its content does not come.
func requestOf(c net.Conn, method string, whole bool) {
	io.WriteString(c, h2.ClientPreface)
	f := h2.NewFramer(c, c)
	f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 0})
	var block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "x"}, {":path", "/"}} {
		fields.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: whole})
}

func dialFrom(t *testing.T, addr, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}
