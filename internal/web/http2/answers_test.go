package http2_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
)

func set(w http.ResponseWriter, fields ...string) {
	for i := 0; i < len(fields); i += 2 {
		w.Header().Set(fields[i], fields[i+1])
	}
}

// TestAnswers is the table of internal/web/http1 in the words of HTTP/2.
func TestAnswers(t *testing.T) {
	big := content(100 << 10)
	hello := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }
	flushed := func(w http.ResponseWriter, r *http.Request) {
		hello(w, r)
		w.(http.Flusher).Flush()
		hello(w, r)
	}
	bare := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "5")
			w.WriteHeader(status)
			if _, err := io.WriteString(w, "hello"); status != 200 && !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(err)
			}
		}
	}
	ok := func(fields ...string) string { return ":status: 200\n" + strings.Join(append(fields, ""), "\n") }
	for _, row := range []struct {
		name, method string
		handler      http.HandlerFunc
		heads        []string
		body         string
		code         h2.ErrCode // of RST_STREAM; ErrCodeNo for none
	}{
		{"small", "GET", hello, []string{ok("content-length: 5")}, "hello", 0},
		{"nothing", "GET", func(http.ResponseWriter, *http.Request) {}, []string{ok("content-length: 0")}, "", 0},
		{"small to HEAD", "HEAD", hello, []string{ok("content-length: 5")}, "", 0},
		{"nothing to HEAD", "HEAD", func(http.ResponseWriter, *http.Request) {}, []string{ok()}, "", 0},
		{"flushed", "GET", flushed, []string{ok()}, "hellohello", 0},
		{"flushed to HEAD", "HEAD", flushed, []string{ok()}, "", 0},
		{"large", "GET", func(w http.ResponseWriter, r *http.Request) { hello(w, r); io.WriteString(w, big) }, []string{ok()}, "hello" + big, 0},
		{"large with length", "GET", func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "102400")
			io.WriteString(w, big)
		}, []string{ok("content-length: 102400")}, big, 0},
		{"more than said", "GET", func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "5")
			if _, err := io.WriteString(w, "hello!"); !errors.Is(err, http.ErrContentLength) {
				panic(err)
			}
			io.WriteString(w, "hello")
		}, []string{ok("content-length: 5")}, "hello", 0},
		{"less than said", "GET", func(w http.ResponseWriter, r *http.Request) {
			set(w, "Content-Length", "11")
			flushed(w, r)
		}, []string{ok("content-length: 11")}, "hello", h2.ErrCodeInternal},
		{"length that is none", "GET", func(w http.ResponseWriter, r *http.Request) {
			set(w, "Content-Length", "five")
			hello(w, r)
		}, []string{ok("content-length: 5")}, "hello", 0},
		{"204", "GET", bare(204), []string{":status: 204\n"}, "", 0},
		{"304", "GET", bare(304), []string{":status: 304\ncontent-length: 5\n"}, "", 0},
		{"200 with length to HEAD", "HEAD", bare(200), []string{ok("content-length: 5")}, "", 0},
		{"status that cannot be", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(42) }, []string{":status: 500\ncontent-length: 0\n"}, "", 0},
		{"101", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) }, []string{":status: 500\ncontent-length: 0\n"}, "", 0},
		{"second status", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusOK)
		}, []string{":status: 404\ncontent-length: 0\n"}, "", 0},
		{"fields after the head", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); set(w, "X", "1") }, []string{ok("content-length: 0")}, "", 0},
		{"fields in order", "GET", func(w http.ResponseWriter, _ *http.Request) { set(w, "B", "1", "A", "2"); w.Header().Add("B", "3") }, []string{ok("a: 2", "b: 1", "b: 3", "content-length: 0")}, "", 0},
		{"fields of HTTP/1", "GET", func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Connection", "x", "Keep-Alive", "1", "Proxy-Connection", "x", "Transfer-Encoding", "chunked", "Upgrade", "x", "Te", "x")
		}, []string{ok("content-length: 0")}, "", 0},
		{"fields that split", "GET", func(w http.ResponseWriter, _ *http.Request) {
			set(w, "A", "1\r\nEvil: 1", "B", "1\nEvil: 1", "D", "\x00", "E\r\nEvil", "1", "F:", "1", "", "1", "G ", "1", "H", " \x7f", "I", " ok\t", ":status", "500")
			w.Header()["content-length"] = []string{"7"}
		}, []string{ok("i: ok", "content-length: 0")}, "", 0},
		{"interim", "GET", func(w http.ResponseWriter, r *http.Request) {
			set(w, "Link", "</a>", "Content-Length", "5")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			hello(w, r)
			w.WriteHeader(http.StatusEarlyHints)
		}, []string{":status: 103\nlink: </a>\n", ok("content-length: 5")}, "hello", 0},
		{"trailers announced", "GET", func(w http.ResponseWriter, r *http.Request) {
			set(w, "Trailer", "x-a, Content-Length, X-None")
			hello(w, r)
			set(w, "X-A", "1")
		}, []string{ok("trailer: X-A, X-None"), "x-a: 1\n"}, "hello", 0},
		{"trailers not announced", "GET", func(w http.ResponseWriter, r *http.Request) {
			hello(w, r)
			set(w, http.TrailerPrefix+"X-B", "1", http.TrailerPrefix+"Host", "3", http.TrailerPrefix+"X-C", "\r\n")
		}, []string{ok(), "x-b: 1\n"}, "hello", 0},
		{"trailers without content", "GET", func(w http.ResponseWriter, _ *http.Request) { set(w, http.TrailerPrefix+"X", "1") }, []string{ok(), "x: 1\n"}, "", 0},
		{"announced and not set", "GET", func(w http.ResponseWriter, r *http.Request) { set(w, "Trailer", "x"); hello(w, r) }, []string{ok("trailer: X")}, "hello", 0},
		{"abort before the head", "GET", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, "", h2.ErrCodeInternal},
		{"abort before the head is sent", "GET", func(w http.ResponseWriter, r *http.Request) { hello(w, r); panic(http.ErrAbortHandler) }, nil, "", h2.ErrCodeInternal},
		{"abort later", "GET", func(w http.ResponseWriter, r *http.Request) { flushed(w, r); panic(http.ErrAbortHandler) }, []string{ok()}, "hello", h2.ErrCodeInternal},
		{"panic", "GET", func(w http.ResponseWriter, r *http.Request) { flushed(w, r); panic("x") }, []string{ok()}, "hello", h2.ErrCodeInternal},
		{"large head", "GET", func(w http.ResponseWriter, _ *http.Request) { set(w, "X", big) }, []string{ok("x: "+big, "content-length: 0")}, "", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := greet(t, &http2.Server{Handler: row.handler}, largeWindows())
			c.WriteWindowUpdate(0, 1<<20)
			a := c.answerTo(c.get(":method: " + row.method))
			if got, want := strings.Join(a.heads, "\n"), strings.Join(row.heads, "\n"); got != want {
				t.Errorf("got heads %.300q, want %.300q", got, want)
			}
			if a.body != row.body || a.reset != (row.code != 0) || a.code != row.code {
				t.Errorf("got %.300q, reset %v %v", a.body, a.reset, a.code)
			}
			c.ping()
		})
	}
}

