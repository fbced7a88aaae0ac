package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/visitors"
	"nearcast/internal/clientip"
	"nearcast/internal/netfirst"
	"nearcast/internal/web/front"
	"nearcast/internal/web/http1"
	"nearcast/internal/web/http2"
	"nearcast/internal/web/tlscert"
)

// Limits bound what visitors can hold, and for how long. A field that is zero means its default. The limits that are not here
// are those of [http1.Limits] and [http2.Limits].
type Limits struct {
	// Connections is how many connections there may be. Default 100,000. More are closed at once.
	Connections int
	// ConnectionsPerClient is how many of them an IPv4 address or an IPv6 /64 may have. Default half of Connections.
	ConnectionsPerClient int
	// Handshakes is how many TLS handshakes may be under way. Default 10,000. The oldest makes room.
	Handshakes int
	// HandshakesPerClient is how many of them one client may have. Default 1,000.
	HandshakesPerClient int
	// Streams is how many requests may be under way on one connection of HTTP/2. Default 128.
	Streams int
	// Fills is how many fetches into the cache may run at the same time. Default 4,096. Requests that need another are answered
	// from what is stored, if that may be stale, or with 503.
	Fills int
	// FillsPerClient is how many of them may have been started for one IPv4 address or IPv6 /64. Default a quarter of Fills.
	FillsPerClient int
	// HeaderBytes is the largest head of a request in octets. Default 64 KiB.
	HeaderBytes int
	// HeaderTime is how long a request's head may take, and a TLS handshake. Default 10 s.
	HeaderTime time.Duration
	// IdleTime is how long a connection may wait for a request. Default 75 s.
	IdleTime time.Duration
	// Stall is how long the visitor may send nothing of a body, or take nothing of a response. Default 60 s.
	Stall time.Duration
	// MinRate is how many octets of a body a visitor has to send in a second, on average. Default 500.
	MinRate int
}

// openFront makes what accepts visitors' connections.
func (s *Server) openFront() error {
	lim, crowd := s.cfg.Limits, netfirst.NewCrowd()
	s.front = &front.Server{
		HTTP1: &http1.Server{
			Handler: s, Lane: hitLane{s}, Log: s.log, Rejected: s.rejected, Panicked: s.panicked, Crowd: crowd,
			Limits: http1.Limits{
				HeaderBytes: lim.HeaderBytes, HeaderTime: lim.HeaderTime, IdleTime: lim.IdleTime, Stall: lim.Stall,
				MinRate: lim.MinRate, Drain: drainTimeout,
			},
		},
		HTTP2: &http2.Server{
			Handler: s, Lane: hitLane{s}, Log: s.log, Rejected: s.rejected, Panicked: s.panicked, Crowd: crowd,
			Abused: func(_ net.Addr, reason string) { s.metrics.abused.WithLabelValues(reason).Inc() },
			Limits: http2.Limits{
				Streams: lim.Streams, HeaderBytes: lim.HeaderBytes, HeaderTime: lim.HeaderTime, IdleTime: lim.IdleTime, Stall: lim.Stall,
				MinRate: lim.MinRate, Drain: drainTimeout,
			},
		},
		Limits:  front.Limits{Connections: lim.Connections, PerClient: lim.ConnectionsPerClient},
		Watch:   s.watch,
		Log:     s.log,
		Refused: func(limit string) { s.metrics.connectionsRefused.WithLabelValues(limit).Inc() },
		Lost:    func(reason string) { s.metrics.connectionsLost.WithLabelValues(reason).Inc() },
	}
	if s.cfg.TLSAddr == "" {
		return nil
	}
	if len(s.cfg.Certificates) == 0 {
		return errors.New("Config.Certificates is missing; TLS needs a certificate and its key")
	}
	var err error
	s.certificates, err = tlscert.Open(tlscert.Options{Log: s.log, Now: s.cfg.Now}, s.cfg.Certificates...)
	if err != nil {
		return err
	}
	s.gate = tlscert.NewGate(tlscert.GateOptions{
		Timeout: lim.HeaderTime, Pending: lim.Handshakes, PerClient: lim.HandshakesPerClient, Log: s.log,
	})
	s.front.Gate = s.gate
	s.front.TLS = s.certificates.Config(tlscert.ConfigOptions{Protocols: front.Protocols(), Policy: s.ticketPolicy})
	return nil
}

