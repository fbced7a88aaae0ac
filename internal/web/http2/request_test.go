package http2_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
)

// Whatever breaks a rule of RFC 9113 section 8 is reset, reaches nobody, and is counted with its word.
func TestMalformedRequests(t *testing.T) {
	for _, row := range []struct {
		word  string
		lines []string
	}{
		{"field-name", []string{"X-Upper: 1"}},
		{"field-name", []string{"x y: 1"}},
		{"field-name", []string{"x\x00: 1"}},
		{"field-name", []string{"x\r\ny: 1"}},
		{"field-value", []string{"x: a\r\nb: c"}},
		{"field-value", []string{"x: a\nb"}},
		{"field-value", []string{"x: a\x00"}},
		{"field-value", []string{"x:  a"}},
		{"field-value", []string{"x: a "}},
		{"field-value", []string{"x: a\t"}},
		{"field-value", []string{"x: \x7f"}},
		{"connection-field", []string{"connection: close"}},
		{"connection-field", []string{"keep-alive: 1"}},
		{"connection-field", []string{"proxy-connection: keep-alive"}},
		{"connection-field", []string{"transfer-encoding: chunked"}},
		{"connection-field", []string{"upgrade: websocket"}},
		{"te", []string{"te: gzip"}},
		{"te", []string{"te: trailers, gzip"}},
		{"pseudo-unknown", []string{":protocol: websocket"}},
		{"pseudo-unknown", []string{":status: 200"}},
		{"pseudo-late", []string{"-:path", "x: 1", ":path: /"}},
		{"pseudo-repeated", []string{":path: /", ":path: /"}},
		{"pseudo-repeated", []string{":method: GET", ":method: POST"}},
		{"pseudo-missing", []string{"-:path"}},
		{"pseudo-missing", []string{"-:scheme"}},
		{"method", []string{"-:method"}},
		{"method", []string{":method: G T"}},
		{"method", []string{":method: GET /x HTTP/1.1\r\n"}},
		{"connect", []string{":method: CONNECT", "-:path", "-:scheme"}},
		{"connect", []string{":method: CONNECT"}},
		{"scheme", []string{":scheme: https"}},
		{"scheme", []string{":scheme: ftp"}},
		{"scheme", []string{":scheme: http://a/"}},
		{"target", []string{":path: "}},
		{"target", []string{":path: a"}},
		{"target", []string{":path: *"}},
		{"target", []string{":path: http://a.example/"}},
		{"target", []string{":path: /a b"}},
		{"target", []string{":path: /#a"}},
		{"target", []string{":path: /\r\n"}},
		{"target", []string{":path: /\xc3\xa4"}},
		{"target", []string{":path: /%zz"}},
		{"no-host", []string{"-:authority"}},
		{"host", []string{":authority: "}},
		{"host", []string{":authority: u@a.example"}},
		{"host", []string{":authority: a.example/x"}},
		{"host", []string{":authority: a.example, b.example"}},
		{"host", []string{":authority: a b"}},
		{"host-repeated", []string{"host: a.example", "host: a.example"}},
		{"authority-host", []string{"host: b.example"}},
		{"authority-host", []string{"host: a.example:443"}},
		{"cl", []string{"content-length: -1"}},
		{"cl", []string{"content-length: 0, 0"}},
		{"cl-repeated", []string{"content-length: 0", "content-length: 0"}},
		{"cl-mismatch", []string{"content-length: 1"}},
	} {
		t.Run(fmt.Sprint(row.word, row.lines), func(t *testing.T) {
			t.Parallel()
			var w words
			c := greet(t, &http2.Server{Handler: unreachable(t), Lane: noLane{t}, Rejected: w.rejected})
			c.wantReset(c.get(row.lines...), h2.ErrCodeProtocol)
			if got := w.all(); got != "400 "+row.word {
				t.Errorf("got the word %q, want %q", got, row.word)
			}
		})
	}
}

func unreachable(t *testing.T) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %q has reached the handler", r.Method, r.RequestURI)
	})
}

// Refusals that the client is told more about than that.
func TestRefusedWithAStatus(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	many := slices.Repeat([]string{"x: 1"}, 201)
	for status, lines := range map[string][]string{
		"414 target-too-long": {":path: /" + long + long + long},
		"431 head-too-large":  {"a: " + long, "b: " + long, "c: " + long, "d: " + long, "e: " + long, "f: " + long, "g: " + long, "h: " + long},
		"431 too-many-fields": many,
		"417 expect":          {"expect: tea"},
	} {
		t.Run(status, func(t *testing.T) {
			var w words
			c := greet(t, &http2.Server{Handler: unreachableBut(t, "/after"), Rejected: w.rejected})
			for range 2 { // with a body to come, and without
				id := c.next
				c.next += 2
				writeBlock(c, id, c.next%4 == 1, slices.Clone(c.encode(lines...)))
				a := c.answerTo(id)
				if len(a.heads) != 1 || !strings.HasPrefix(a.heads[0], ":status: "+status[:3]+"\n") {
					t.Fatalf("got %+v", a)
				}
			}
			// The table of the decoder is what the client thinks it is.
			a := c.answerTo(c.get(":path: /after", "x-new: 1", "x-new: 1"))
			if len(a.heads) != 1 || a.reset {
				t.Fatalf("got %+v", a)
			}
			if got := w.all(); got != status+", "+status {
				t.Errorf("got the words %q", got)
			}
		})
	}
}

