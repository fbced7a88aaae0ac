// Package wire is what the servers of both protocols know of the connection that they read and write: what it can do besides
// what [net.Conn] says, in itself or below its TLS, and what crypto/tls makes of a write.
//
// It is not for reading and writing: each server does that in its own way.
package wire

import (
	"crypto/tls"
	"net"
)

const (
	// RecordSize is the content of the largest TLS record (RFC 8446 section 5.1).
	RecordSize = 16 << 10
	// YoungRecord is less than fits into a record of a young connection: crypto/tls begins with records that fit into a
	// packet.
	YoungRecord = 1100
	// YoungOctets is more than a connection has sent when its records are no longer small.
	YoungOctets = 256 << 10
)

// lingerBytes is how much is read from a connection that is being ended.
const lingerBytes = 64 << 10

// Corker keeps the records of a large write, so that they go in one system call.
type Corker interface {
	Cork()
	Uncork() error
}

// Waiter is a connection that can wait without reading, and so without a buffer.
type Waiter interface{ WaitReadable() error }

// secured is a [*tls.Conn], or what is around one.
type secured interface {
	NetConn() net.Conn
	ConnectionState() tls.ConnectionState
}

// Below returns what lies under a connection's TLS, or the connection itself if it has none.
func Below(nc net.Conn) net.Conn {
	if t, ok := nc.(secured); ok {
		return t.NetConn()
	}
	return nc
}

// Linger reads and drops what a client still sends, until it ends, the read deadline is over or it is too much. A connection that
// is closed with octets unread takes with it what the client has not read yet (RFC 9112 section 9.6).
func Linger(nc net.Conn, buf []byte) {
	for left := lingerBytes; left > 0; {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}
