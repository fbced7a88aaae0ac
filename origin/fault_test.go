package origin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/origin"
)

// pipe returns a connection to an origin that reads one request, sends the answer
// and then says nothing more until the other side closes.
func pipe(t *testing.T, answer string) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		readRequest(far)
		io.WriteString(far, answer)
		io.Copy(io.Discard, far)
	}()
	return near
}

// cut is like pipe, but closes after the answer.
func cut(answer string) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		readRequest(far)
		io.WriteString(far, answer)
	}()
	return near
}

// readRequest reads a request's header.
func readRequest(conn net.Conn) {
	http.ReadRequest(bufio.NewReader(conn))
}

// TestHostileOrigin: faulty framing is an error and never a response; a body that
// ends early is an error and never a short body (RFC 9112 sections 6.3 and 8).
func TestHostileOrigin(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
	}{
		{"garbage", "220 mail.example ESMTP\r\n\r\n"},
		{"simple", "<html>"},
		{"version", "HTTP/9 200 OK\r\n\r\n"},
		{"status", "HTTP/1.1 abc OK\r\n\r\n"},
		{"lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello"},
		{"list", "HTTP/1.1 200 OK\r\nContent-Length: 3, 5\r\n\r\nhello"},
		{"negative", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"},
		{"signed", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"},
		{"coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"space", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"},
		{"name", "HTTP/1.1 200 OK\r\nContent Length: 5\r\n\r\nhello"},
		{"nul", "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\nhello"},
		{"cr", "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: x\r\n\r\nhello"},
		{"colonless", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nhello"},
		{"endless", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 300<<10)},
		{"fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 60<<10)},
		{"switch", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"},
		{"short", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"},
		{"chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, origin.Config{Dial: func(context.Context, string, string) (net.Conn, error) {
				return cut(tt.answer), nil
			}})
			_, body, err := get(t, c, &cdn.Origin{URLs: []string{"http://a:80"}}, "http://www.shop.example/")
			if cdn.KindOf(err) != cdn.Unavailable {
				t.Fatalf("body %q, error %v; want an error of kind unavailable", body, err)
			}
			if text := err.Error(); len(text) > 500 || !strings.HasPrefix(text, "origin http://a:80: ") {
				t.Errorf("error of %d octets, %.200q; want the address in front and not the origin's flood", len(text), text)
			}
		})
	}
}
