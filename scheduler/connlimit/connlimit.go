// Package connlimit bounds how many connections a listener hands out, in all and
// for each source, so that nobody can use up the process's memory or keep the
// others out. A connection too many is closed at once and counted.
//
// It is not for limiting requests.
package connlimit

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/clientip"
)

// Limits are the bounds of a listener.
type Limits struct {
	// Total is how many connections may be open. Zero allows none.
	Total int
	// PerSource is how many of them one source may have: an IPv4 address or an IPv6
	// /64, which is what one host is usually given. Zero allows none.
	PerSource int
	// Open shows how many are open. Required.
	Open prometheus.Gauge
	// Refused counts those that were closed at once. Required.
	Refused prometheus.Counter
}

// Listen returns l with limits. Closing it closes l.
func Listen(l net.Listener, limits Limits) net.Listener {
	return &listener{Listener: l, limits: limits, open: make(map[netip.Addr]int)}
}

type listener struct {
	net.Listener

	limits Limits

	mu    sync.Mutex         // guards the following
	total int                // the sum of open
	open  map[netip.Addr]int // connections by source; at most limits.Total entries
}

// Accept returns the next connection that is within the limits.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := clientip.Of(c.RemoteAddr())
		if l.admit(source) {
			return &conn{Conn: c, release: sync.OnceFunc(func() { l.release(source) })}, nil
		}
		l.limits.Refused.Inc()
		c.Close() //nolint:errcheck // nothing was said on it
	}
}

func (l *listener) admit(source netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.limits.Total || l.open[source] >= l.limits.PerSource {
		return false
	}
	l.total++
	l.open[source]++
	l.limits.Open.Inc()
	return true
}

func (l *listener) release(source netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[source]--; l.open[source] == 0 {
		delete(l.open, source)
	}
	l.limits.Open.Dec()
}

// conn tells the listener when it is closed.
type conn struct {
	net.Conn

	release func()
}

// Close closes the connection.
func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}

// CloseWrite closes the sending side only, as net/http does so that a client still
// gets the answer to a request that was not read to its end.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