// What nobody has asked for is not waited for: the answer is whole, and the stream is reset without an error.
func TestAnswerWithoutReading(t *testing.T) {
	c := greet(t, &http2.Server{Handler: byPath{}})
	id := c.request(false, ":method: POST", "content-length: 1000000")
	c.WriteData(id, false, make([]byte, 10_000))
	if a := c.answerTo(id); a.body != "ok" || a.reset {
		t.Errorf("got %+v", a)
	}
	c.wantReset(id, h2.ErrCodeNo)
}

func TestExpectContinue(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	c := greet(t, &http2.Server{Handler: byPath{"/echo": echo}})
	id := c.request(false, ":method: POST", ":path: /echo", "expect: 100-continue")
	for {
		g, ok := c.receive()
		if !ok || g.Type == h2.FrameHeaders {
			if g.fields != ":status: 100\n" {
				t.Errorf("got %v", g)
			}
			break
		}
	}
	c.WriteData(id, true, []byte("hello"))
	if a := c.answerTo(id); a.body != "hello" || len(a.heads) != 1 {
		t.Errorf("got %+v", a)
	}
	id = c.request(false, ":method: POST", "expect: 100-continue")
	if a := c.answerTo(id); a.body != "ok" || len(a.heads) != 1 {
		t.Errorf("got %+v", a)
	}
}

func TestControls(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		if _, _, err := rc.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("Read after Close: %v", err)
		}
	})
	c := greet(t, &http2.Server{Handler: h})
	id := c.request(false, ":method: POST")
	c.WriteData(id, true, []byte("hello"))
	c.answerTo(id)
}

// Content goes both ways at the same time.
func TestFullDuplex(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for buf := make([]byte, 10); ; {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})
	c := greet(t, &http2.Server{Handler: h})
	id := c.request(false, ":method: POST")
	for range 10 {
		c.WriteData(id, false, []byte("0123456789"))
		c.data(10)
	}
	c.WriteData(id, true, nil)
	if a := c.answerTo(id); a.reset {
		t.Errorf("got %+v", a)
	}
}
