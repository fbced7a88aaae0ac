package front

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Protocol is one that shares a port with HTTP.
type Protocol struct {
	// Name is its name in ALPN (RFC 7301). It must be among those of the Server's TLS, too.
	Name string
	// Begins says of the first octet on a connection without ALPN whether it is the protocol's, which is no octet that a request of HTTP
	// begins with.
	Begins func(first byte) bool
	// Serve serves a connection until it is over, and closes it. When ctx ends, it has to come to an end.
	Serve func(ctx context.Context, nc net.Conn)
}

// peeked is a connection whose first octet has been looked at.
type peeked struct {
	*tls.Conn

	first [1]byte
	n     int // octets of first that are to be read again
}

// Read implements [net.Conn].
func (p *peeked) Read(b []byte) (int, error) {
	if p.n > 0 && len(b) > 0 {
		p.n = 0
		b[0] = p.first[0]
		return 1, nil
	}
	return p.Conn.Read(b) //nolint:wrapcheck // it is the connection's
}

// serveUnnamed serves a connection of which only its first octet says what it speaks.
func (s *Server) serveUnnamed(ctx context.Context, c *tls.Conn, state *tls.ConnectionState) {
	p := &peeked{Conn: c}
	if !p.look(ctx, cmp.Or(s.HTTP1.Limits.IdleTime, 75*time.Second)) {
		c.Close() //nolint:errcheck // nobody is left to be told
		return
	}
	if s.Other.Begins(p.first[0]) {
		s.Other.Serve(ctx, p)
		return
	}
	s.HTTP1.ServeConn(ctx, p, state)
}

// look waits for the first octet.
func (p *peeked) look(ctx context.Context, patience time.Duration) bool {
	p.SetReadDeadline(time.Now().Add(patience))                              //nolint:errcheck // Read tells
	stop := context.AfterFunc(ctx, func() { p.SetReadDeadline(time.Now()) }) //nolint:errcheck // likewise
	n, err := p.Conn.Read(p.first[:])
	if p.n = n; !stop() || err != nil || n == 0 {
		return false
	}
	return p.SetReadDeadline(time.Time{}) == nil
}
