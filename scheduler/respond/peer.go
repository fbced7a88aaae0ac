package respond

import (
	"net/netip"
	"time"
)

// Transport is how a query came.
type Transport uint8

// The transports.
const (
	UDP   Transport = iota // a datagram, from whoever it says
	TCP                    // a stream: the peer has shown that it can receive
	TLS                    // DNS over TLS (RFC 7858)
	HTTPS                  // DNS over HTTPS (RFC 8484)
)

// String is the transport's name in metrics and logs: udp, tcp, tls or https.
func (t Transport) String() string {
	switch t {
	case UDP:
		return "udp"
	case TCP:
		return "tcp"
	case TLS:
		return "tls"
	case HTTPS:
		return "https"
	}
	return "other"
}

// Peer is who asks.
type Peer struct {
	// Addr is where the query came from, without a port and never IPv4 in IPv6; over HTTPS it may be what a trusted proxy says.
	Addr netip.Addr
	// Transport is how it came.
	Transport Transport
	// Idle is for how long the connection is kept after the answer if nothing else is asked over it, which a client that wants to know is told. Zero means 10 s.
	Idle time.Duration
}
