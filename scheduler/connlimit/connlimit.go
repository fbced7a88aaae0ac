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
	"nearcast/internal/fairshare"
)

// Limits are the bounds of a listener.
type Limits struct {
	// Total is how many connections may be open. Zero allows none.
	Total int
	// PerSource is how many of them one source may have: an IPv4 address or an IPv6
	// /64, which is what one host is usually given. While most are taken it is less,
	// see [fairshare]. Zero allows none.
	PerSource int
	// Open shows how many are open. Required.
	Open prometheus.Gauge
	// Refused counts those that were closed at once. Required.
	Refused prometheus.Counter
}

// Listen returns l with limits. Closing it closes l.
func Listen(l net.Listener, limits Limits) net.Listener {
	return &listener{Listener: l, limits: limits, places: fairshare.New(limits.Total, limits.PerSource)}
}

type listener struct {
	net.Listener

	limits Limits
	places *fairshare.Places
}

// Accept returns the next connection that is within the limits.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if release, ok := l.admit(clientip.Of(c.RemoteAddr())); ok {
			return &conn{Conn: c, release: release}, nil
		}
		l.limits.Refused.Inc()
		c.Close() //nolint:errcheck // nothing was said on it
	}
}

// admit counts a connection, and returns what to do when it is closed.
func (l *listener) admit(source netip.Addr) (release func(), ok bool) {
	let, ok := l.places.Take(source, "")
	if !ok {
		return nil, false
	}
	l.limits.Open.Inc()
	return sync.OnceFunc(func() {
		let()
		l.limits.Open.Dec()
	}), true
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
