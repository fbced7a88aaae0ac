package http1_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nearcast/internal/web/http1"
)

// byPath answers each path with a handler of its own, and others with 200.
type byPath map[string]http.HandlerFunc

func (b byPath) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := b[r.URL.Path]; h != nil {
		h(w, r)
	}
}

func echo(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }

const (
	marker   = "GET /marker HTTP/1.1\r\nHost: x\r\n\r\n"
	expect   = "Expect: 100-continue\r\n"
	inChunks = "Transfer-Encoding: chunked\r\n"
)

func TestExpectContinue(t *testing.T) {
	h := byPath{
		"/c": echo,
		"/twice": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusContinue)
			echo(w, r)
		},
	}
	for _, path := range []string{"/c", "/twice"} {
		c := dial(t, start(t, &http1.Server{Handler: h}))
		c.send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n" + expect + "\r\n")
		if a := c.receive(http.MethodPost); a.StatusCode != http.StatusContinue {
			t.Fatalf("%s: got %d, want 100", path, a.StatusCode)
		}
		c.send("abc" + marker)
		c.want(200, "abc")
		c.want(200, "")
	}
}

// A client that is answered without being asked for the body may send it or not.
func TestExpectContinueUnread(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no flusher")
		}
	}}}))
	c.send(post("Content-Length: 3\r\n" + expect))
	if a := c.want(403, ""); !a.Close {
		t.Error("the connection is kept")
	}
	c.send("abc" + evil)
	c.wantEnd()
}

func TestUnreadBody(t *testing.T) {
	small, big := strings.Repeat("a", 60<<10), strings.Repeat("a", 70<<10)
	for _, row := range []struct {
		name, raw string
		kept      bool
		announced bool // Connection: close
	}{
		{"small", post("Content-Length: 61440\r\n") + small, true, false},
		{"small in chunks", post(inChunks) + "f000\r\n" + small + "\r\n0\r\n\r\n", true, false},
		{"large", post("Content-Length: 71680\r\n") + big, false, true},
		{"large in chunks", post(inChunks) + "11800\r\n" + big + "\r\n0\r\n\r\n", false, false},
		{"malformed", post(inChunks) + "x\r\n", false, false},
		{"never sent", post("Content-Length: 3\r\n"), false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := byPath{"/evil": func(http.ResponseWriter, *http.Request) { t.Error("a body became a request") }}
			c := dial(t, start(t, &http1.Server{Handler: h, Limits: http1.Limits{Linger: 100 * time.Millisecond}}))
			c.send(row.raw)
			if a := c.want(200, ""); a.Close != row.announced {
				t.Errorf("Connection: close is %v, want %v", a.Close, row.announced)
			}
			if !row.kept {
				c.wantEnd()
				return
			}
			c.send(marker)
			c.want(200, "")
		})
	}
}

// TestSentBeforeRead: a client that reads nothing before it has sent a content that nobody wants gets its answer all the same, if it keeps sending.
func TestSentBeforeRead(t *testing.T) {
	const size = 8 << 20
	piece := strings.Repeat("a", 1<<20)
	for name, row := range map[string]struct{ head, before, after string }{
		"length": {"Content-Length: " + strconv.Itoa(size) + "\r\n", "", ""},
		"chunks": {inChunks, strconv.FormatInt(size, 16) + "\r\n", "\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, start(t, &http1.Server{Handler: byPath{}, Limits: http1.Limits{Linger: 10 * time.Second}}))
			c.send(post(row.head) + row.before)
			for _, p := range append(slices.Repeat([]string{piece}, size/len(piece)), row.after) {
				if _, err := io.WriteString(c, p); err != nil { // where many clients stop, and never read
					t.Fatal(err)
				}
			}
			c.want(200, "")
			c.Close()
		})
	}
}

// A body that looks like a request is a body, however little of it is read.
func TestHalfReadBody(t *testing.T) {
	h := byPath{"/c": func(_ http.ResponseWriter, r *http.Request) { r.Body.Read(make([]byte, 5)) }}
	h["/evil"] = func(http.ResponseWriter, *http.Request) { t.Error("a body became a request") }
	c := dial(t, start(t, &http1.Server{Handler: h}))
	c.send(post("Content-Length: 62\r\n") + evil + evil + marker)
	c.want(200, "")
	c.want(200, "")
}

func TestMalformedBodyThatTheHandlerIgnores(t *testing.T) {
	h := byPath{"/c": func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); !http1.Malformed(err) {
			t.Errorf("got error %v, want a malformed body", err)
		}
	}}
	c := dial(t, start(t, &http1.Server{Handler: h}))
	c.send(post(inChunks) + "x\r\n" + evil)
	a := c.receive(http.MethodPost)
	if a.StatusCode != http.StatusBadRequest || !a.Close || !strings.Contains(a.body, "chunk") {
		t.Errorf("got %d %q, want 400 with the reason", a.StatusCode, a.body)
	}
	c.wantEnd()
}

func TestBodyCutOff(t *testing.T) {
	for name, raw := range map[string]string{"length": post("Content-Length: 5\r\n") + "abc", "chunks": post(inChunks) + "5\r\nabc"} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			h := byPath{"/c": func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				got <- err
				<-r.Context().Done()
			}}
			c := dial(t, start(t, &http1.Server{Handler: h}))
			c.send(raw)
			c.Close()
			if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) || http1.Malformed(err) {
				t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
			}
		})
	}
}

func TestReadDeadline(t *testing.T) {
	h := byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		_, err := io.ReadAll(r.Body)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a passed deadline", err)
		}
		if err := r.Context().Err(); err != nil {
			t.Errorf("a slow client ends the context: %v", err)
		}
		w.WriteHeader(http.StatusRequestTimeout)
	}}
	c := dial(t, start(t, &http1.Server{Handler: h}))
	c.send(post("Content-Length: 5\r\n") + "abc")
	if a := c.want(408, ""); !a.Close {
		t.Error("the connection is kept")
	}
	c.wantEnd()
}

// Reading and writing at the same time: an echo of more than any buffer holds.
func TestFullDuplex(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: byPath{"/c": echo}}))
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send(post("Content-Length: 4194304\r\n"))
		c.Write(payload)
		c.send(marker)
	}()
	if a := c.receive(http.MethodPost); a.body != string(payload) {
		t.Errorf("got %d octets back (%v), or others", len(a.body), a.bodyErr)
	}
	c.want(200, "")
	<-sent
}

func TestTinyChunks(t *testing.T) {
	const n = 200_000
	c := dial(t, start(t, &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if len(body) != n || err != nil {
			t.Errorf("got %d octets (%v), want %d", len(body), err, n)
		}
	}}}))
	go c.send(post(inChunks) + strings.Repeat("1\r\na\r\n", n) + "0\r\n\r\n" + marker)
	c.want(200, "")
	c.want(200, "")
}

// A body that somebody else still waits for does not hold up the answer.
func TestBodyReadBeyondTheHandler(t *testing.T) {
	read := make(chan error, 1)
	h := byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		reading := make(chan struct{})
		go func() {
			buf := make([]byte, 10)
			r.Body.Read(buf)
			close(reading)
			_, err := r.Body.Read(buf)
			read <- err
		}()
		<-reading
		w.WriteHeader(http.StatusAccepted)
	}}
	c := dial(t, start(t, &http1.Server{Handler: h}))
	c.send(post("Content-Length: 5\r\n") + "abc")
	c.want(202, "")
	if err := <-read; err == nil {
		t.Error("the second Read returned no error")
	}
}
