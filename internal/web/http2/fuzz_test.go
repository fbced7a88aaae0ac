package http2_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/web/http2"
)

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

// octets collects the frames of a client.
func octets(send func(c *client)) []byte {
	s := &script{in: bytes.NewReader(nil)}
	c := &client{nc: s, next: 1}
	c.Framer = h2.NewFramer(s, s)
	c.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.block)
	send(c)
	return bytes.Clone(s.out.Bytes())
}

// Whatever a client sends, the server does not fail, sends frames that another implementation can read, hands on
// requests that are well-formed only, tells the lane of each of its answers once, and returns.
func FuzzConnection(f *testing.F) {
	f.Add(octets(func(c *client) {
		c.get(":path: /hit/100")
		c.get(":path: /hit/100000", "priority: u=1, i")
		c.WriteWindowUpdate(3, 1000)
		c.request(false, ":method: POST", "content-length: 5")
		c.WriteDataPadded(5, false, []byte("he"), []byte{0})
		c.WriteData(5, true, []byte("llo"))
	}))
	f.Add(octets(func(c *client) {
		c.WriteSettings(window(0))
		c.get(":path: /hit/100")
		c.WriteSettings(window(1 << 20))
		c.WriteRSTStream(1, h2.ErrCodeCancel)
		c.WriteHeaders(h2.HeadersFrameParam{StreamID: 3, BlockFragment: c.encode("expect: 100-continue")[:5]})
		c.WriteContinuation(3, true, c.encode("expect: 100-continue")[5:])
		c.WriteHeaders(h2.HeadersFrameParam{StreamID: 3, BlockFragment: c.raw("x: 1"), EndHeaders: true, EndStream: true})
		c.WritePriorityUpdate(5, "u=0, i")
		c.WriteGoAway(0, h2.ErrCodeNo, nil)
	}))
	f.Add(octets(func(c *client) {
		c.request(false, ":method: POST", ":path: /hit/10", "content-length: 2")
		c.WriteData(1, true, []byte("he"))
		c.request(false, ":method: POST", ":path: /hit/10", "content-length: 3")
		c.WriteData(3, true, []byte("he"))
	}))
	for _, flood := range floods() {
		f.Add(octets(func(c *client) {
			flood.begin(c)
			for range 3 {
				flood.send(c)
			}
		}))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		hello := h2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
		conn := &script{in: bytes.NewReader(append([]byte(hello), p...))}
		l := new(testLane)
		s := &http2.Server{Lane: l, LaneContent: 100, Limits: http2.Limits{Hold: 1}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !wellFormed(r) {
				t.Errorf("the handler sees %s %q %q %v", r.Method, r.Host, r.RequestURI, r.Header)
			}
			io.Copy(w, r.Body)
		})}
		s.ServeConn(context.Background(), conn, nil)
		hits := 0
		for _, seen := range l.seen {
			if _, size, ok := strings.Cut(seen, " /hit/"); ok && '0' <= size[0] && size[0] <= '9' {
				hits++
			}
		}
		if len(l.sent) > len(l.seen) || hits < len(l.sent) {
			t.Errorf("the lane was asked %q and told %q", l.seen, l.sent)
		}
		fr := h2.NewFramer(nil, &conn.out)
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			if _, err := fr.ReadFrame(); err != nil {
				if err != io.EOF {
					t.Errorf("the server sends what cannot be read: %v", err)
				}
				return
			}
		}
	})
}

// wellFormed reports whether a request could be written in HTTP/1 and be read there as the same.
func wellFormed(r *http.Request) bool {
	bad := func(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
	for name, values := range r.Header {
		if name == "" || strings.ContainsAny(name, " \t:\r\n\x00") || slices.ContainsFunc(values, bad) {
			return false
		}
		switch name {
		case "Connection", "Transfer-Encoding", "Upgrade", "Host":
			return false
		}
	}
	return r.Method != "" && r.Host != "" && !strings.ContainsAny(r.Method+r.Host+r.RequestURI, " \t\r\n\x00") &&
		(r.RequestURI[0] == '/' || r.RequestURI == "*")
}

// Whatever fields are accepted, they are well-formed, and what is in them is what the handler sees.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		":method\nGET\n:scheme\nhttp\n:authority\na\n:path\n/", "host\na\n:path\n/", "cookie\na\ncookie\nb", "te\ntrailers", "x\n\r",
		"content-length\n0", "expect\n100-continue", "connection\nclose", ":path\n/\n:path\n/", "Host\na", "x\n a",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, complete bool) {
		var fields []hpack.HeaderField
		if complete {
			fields = append(fields, hpack.HeaderField{Name: ":method", Value: "GET"}, hpack.HeaderField{Name: ":scheme", Value: "http"},
				hpack.HeaderField{Name: ":authority", Value: "a"}, hpack.HeaderField{Name: ":path", Value: "/"})
		}
		parts := strings.Split(s, "\n")
		for i := 0; i+1 < len(parts); i += 2 {
			fields = append(fields, hpack.HeaderField{Name: parts[i], Value: parts[i+1]})
		}
		r, reason := http2.CheckFields(fields, http2.Limits{}, nil)
		if (r == nil) == (reason == "") {
			t.Fatalf("got %v and %q", r, reason)
		}
		if r == nil {
			return
		}
		if !wellFormed(r) {
			t.Fatalf("accepted %s %q %q %v", r.Method, r.Host, r.RequestURI, r.Header)
		}
		for _, f := range fields {
			if f.Name == strings.ToLower(f.Name) && !strings.HasPrefix(f.Name, ":") && f.Name != "host" && f.Name != "trailer" && f.Name != "cookie" &&
				!slices.Contains(r.Header.Values(f.Name), f.Value) {
				t.Fatalf("%q is lost: %v", f, r.Header)
			}
		}
	})
}
