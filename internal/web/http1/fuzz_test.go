package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/internal/web/http1"
)

// seedStreams are the streams of the tables, without those that are only long: a
// fuzzer spends its time on making them shorter.
func seedStreams() (streams []string) {
	for _, s := range append(refusedHeads(), refusedFramings()...) {
		streams = append(streams, s.raw)
	}
	for _, s := range accepted() {
		streams = append(streams, s.raw)
	}
	for _, body := range badChunks() {
		streams = append(streams, post(inChunks)+body)
	}
	return slices.DeleteFunc(streams, func(s string) bool { return len(s) > 1000 })
}

// Whatever head is accepted, the reference accepts, and both agree on what it says. How it
// comes in makes no difference.
func FuzzHead(f *testing.F) {
	for i, s := range seedStreams() {
		f.Add([]byte(s), i)
	}
	f.Fuzz(func(t *testing.T, p []byte, split int) {
		got, size, reason := http1.ParseHead(p, len(p), http1.Limits{})
		part := int(uint(split) % uint(len(p)+1))
		got2, size2, reason2 := http1.ParseHead(p, part, http1.Limits{})
		if size2 != size || (got2 == nil) != (got == nil) || (reason2 == "") != (reason == "") {
			t.Fatalf("split at %d it is read as %v %q, else as %v %q", part, got2, reason2, got, reason)
		}
		if got == nil {
			return
		}
		want, ok := refHead(string(p))
		if !ok || want.size != size {
			t.Fatalf("accepted %q, %d octets; the reference: %v, %d", p, size, ok, want.size)
		}
		if got.Method != want.method || got.RequestURI != want.target || got.ProtoMinor != want.minor {
			t.Fatalf("got %s %s 1.%d, want %s %s 1.%d", got.Method, got.RequestURI, got.ProtoMinor, want.method, want.target, want.minor)
		}
		header := http.Header{}
		for _, f := range want.fields {
			switch name := textproto.CanonicalMIMEHeaderKey(f[0]); name {
			case "Host", "Transfer-Encoding", "Trailer":
			default:
				header[name] = append(header[name], f[1])
			}
		}
		if diff := cmp.Diff(header, got.Header, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the fields differ (-reference +got):\n%s", diff)
		}
	})
}

// The chunked reader and the reference agree, however the octets come in.
func FuzzChunked(f *testing.F) {
	for _, s := range seedStreams() {
		if _, body, ok := strings.Cut(s, "\r\n\r\n"); ok {
			f.Add([]byte(body), 3)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte, window int) {
		limits := http1.Limits{ChunkExtension: 1 << 20, TrailerBytes: 1 << 20, Fields: 1 << 20}
		want, _, ok := refChunks(string(p))
		for _, src := range []io.Reader{bytes.NewReader(p), iotest.OneByteReader(bytes.NewReader(p))} {
			r := http1.NewChunkedReader(src, limits, http.Header{})
			var got bytes.Buffer
			buf := make([]byte, 1+uint(window)%5000)
			_, err := io.CopyBuffer(&got, struct{ io.Reader }{r}, buf)
			if (err == nil) != ok && len(p) < 60<<10 { // below the limit of framing
				t.Fatalf("%q: got error %v; the reference accepts it: %v", p, err, ok)
			}
			if err == nil && got.String() != want {
				t.Fatalf("%q: got %q, want %q", p, got.String(), want)
			}
			if err != nil && !http1.Malformed(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q: got error %v", p, err)
			}
		}
	})
}

// script is a connection on which a client has sent all it will ever send.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// A whole connection: each request that the handler sees is one that the reference sees, in the same
// order and with the same body, and each has one answer. A refusal is the last.
func FuzzConnection(f *testing.F) {
	for _, s := range seedStreams() {
		f.Add([]byte(s + evil))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		rest := string(p)
		var methods []string
		srv := &http1.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			methods = append(methods, r.Method)
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			m, ok := refHead(rest)
			if ok {
				m, ok = refBody(m, rest)
			}
			if !ok || m.method != r.Method || m.target != r.RequestURI || m.body != string(body) {
				t.Errorf("the handler sees %s %q with %q, the reference %v %+v", r.Method, r.RequestURI, body, ok, m)
			}
			rest = rest[min(m.size, len(rest)):]
			io.WriteString(w, "ok")
		})}
		srv.Rejected = func(net.Addr, int, string) { methods = append(methods, "") }
		conn := &script{in: bytes.NewReader(p)}
		srv.ServeConn(context.Background(), conn, nil)
		checkAnswers(t, &conn.out, methods)
	})
}

// checkAnswers fails the test unless out is one whole final answer to each method.
func checkAnswers(t *testing.T, out io.Reader, methods []string) {
	t.Helper()
	r := bufio.NewReader(out)
	for len(methods) > 0 {
		resp, err := http.ReadResponse(r, &http.Request{Method: methods[0]})
		if err != nil {
			t.Fatalf("reading the answer to %q: %v", methods[0], err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("the answer to %q is not whole: %v", methods[0], err)
		}
		if resp.StatusCode >= http.StatusOK {
			methods = methods[1:]
		}
	}
	if more, _ := io.ReadAll(r); len(more) > 0 {
		t.Fatalf("nobody asked for %q", more)
	}
}
