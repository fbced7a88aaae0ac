package httpfront

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/web/tlscert"
	"nearcast/scheduler/querylog"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/view"
)

// Config says where the server listens and what it answers from. At least one address is required.
type Config struct {
	// Addr is where to listen in cleartext, host:port. Empty means not to.
	Addr string
	// TLSAddrs are where to listen with TLS, host:port. What is spoken there is HTTP/2, HTTP/1.1 or DNS over TLS, as the client says by ALPN (h2,
	// http/1.1, dot), and without ALPN what its first octet says.
	TLSAddrs []string
	// Certificates are files with certificates and keys, read again when they change. Required with TLSAddrs.
	Certificates []tlscert.Pair
	// View returns what to answer from. It is called once for each request and must
	// not wait. While it returns nil, visitors get 503. Required.
	View func() *view.View
	// Redirect says what a visitor's request is answered with: [redirect.Decide], with a key. It is called by many goroutines and must not wait;
	// what the request points to may change when it has returned. Required.
	Redirect func(v *view.View, r *redirect.Request) redirect.Outcome
	// Relay answers a request whose outcome has a Relay, for a client. Required, unless there are no such outcomes.
	Relay func(w http.ResponseWriter, r *http.Request, client netip.Addr, o *redirect.Outcome)
	// NewResponder returns a function that answers DNS queries: it appends the answer to dst, or returns nil for what is no query. Each
	// is called by one goroutine at a time; they are kept and used again. Nil means that there is no DNS over HTTPS.
	NewResponder func() func(dst, query []byte, from respond.Peer) []byte
	// Resolve answers /resolve of hosts that are no site's. The RemoteAddr of its requests is the client's, be it that a trusted proxy says so.
	// Nil means that there is no such thing.
	Resolve http.Handler
	// ServeStream serves a connection of DNS over TLS until it is over, or ctx ends, and closes it. Nil: that is not spoken.
	ServeStream func(ctx context.Context, nc net.Conn)
	// Proxies returns the networks of those whose X-Forwarded-For and X-Forwarded-Proto are believed. v is not nil. Nil: nobody's are.
	Proxies func(v *view.View) []netip.Prefix
	// Limits bound what clients can hold.
	Limits Limits
	// QueryLog gets some of the requests of visitors; nil gets none. Questions of DNS are not among them: who answers those logs them.
	QueryLog *querylog.Log
	// Log gets the server's own errors. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Limits bound what clients can hold, and for how long. A field that is zero means its default.
type Limits struct {
	// Connections is how many connections there may be. Default 20,000; no more than half of the files that the process
	// may open. When all are there the one that matters least is closed for a newcomer, see package seat.
	Connections int
	// PerClient is how many of them an IPv4 address or an IPv6 /64 may have. Default 2,000: large networks share an address. More are closed
	// at once.
	PerClient int
	// HeaderBytes is the largest head of a request in octets. Default 32 KiB: a target of 16 KiB, the most there may be, and fields.
	HeaderBytes int
	// HeaderTime is how long a request's head may take, and a TLS handshake. Default 5 s.
	HeaderTime time.Duration
	// IdleTime is how long a connection may wait for a request. Default 30 s.
	IdleTime time.Duration
	// Stall is how long the client may send nothing of a content, or take nothing of an answer. Default 10 s.
	Stall time.Duration
	// Drain is how long requests under way may take when the server ends. Default 1 s.
	Drain time.Duration
}
