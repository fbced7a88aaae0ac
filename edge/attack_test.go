package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
)

// villain is an origin that answers with whatever octets it likes. It closes a connection after its answer.
type villain struct {
	l      net.Listener
	answer func(w io.Writer, req *http.Request)
	wg     sync.WaitGroup

	mu       sync.Mutex // guards the following
	conns    []net.Conn
	requests []*http.Request
}

func newVillain(t *testing.T, answer func(w io.Writer, req *http.Request)) *villain {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &villain{l: l, answer: answer}
	v.wg.Go(v.accept)
	t.Cleanup(func() {
		l.Close()
		v.mu.Lock()
		for _, c := range v.conns {
			c.Close()
		}
		v.mu.Unlock()
		v.wg.Wait()
	})
	return v
}

func (v *villain) accept() {
	for {
		c, err := v.l.Accept()
		if err != nil {
			return
		}
		v.mu.Lock()
		v.conns = append(v.conns, c)
		v.mu.Unlock()
		v.wg.Go(func() {
			defer c.Close()
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			v.mu.Lock()
			v.requests = append(v.requests, req)
			v.mu.Unlock()
			v.answer(c, req)
		})
	}
}

// asked returns the number of requests, and the last one.
func (v *villain) asked() (n int, last *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n = len(v.requests); n > 0 {
		last = v.requests[n-1]
	}
	return n, last
}

// startBefore runs an edge node of the fleet (or, without a name, one alone) in front of a villain.
func (r *rig) startBefore(t *testing.T, v *villain, name string, options ...func(*edge.Config)) (s *edge.Server, addr string) {
	t.Helper()
	r.origin.URL = "http://" + v.l.Addr().String()
	r.sites[0].Origin = cdn.Origin{URLs: []string{r.origin.URL}}
	if name == "" {
		return r.startAlone(t, options...)
	}
	return r.start(t, name, options...), r.addr(name)
}

// says is an origin that always says the same.
func says(lines ...string) func(io.Writer, *http.Request) {
	text := strings.Join(lines, "\r\n")
	return func(w io.Writer, _ *http.Request) { io.WriteString(w, text) }
}

// hostile are answers of an origin that no visitor may take for a good one. None of them may be stored.
var hostile = map[string]struct {
	answer func(io.Writer, *http.Request)
	field  string // of the visitor's request
}{
	"a length that is too large": {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Content-Length: 100", "", "short")},
	"a length that is too large, with validators": {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", `ETag: "1"`,
		"Accept-Ranges: bytes", "Content-Length: 100", "", "short")},
	"a length of nearly 2^63":       {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Content-Length: 9223372036854775807", "", "x")},
	"two lengths":                   {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Content-Length: 1", "Content-Length: 5", "", "short")},
	"a negative length":             {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Content-Length: -1", "", "short")},
	"chunks without an end":         {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Transfer-Encoding: chunked", "", "5", "short", "")},
	"a chunk that is cut off":       {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Transfer-Encoding: chunked", "", "50", "short")},
	"a chunk size that is none":     {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Transfer-Encoding: chunked", "", "FFFFFFFFFFFFFFED", "x", "0", "", "")},
	"an unknown transfer coding":    {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Transfer-Encoding: xchunked", "", "x")},
	"HTTP/0.9":                      {answer: says("<html>")},
	"nothing":                       {answer: says("")},
	"a head that ends":              {answer: says("HTTP/1.1 200 OK", "Cache-Control: max-a")},
	"a part that nobody asked for":  {answer: says("HTTP/1.1 206 Partial Content", "Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: bytes 0-0/9", "Content-Length: 1", "", "x")},
	"a part of nobody knows what":   {answer: says("HTTP/1.1 206 Partial Content", "Cache-Control: max-age=60", `ETag: "1"`, "Content-Length: 1", "", "x")},
	"not modified":                  {answer: says("HTTP/1.1 304 Not Modified", "Cache-Control: max-age=60", `ETag: "1"`, "", "")},
	"not modified, asked for parts": {answer: says("HTTP/1.1 304 Not Modified", "Cache-Control: max-age=60", "", ""), field: "bytes=0-3"},
	"another protocol":              {answer: says("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "Cache-Control: max-age=60", "", "x")},
}

// TestAttackHostileOrigins: what an origin says against the rules is a failure, or broken off, and never stored.
func TestAttackHostileOrigins(t *testing.T) {
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			v := newVillain(t, tt.answer)
			r := newRig(t, cacheable)
			s, addr := r.startBefore(t, v, "ams-1")
			var fields []string
			if tt.field != "" {
				fields = []string{"Range", tt.field}
			}
			for range 2 {
				status, body, err := r.tryGet(t, addr, "/a", fields...)
				if err == nil && status < 500 {
					t.Errorf("a visitor got status %d and %q, all of it", status, body)
				}
			}
			if n, _ := v.asked(); n > 16 {
				t.Errorf("%d requests for two visitors", n)
			}
			if d := s.Explain(cdn.Question{Target: target("/a")}).Decision; d == "hit" || d == "stale" {
				t.Errorf("what was stored of it would be a %s", d)
			}
		})
	}
}

// tryGet is get for answers that may be broken off.
func (r *rig) tryGet(t *testing.T, addr, path string, fields ...string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = domain
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// TestAttackInterimFlood: an origin that says nothing but 103, for ever, is a failure.
func TestAttackInterimFlood(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			over := make(chan struct{})
			v := newVillain(t, func(w io.Writer, _ *http.Request) {
				defer close(over)
				for range 100_000 {
					if _, err := io.WriteString(w, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
						return
					}
				}
				io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
			})
			r := newRig(t, cacheable)
			_, addr := r.startBefore(t, v, "ams-1")
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(conn, method+" /a HTTP/1.1\r\nHost: "+domain+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			in, interim, status := bufio.NewReader(conn), 0, 0
			for status < 200 {
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("after %d interim responses: %v", interim, err)
				}
				if status = resp.StatusCode; status < 200 {
					interim++
				}
			}
			<-over
			if interim > 16 || status != http.StatusBadGateway {
				t.Errorf("the visitor got %d interim responses and then status %d; want at most 16, and 502", interim, status)
			}
		})
	}
}
