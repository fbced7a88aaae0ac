package httpfront

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"nearcast/internal/netfirst"
	"nearcast/internal/web/front"
	"nearcast/internal/web/http1"
	"nearcast/internal/web/http2"
	"nearcast/internal/web/tlscert"
)

// protocolDoT is the name of DNS over TLS in ALPN.
const protocolDoT = "dot"

// stuck is for how long nothing of an answer moves until it counts for nothing where all connections are taken. Answers are short.
const stuck = 2 * time.Second

// Server redirects visitors and answers DNS over HTTPS.
type Server struct {
	cfg          Config
	log          *slog.Logger
	front        *front.Server
	certificates *tlscert.Keeper // nil without TLS
	plain        net.Listener    // nil if there is none
	secure       []net.Listener
	metrics      *metrics
	jobs         sync.Pool // of *job
	dates        dates
}

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log}
	s.jobs.New = func() any { return s.newJob() }
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("HTTP front: %w", err)
	}
	s.metrics = newMetrics(cfg.Registry, s.front, s.certificates)
	return s, nil
}

// open makes the front and listens.
func (s *Server) open() error {
	s.makeFront()
	if len(s.cfg.TLSAddrs) > 0 {
		if err := s.openTLS(); err != nil {
			return err
		}
	}
	if s.cfg.Addr != "" {
		l, err := listen(s.cfg.Addr)
		if err != nil {
			return err
		}
		s.plain = l
	}
	for _, addr := range s.cfg.TLSAddrs {
		l, err := listen(addr)
		if err != nil {
			s.closeListeners()
			return err
		}
		s.secure = append(s.secure, l)
	}
	if s.plain == nil && len(s.secure) == 0 {
		return errors.New("there is no address to listen on")
	}
	return nil
}

func listen(addr string) (net.Listener, error) {
	// Idle connections end by their own time-outs; the kernel's probes would cost four system calls each.
	return (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", addr)
}

func (s *Server) closeListeners() {
	for _, l := range append(s.secure, s.plain) {
		if l != nil {
			l.Close() //nolint:errcheck // there is nothing to lose in a listener
		}
	}
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Connections: cmp.Or(l.Connections, 20_000),
		PerClient:   cmp.Or(l.PerClient, 2_000),
		HeaderBytes: cmp.Or(l.HeaderBytes, 32<<10),
		HeaderTime:  cmp.Or(l.HeaderTime, 5*time.Second),
		IdleTime:    cmp.Or(l.IdleTime, 30*time.Second),
		Stall:       cmp.Or(l.Stall, 10*time.Second),
		Drain:       cmp.Or(l.Drain, time.Second),
	}
}

// makeFront makes what accepts connections.
func (s *Server) makeFront() {
	lim, crowd := s.cfg.Limits.withDefaults(), netfirst.NewCrowd()
	rejected := func(_ net.Addr, _ int, reason string) { s.metrics.rejected.WithLabelValues(reason).Inc() }
	panicked := func(any) { s.metrics.panics.Inc() }
	s.front = &front.Server{
		HTTP1: &http1.Server{
			Handler: s, Lane: visitors{s}, Log: s.log, Rejected: rejected, Panicked: panicked, Crowd: crowd,
			Limits: http1.Limits{
				HeaderBytes: lim.HeaderBytes, HeaderTime: lim.HeaderTime, IdleTime: lim.IdleTime, Stall: lim.Stall, Drain: lim.Drain,
			},
		},
		HTTP2: &http2.Server{
			Handler: s, Lane: visitors{s}, LaneContent: maxInLane, Log: s.log, Rejected: rejected, Panicked: panicked, Crowd: crowd,
			Abused: func(_ net.Addr, reason string) { s.metrics.abused.WithLabelValues(reason).Inc() },
			Limits: http2.Limits{
				HeaderBytes: lim.HeaderBytes, HeaderTime: lim.HeaderTime, IdleTime: lim.IdleTime, Stall: lim.Stall, Drain: lim.Drain,
			},
		},
		Limits:  front.Limits{Connections: lim.Connections, PerClient: min(lim.PerClient, lim.Connections), Stuck: stuck},
		Log:     s.log,
		Refused: func(limit string) { s.metrics.refused.WithLabelValues(limit).Inc() },
		Lost:    func(reason string) { s.metrics.lost.WithLabelValues(reason).Inc() },
	}
}

// openTLS reads the certificates.
func (s *Server) openTLS() error {
	if len(s.cfg.Certificates) == 0 {
		return errors.New("TLS needs a certificate and its key, and none is given")
	}
	var err error
	if s.certificates, err = tlscert.Open(tlscert.Options{Log: s.log}, s.cfg.Certificates...); err != nil {
		return err //nolint:wrapcheck // New does
	}
	lim, protocols := s.cfg.Limits.withDefaults(), front.Protocols()
	if s.cfg.ServeStream != nil {
		protocols = append(protocols, protocolDoT)
		s.front.Other = &front.Protocol{Name: protocolDoT, Begins: beginsDNS, Serve: s.cfg.ServeStream}
	}
	s.front.Gate = tlscert.NewGate(tlscert.GateOptions{Timeout: lim.HeaderTime, Log: s.log})
	s.front.TLS = s.certificates.Config(tlscert.ConfigOptions{Protocols: protocols})
	return nil
}

// beginsDNS reports whether an octet is the first of a DNS message over a stream: that is of its length, and with less than 0x20 the message is
// shorter than 8 KiB, as all queries are. A request of HTTP begins with a letter.
func beginsDNS(first byte) bool { return first < 0x20 }

// Addr returns where the server listens in cleartext, or nil if it does not.
func (s *Server) Addr() net.Addr {
	if s.plain == nil {
		return nil
	}
	return s.plain.Addr()
}

// TLSAddrs returns where the server listens with TLS, in the order of the Config.
func (s *Server) TLSAddrs() []net.Addr {
	addrs := make([]net.Addr, 0, len(s.secure))
	for _, l := range s.secure {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Run serves until ctx ends and answers under way are done, which may take a second.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	failed := make(chan error, len(s.secure)+1)
	serve := func(l net.Listener, secure bool) {
		tasks.Go(func() { failed <- s.front.Serve(ctx, l, secure) })
	}
	n := len(s.secure)
	if s.plain != nil {
		serve(s.plain, false)
		n++
	}
	for _, l := range s.secure {
		serve(l, true)
	}
	if s.certificates != nil {
		tasks.Go(func() { s.certificates.Watch(ctx) })
	}
	var first error
	for range n {
		if err := <-failed; first == nil {
			first = err
		}
		cancel() // one that fails ends the others
	}
	return first
}

// Close closes a server that is not to run.
func (s *Server) Close() { s.closeListeners() }
