package origin

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"nearcast/cdn"
)

const (
	// maxUpstreams bounds the connection pools that are kept. An edge without site
	// rules takes any Host, and each Host towards an https origin has its own.
	maxUpstreams = 256
	// upstreamIdle is how long an unused pool is kept.
	upstreamIdle = 10 * time.Minute
	// maxResponseHeader bounds a response's header, in octets.
	maxResponseHeader = 256 << 10
	// idlePerAddress and idleConn bound the connections kept for later.
	idlePerAddress = 128
	idleConn       = 60 * time.Second

	defaultConnectTimeout  = 3 * time.Second
	defaultResponseTimeout = 30 * time.Second
)

// settings are all that distinguishes one connection pool from another.
type settings struct {
	addresses         string // all of them, in order
	serverName        string // verified in the certificate; empty for cleartext or the address's host
	connect, response time.Duration
}

// pool holds the upstreams in use. An upstream that falls out lives on until its
// last response is read.
type pool struct {
	cfg     Config
	metrics *metrics

	mu        sync.Mutex // guards the following
	upstreams map[settings]*upstream
	swept     time.Time
	closed    bool
}

func newPool(cfg Config, m *metrics) *pool {
	return &pool{cfg: cfg, metrics: m, upstreams: make(map[settings]*upstream)}
}

// get returns the upstream for an exchange, made if need be.
func (p *pool) get(x *exchange, now time.Time) (*upstream, error) {
	s, addresses, err := settingsOf(x)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, cdn.Errorf(cdn.Unavailable, "", "the origin client is closed")
	}
	p.sweepLocked(now)
	up, ok := p.upstreams[s]
	if !ok {
		if len(p.upstreams) >= maxUpstreams {
			p.dropOldestLocked()
		}
		up = &upstream{addresses: addresses, transport: p.transport(s), responseTimeout: s.response}
		p.upstreams[s] = up
	}
	up.used = now
	return up, nil
}

// sweepLocked drops what has not been used for long, at most once a minute.
func (p *pool) sweepLocked(now time.Time) {
	if now.Sub(p.swept) < time.Minute {
		return
	}
	p.swept = now
	for s, up := range p.upstreams {
		if now.Sub(up.used) > upstreamIdle {
			p.dropLocked(s, up)
		}
	}
}

func (p *pool) dropOldestLocked() {
	var oldest settings
	var found *upstream
	for s, up := range p.upstreams {
		if found == nil || up.used.Before(found.used) {
			oldest, found = s, up
		}
	}
	p.dropLocked(oldest, found)
}

func (p *pool) dropLocked(s settings, up *upstream) {
	delete(p.upstreams, s)
	up.transport.CloseIdleConnections()
	p.metrics.dropped.Inc()
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, up := range p.upstreams {
		up.transport.CloseIdleConnections()
	}
	clear(p.upstreams)
}

// transport returns a connection pool that adds nothing to a request and hides
// nothing of a response.
func (p *pool) transport(s settings) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Protocols: &http1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.dial(ctx, network, address, s.connect)
		},
		TLSClientConfig:        &tls.Config{ServerName: s.serverName, RootCAs: p.cfg.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    s.connect,
		ResponseHeaderTimeout:  s.response,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConnsPerHost:    idlePerAddress,
		IdleConnTimeout:        idleConn,
		DisableCompression:     true, // content codings are the origin's and the visitor's
	}
}

// dial connects within the time given. A name with several IP addresses counts as
// one here: the dialer tries them all.
func (p *pool) dial(ctx context.Context, network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := p.cfg.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	p.metrics.connections.Inc()
	return &countedConn{Conn: conn, closed: sync.OnceFunc(p.metrics.connections.Dec)}, nil
}

// countedConn takes itself off the gauge of open connections.
type countedConn struct {
	net.Conn
	closed func()
}

// Close implements [net.Conn].
func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
