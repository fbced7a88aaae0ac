package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/internal/web/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen before it gives up.
const patience = 10 * time.Second

// start serves s on a listener of its own until the test ends.
func start(t *testing.T, s *http1.Server) (addr string) {
	t.Helper()
	addr, stop := startStoppable(t, s)
	t.Cleanup(stop)
	return addr
}

// startOn is start with a listener that is wrapped.
func startOn(t *testing.T, s *http1.Server, wrap func(net.Listener) net.Listener) (addr string) {
	t.Helper()
	addr, stop := serveOn(t, s, wrap)
	t.Cleanup(stop)
	return addr
}

// startStoppable is start for tests that stop the server themselves; stop waits until it
// has ended, and may be called again.
func startStoppable(t *testing.T, s *http1.Server) (addr string, stop func()) {
	t.Helper()
	return serveOn(t, s, func(l net.Listener) net.Listener { return l })
}

func serveOn(t *testing.T, s *http1.Server, wrap func(net.Listener) net.Listener) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, s, wrap(l)) }()
	return l.Addr().String(), sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// serve serves every connection of a listener.
func serve(ctx context.Context, s *http1.Server, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		nc, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		conns.Go(func() {
			t, ok := nc.(*tls.Conn)
			if !ok {
				s.ServeConn(ctx, nc, nil)
				return
			}
			if err := t.HandshakeContext(ctx); err != nil {
				t.Close()
				return
			}
			state := t.ConnectionState()
			s.ServeConn(ctx, t, &state)
		})
	}
}

// client is a client that sends octets as it is told.
type client struct {
	net.Conn

	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &client{nc, t, bufio.NewReader(nc)}
}

// send sends octets. That the server does not want them any more is no failure of the test.
func (c *client) send(raw string) {
	io.WriteString(c.Conn, raw)
}

// answer is a response with its whole content.
type answer struct {
	*http.Response

	body    string
	bodyErr error
}

// receive reads one response to a request with this method.
func (c *client) receive(method string) answer {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading a response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp, string(body), err}
}

// want reads one response, and fails the test unless it is as given.
func (c *client) want(status int, body string) answer {
	c.t.Helper()
	a := c.receive(http.MethodGet)
	if a.StatusCode != status || a.body != body || a.bodyErr != nil {
		c.t.Fatalf("got %d %q (%v), want %d %q", a.StatusCode, a.body, a.bodyErr, status, body)
	}
	return a
}

// wantEnd fails the test unless the server ends the connection with nothing more.
func (c *client) wantEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if len(rest) > 0 || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("got %q (%v), want the end of the connection", rest, err)
	}
}

// seen records what a handler has seen, as "METHOD target body".
type seen struct {
	mu   sync.Mutex // guards list
	list []string
}

func (s *seen) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, fmt.Sprintf(format, args...))
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// ServeHTTP reads the body, records the request and answers 200, or 400 if the body was
// malformed.
func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if http1.Malformed(err) {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		panic(http.ErrAbortHandler)
	}
	s.add("%s %s %s", r.Method, r.RequestURI, body)
	io.WriteString(w, "ok")
}
