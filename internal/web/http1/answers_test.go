package http1_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"nearcast/internal/web/http1"
)

const (
	asGet   = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	asHead  = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
	asOld   = "GET / HTTP/1.0\r\n\r\n"
	asOldKA = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	large   = 100 << 10
)

func set(w http.ResponseWriter, fields ...string) {
	for i := 0; i < len(fields); i += 2 {
		w.Header().Set(fields[i], fields[i+1])
	}
}

// answers are handlers, and every octet that they cause to be sent, but for the Date.
func answers() []struct {
	name, request string
	handler       http.HandlerFunc
	want          string // without Date; a connection that ends is shown by "<end>"
} {
	big := strings.Repeat("a", large)
	type row = struct {
		name, request string
		handler       http.HandlerFunc
		want          string
	}
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
			if _, err := io.WriteString(w, "hello"); status != 200 && err == nil {
				panic("Write returned no error")
			}
		}
	}
	return []row{
		{"small", asGet, hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"nothing", asGet, func(http.ResponseWriter, *http.Request) {}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"small to HEAD", asHead, hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"nothing to HEAD", asHead, func(http.ResponseWriter, *http.Request) {}, "HTTP/1.1 200 OK\r\n\r\n"},
		{"flushed", asGet, flushed, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"flushed to HEAD", asHead, flushed, "HTTP/1.1 200 OK\r\n\r\n"},
		{"flushed to HTTP/1.0", asOldKA, flushed, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhellohello<end>"},
		{"small to HTTP/1.0", asOld, hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello<end>"},
		{"small to HTTP/1.0 that stays", asOldKA, hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"},
		{"large", asGet, func(w http.ResponseWriter, r *http.Request) { hello(w, r); io.WriteString(w, big) }, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19005\r\nhello" + big + "\r\n0\r\n\r\n"},
		{"large with length", asGet, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "102400")
			io.WriteString(w, big)
		}, "HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n" + big},
		{"more than said", asGet, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "5")
			if _, err := io.WriteString(w, "hello!"); err != http.ErrContentLength {
				panic(err)
			}
			io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"less than said", asGet, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Content-Length", "6")
			io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello<end>"},
		{"length that is none", asGet, func(w http.ResponseWriter, r *http.Request) {
			set(w, "Content-Length", "five", "Transfer-Encoding", "gzip")
			hello(w, r)
		}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"204", asGet, bare(204), "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304", asGet, bare(304), "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
		{"200 with length to HEAD", asHead, bare(200), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"status without a name", asGet, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) }, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"},
		{"status that cannot be", asGet, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(42) }, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"},
		{"second status", asGet, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusOK)
		}, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{"fields after the head", asGet, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); set(w, "X", "1") }, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"fields in order", asGet, func(w http.ResponseWriter, _ *http.Request) { set(w, "B", "1", "A", "2"); w.Header().Add("B", "3") }, "HTTP/1.1 200 OK\r\nA: 2\r\nB: 1\r\nB: 3\r\nContent-Length: 0\r\n\r\n"},
		{"handler closes", asGet, func(w http.ResponseWriter, _ *http.Request) { set(w, "Connection", "close, x") }, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n<end>"},
		{"426", asGet, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Connection", "upgrade", "Upgrade", "x")
			w.WriteHeader(http.StatusUpgradeRequired)
		}, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 0\r\nConnection: upgrade\r\n\r\n"},
		{"101 that nobody takes over", asGet, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "Connection", "upgrade", "Upgrade", "x")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n<end>"},
		{"fields that split", asGet, func(w http.ResponseWriter, _ *http.Request) {
			set(w, "A", "1\r\nEvil: 1", "B", "1\nEvil: 1", "C", "1\rEvil: 1", "D", "\x00", "E\r\nEvil", "1", "F:", "1", "", "1", "G ", "1", "H", " \x7f", "I", " ok\t")
			w.Header()["content-length"] = []string{"7"}
			w.Header()["transfer-encoding"] = []string{"chunked"}
		}, "HTTP/1.1 200 OK\r\nI: ok\r\nContent-Length: 0\r\n\r\n"},
		{"interim", asGet, func(w http.ResponseWriter, r *http.Request) {
			set(w, "Link", "</a>", "Content-Length", "5")
			w.WriteHeader(http.StatusEarlyHints)
			set(w, "Link", "</b>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			hello(w, r)
			w.WriteHeader(http.StatusEarlyHints)
		}, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"interim to HTTP/1.0", asOldKA, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusEarlyHints); hello(w, r) }, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"},
		{"trailers announced", asGet, func(w http.ResponseWriter, r *http.Request) {
			set(w, "Trailer", "x-a, Content-Length, X-None")
			hello(w, r)
			set(w, "X-A", "1")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A, X-None\r\n\r\n5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n"},
		{"trailers not announced", asGet, func(w http.ResponseWriter, r *http.Request) {
			hello(w, r)
			set(w, http.TrailerPrefix+"X-B", "1", http.TrailerPrefix+"x-a", "2", http.TrailerPrefix+"Host", "3", http.TrailerPrefix+"X-C", "\r\n")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-B: 1\r\nX-A: 2\r\n\r\n"},
		{"trailers to HTTP/1.0", asOldKA, func(w http.ResponseWriter, r *http.Request) { hello(w, r); set(w, http.TrailerPrefix+"X", "1") }, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"},
		{"abort before the head", asGet, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "<end>"},
		{"abort before the head is sent", asGet, func(w http.ResponseWriter, r *http.Request) { hello(w, r); panic(http.ErrAbortHandler) }, "<end>"},
		{"abort in chunks", asGet, func(w http.ResponseWriter, r *http.Request) {
			flushed(w, r)
			panic(http.ErrAbortHandler)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n<end>"},
		{"panic", asGet, func(w http.ResponseWriter, r *http.Request) { flushed(w, r); panic("x") }, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n<end>"},
	}
}

func TestAnswers(t *testing.T) {
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	const dateField = "Date: Fri, 02 Jan 2026 02:04:05 GMT\r\n"
	for _, row := range answers() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			handler := func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/last" {
					set(w, "Connection", "close")
					return
				}
				row.handler(w, r)
			}
			c := dial(t, start(t, &http1.Server{Handler: http.HandlerFunc(handler), Now: func() time.Time { return date }}))
			c.send(row.request + "GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
			raw, _ := io.ReadAll(c.r)
			got := strings.ReplaceAll(string(raw), dateField, "")
			got, went := strings.CutSuffix(got, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			if !went {
				got += "<end>"
			}
			if got != row.want {
				t.Errorf("got  %.500q\nwant %.500q", got, row.want)
			}
		})
	}
}

func TestDateOfTheHandler(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = map[string][]string{"/own": {"x"}, "/none": nil}[r.URL.Path]
	})}))
	for path, want := range map[string]string{"/own": "x", "/none": ""} {
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := c.want(200, "").Header.Get("Date"); got != want {
			t.Errorf("%s: got Date %q, want %q", path, got, want)
		}
	}
}
