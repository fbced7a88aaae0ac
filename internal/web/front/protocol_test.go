package front_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"nearcast/internal/web/front"
	"nearcast/internal/web/http1"
)

// TestOther: another protocol is known by its name, or by how it begins where no name is said; HTTP beside it is as ever.
func TestOther(t *testing.T) {
	s, roots := newServer(t)
	s.TLS.NextProtos = append(s.TLS.NextProtos, "echo")
	s.Other = &front.Protocol{Name: "echo", Begins: func(b byte) bool { return b == 0 }, Serve: func(ctx context.Context, nc net.Conn) {
		defer nc.Close()
		stop := context.AfterFunc(ctx, func() { nc.Close() })
		defer stop()
		io.Copy(nc, nc)
	}}
	addr := start(t, s, true)
	const get = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
	for name, test := range map[string]struct {
		protocols []string
		say, want string
	}{
		"named":            {[]string{"echo"}, "hello", "hello"},
		"begins":           {nil, "\x00hello", "\x00hello"},
		"HTTP, named":      {[]string{"http/1.1"}, get, "HTTP/1.1 200 OK"},
		"HTTP, not named":  {nil, get, "HTTP/1.1 200 OK"},
		"begins, but HTTP": {[]string{"http/1.1"}, "\x00hello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pieces := range [][]string{{test.say}, {test.say[:1], test.say[1:]}} {
				c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: test.protocols})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				for _, p := range pieces {
					io.WriteString(c, p)
				}
				got := make([]byte, len(test.want))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != test.want {
					t.Errorf("%q in %d pieces: %q (%v), want %q", test.say, len(pieces), got, err, test.want)
				}
			}
		})
	}
}

// TestUnnamedKeepsAlive: whoever says no protocol may still send one request after the other, with pauses.
func TestUnnamedKeepsAlive(t *testing.T) {
	s, roots := newServer(t)
	s.Other = &front.Protocol{Name: "echo", Begins: func(byte) bool { return false }}
	c, err := tls.Dial("tcp", start(t, s, true), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n")
		var got []byte
		for !slices.Equal(got[max(len(got)-4, 0):], []byte("\r\n\r\n")) {
			p := make([]byte, 1)
			if _, err := io.ReadFull(c, p); err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
		}
		<-time.After(300 * time.Millisecond) // longer than a connection keeps its buffers
	}
}

// TestUnnamedSilence: who says nothing is not waited for longer than for a request, nor when the server ends.
func TestUnnamedSilence(t *testing.T) {
	s, roots := newServer(t)
	s.HTTP1.Limits = http1.Limits{IdleTime: 50 * time.Millisecond}
	s.Other = &front.Protocol{Name: "echo", Begins: func(byte) bool { return true }, Serve: func(context.Context, net.Conn) { t.Error("served") }}
	addr := start(t, s, true)
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Error(fmt.Sprint(n, " octets for nothing"))
	}
	s2, roots := newServer(t)
	s2.Other = s.Other
	c2, err := tls.Dial("tcp", start(t, s2, true), &tls.Config{RootCAs: roots, ServerName: "example.com"}) // the end of the test does not wait
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c2.Close() })
}
