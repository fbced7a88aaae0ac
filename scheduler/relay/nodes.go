package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxTurns is how many nodes are tried.
const maxTurns = 2

// transport is the pool of connections to nodes.
func transport(roots *x509.CertPool) *http.Transport {
	dialer := net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext: dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			to := turnOf(ctx)
			d := tls.Dialer{NetDialer: &dialer, Config: &tls.Config{ServerName: to.domain, RootCAs: roots, MinVersion: tls.VersionTLS12}}
			return d.DialContext(ctx, network, to.at.String())
		},
		DisableCompression:     true,
		MaxConnsPerHost:        512,
		MaxIdleConns:           4096,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        60 * time.Second, // below a node's
		ResponseHeaderTimeout:  70 * time.Second, // above what a node waits for its own
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// turn is whom a connection is for.
type turn struct {
	at     netip.AddrPort
	domain string // that a node's certificate has to be for
}

type turnKey struct{}

func turnOf(ctx context.Context) turn {
	t, _ := ctx.Value(turnKey{}).(turn)
	return t
}

// turns asks the nodes of an errand in turn, until one answers.
type turns struct{ nodes *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t turns) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	r := errandOf(req.Context()).outcome.Relay
	for _, at := range r.Nodes[:min(len(r.Nodes), maxTurns)] {
		url := *req.URL
		url.Host = at.String()
		if r.Secure { // by node and domain: connections are for one domain each, and found again by this
			url.Scheme, url.Host = "https", strings.NewReplacer(":", "-", "[", "", "]", "").Replace(at.String())+"."+string(r.Target.Domain)
		}
		out := req.WithContext(context.WithValue(req.Context(), turnKey{}, turn{at, string(r.Target.Domain)}))
		out.URL = &url
		if resp, err = t.nodes.RoundTrip(out); err == nil {
			resp.Request = req
			return resp, nil
		}
		if req.Context().Err() != nil || !repeatable(req, err) {
			break
		}
	}
	return nil, err
}

// repeatable reports whether a request may be sent to somebody else: if it has not been sent, or changes nothing (RFC 9110 section 9.2.2). One
// with a content may have given it away.
func repeatable(req *http.Request, err error) bool {
	if req.Body != nil && req.Body != http.NoBody {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// bufferSize is how much of an answer is moved at once, in octets.
const bufferSize = 32 << 10

// buffers are those that answers are moved with; it implements [httputil.BufferPool].
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

// Get implements [httputil.BufferPool].
func (b *buffers) Get() []byte {
	p, _ := b.pool.Get().(*[bufferSize]byte)
	return p[:]
}

// Put implements [httputil.BufferPool].
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