// watch has what is done for a visitor's connection counted.
func (s *Server) watch(nc net.Conn) (watched any, leave func()) {
	c := s.visitors.Enter(nc)
	if c == nil {
		return nil, nil
	}
	return c, c.Leave
}

// visitorOf is the connection that watch has returned. It is nil, which counts nothing, if it has returned none.
func visitorOf(watched any) *visitors.Conn {
	c, _ := watched.(*visitors.Conn)
	return c
}

func (s *Server) panicked(any) { s.metrics.panics.Inc() }

// listen accepts visitors until ctx ends, and returns when the last request is over.
func (s *Server) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, s.close) // a tunnel has no end of its own to wait for
	defer stop()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	failed := make(chan error, 2)
	listeners := 0
	for _, l := range []struct {
		addr   string
		where  *atomic.Pointer[net.TCPAddr]
		secure bool
	}{{s.cfg.Addr, &s.addr, false}, {s.cfg.TLSAddr, &s.tlsAddr, true}} {
		if l.addr == "" {
			continue
		}
		// Idle connections end by their own time-outs; the kernel's probes would cost four system calls each.
		listener, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", l.addr)
		if err != nil {
			cancel()
			return err
		}
		if a, ok := listener.Addr().(*net.TCPAddr); ok {
			l.where.Store(a)
		}
		defer l.where.Store(nil)
		s.log.InfoContext(ctx, "serving", "addr", listener.Addr().String(), "tls", l.secure, "node", s.name, "version", s.cfg.Version)
		listeners++
		tasks.Go(func() { failed <- s.front.Serve(ctx, listener, l.secure) })
	}
	if listeners == 0 {
		return errors.New("there is no address to listen on")
	}
	if s.certificates != nil {
		tasks.Go(func() { s.certificates.Watch(ctx) })
	}
	var first error
	for range listeners {
		if err := <-failed; first == nil {
			first = err
		}
		cancel() // one that fails ends the other
	}
	return first
}

// ticketPolicy is what a TLS session ticket for a name is bound to, beside the certificate: the site, so that a session with
// one site is none with another.
func (s *Server) ticketPolicy(serverName string) string {
	t := s.tables.Load()
	if t == nil {
		return ""
	}
	host, err := cdn.ParseHost(serverName)
	if err != nil {
		return ""
	}
	site, _, ok := t.routes.Match(host)
	if !ok {
		return ""
	}
	return string(site.Name)
}

// misdirected reports whether a request for a host of a site came over a connection that was made for another (RFC 9110
// section 15.5.20): the name that TLS was spoken with is another, and either the certificate is not for both, or
// they are not of the same site.
func (s *Server) misdirected(t *tables, state *tls.ConnectionState, host cdn.Domain, site *cdn.Site) bool {
	if state == nil || s.certificates == nil {
		return false
	}
	if !s.certificates.Authority(state, string(host)) {
		return true
	}
	if state.ServerName == "" || state.ServerName == string(host) {
		return false
	}
	name, err := cdn.ParseHost(state.ServerName)
	if err != nil {
		return true
	}
	other, _, ok := t.routes.Match(name)
	return !ok || other != site
}

// rejected counts and records a request that was none.
func (s *Server) rejected(remote net.Addr, status int, reason string) {
	s.metrics.rejected.WithLabelValues(reason).Inc()
	now := s.now()
	s.records.add(&record{start: now, client: clientip.Text(remote.String()), status: status, cache: wordError, reason: reason}, now)
}