func unreachableBut(t *testing.T, path string) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("%.100q has reached the handler", r.RequestURI)
		}
	})
}

// writeBlock sends a header block in frames of the largest size.
func writeBlock(c *client, id uint32, end bool, block []byte) {
	first := block[:min(len(block), 16384)]
	block = block[len(first):]
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0})
	for len(block) > 0 {
		part := block[:min(len(block), 16384)]
		block = block[len(part):]
		c.WriteContinuation(id, len(block) == 0, part)
	}
}

func TestRequestAsTheHandlerSeesIt(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d.%d host=%s url=%s%s?%s uri=%s length=%d body=%q err=%v header=%v trailer=%v tls=%v", r.Method, r.Proto, r.ProtoMajor,
			r.ProtoMinor, r.Host, r.URL.Host, r.URL.Path, r.URL.RawQuery, r.RequestURI, r.ContentLength, body, err, r.Header, r.Trailer, r.TLS != nil)
	})
	c := greet(t, &http2.Server{Handler: h})
	for _, row := range []struct {
		lines    []string
		body     []string
		trailers []string
		want     string
	}{
		{[]string{"x-a: 1", "x-A: 2"}[:1], nil, nil, `GET HTTP/2.0 2.0 host=a.example url=/? uri=/ length=0 body="" err=<nil> header=map[X-A:[1]] trailer=map[] tls=false`},
		{[]string{"cookie: a=1", "x: 1", "cookie: b=2", "cookie: c=3"}, nil, nil, `GET HTTP/2.0 2.0 host=a.example url=/? uri=/ length=0 body="" err=<nil> header=map[Cookie:[a=1; b=2; c=3] X:[1]] trailer=map[] tls=false`},
		{[]string{"-:authority", ":path: /%41?q=1", "host: b.example:80"}, nil, nil, `GET HTTP/2.0 2.0 host=b.example:80 url=/A?q=1 uri=/%41?q=1 length=0 body="" err=<nil> header=map[] trailer=map[] tls=false`},
		{[]string{"host: A.EXAMPLE:80", "te: trailers"}, nil, nil, `GET HTTP/2.0 2.0 host=a.example url=/? uri=/ length=0 body="" err=<nil> header=map[Te:[trailers]] trailer=map[] tls=false`},
		{[]string{":method: OPTIONS", ":path: *"}, nil, nil, `OPTIONS HTTP/2.0 2.0 host=a.example url=*? uri=* length=0 body="" err=<nil> header=map[] trailer=map[] tls=false`},
		{[]string{":method: POST", "content-length: 5"}, []string{"he", "", "llo"}, nil, `POST HTTP/2.0 2.0 host=a.example url=/? uri=/ length=5 body="hello" err=<nil> header=map[Content-Length:[5]] trailer=map[] tls=false`},
		{[]string{":method: POST"}, []string{"he", "llo"}, nil, `POST HTTP/2.0 2.0 host=a.example url=/? uri=/ length=-1 body="hello" err=<nil> header=map[] trailer=map[] tls=false`},
		{[]string{":method: POST", "trailer: x-sum, host"}, []string{"hello"}, []string{"x-sum: 7", "x-other: 8", "authorization: no"}, `POST HTTP/2.0 2.0 host=a.example url=/? uri=/ length=-1 body="hello" err=<nil> header=map[] trailer=map[X-Other:[8] X-Sum:[7]] tls=false`},
	} {
		id := c.request(row.body == nil, row.lines...)
		for i, p := range row.body {
			c.WriteDataPadded(id, i == len(row.body)-1 && row.trailers == nil, []byte(p), make([]byte, i))
		}
		if row.trailers != nil {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.raw(row.trailers...), EndHeaders: true, EndStream: true})
		}
		if a := c.answerTo(id); a.body != row.want {
			t.Errorf("%q: got  %+v\nwant %s", row.lines, a, row.want)
		}
	}
}

// Content that is not as long as content-length says is never whole to the handler.
func TestContentLengthMismatch(t *testing.T) {
	for name, send := range map[string]func(c *client, id uint32){
		"short":        func(c *client, id uint32) { c.WriteData(id, true, []byte("ab")) },
		"long":         func(c *client, id uint32) { c.WriteData(id, false, []byte("abcd")) },
		"long at once": func(c *client, id uint32) { c.WriteData(id, true, []byte("abcd")) },
		"short with trailers": func(c *client, id uint32) {
			c.WriteData(id, false, []byte("ab"))
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.raw("x: 1"), EndHeaders: true, EndStream: true})
		},
		"pseudo in trailers": func(c *client, id uint32) {
			c.WriteData(id, false, []byte("abc"))
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.raw(":path: /"), EndHeaders: true, EndStream: true})
		},
		"trailers that do not end": func(c *client, id uint32) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.raw("x: 1"), EndHeaders: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			errs := make(chan error, 1)
			c := greet(t, &http2.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				errs <- err
			})})
			id := c.request(false, ":method: POST", "content-length: 3")
			send(c, id)
			c.wantReset(id, h2.ErrCodeProtocol)
			if err := <-errs; err != io.ErrUnexpectedEOF {
				t.Errorf("the handler got %v", err)
			}
		})
	}
}
