package dnsfront

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/connlimit"
	"nearcast/scheduler/view"
)

// Config says where the server listens and what it answers from.
type Config struct {
	// Addr is where to listen, host:port, UDP and TCP. Port zero takes a free one.
	// Required.
	Addr string
	// View returns what to answer from. It is called once for each query and must
	// not wait. While it returns nil, every answer is SERVFAIL. Required.
	View func() *view.View
	// Log gets failures of the sockets. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Server answers queries.
type Server struct {
	log      *slog.Logger
	answerer answerer
	udp      *net.UDPConn
	tcp      net.Listener
	metrics  *metrics
}

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	m := newMetrics(cfg.Registry)
	udp, tcp, err := listen(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	return &Server{
		log:      cfg.Log,
		answerer: answerer{view: cfg.View, metrics: m},
		udp:      udp,
		tcp: connlimit.Listen(tcp, connlimit.Limits{
			Total: maxConns, PerSource: maxConnsPerSource, Open: m.connections, Refused: m.connectionsRefused,
		}),
		metrics: m,
	}, nil
}

// Addr returns where the server listens, UDP and TCP alike.
func (s *Server) Addr() netip.AddrPort { return s.udp.LocalAddr().(*net.UDPAddr).AddrPort() } //nolint:errcheck // a UDP socket has no other

// Run serves until ctx ends. Answers under way are finished then, for at most the
// time that one write may take.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.udp.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // fails only if closed, which is as good
		s.tcp.Close()                          //nolint:errcheck // as above
	})
	defer stop()
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() { s.serveUDP(ctx) })
	}
	wg.Go(func() { s.acceptTCP(ctx) })
	wg.Wait()
	return s.udp.Close()
}

// Close closes the sockets of a server that is never run.
func (s *Server) Close() error { return errors.Join(s.udp.Close(), s.tcp.Close()) }

// listen opens both sockets on one port.
func listen(addr string) (*net.UDPConn, net.Listener, error) {
	var lc net.ListenConfig
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	for try := 1; ; try++ {
		tcp, err := lc.Listen(context.Background(), "tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		bound := tcp.Addr().(*net.TCPAddr) //nolint:errcheck // a TCP listener has no other
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: bound.IP, Port: bound.Port, Zone: bound.Zone})
		if err == nil {
			err = answerFromDestination(udp)
		}
		if err == nil {
			return udp, tcp, nil
		}
		tcp.Close()                      //nolint:errcheck // the first error is the one to report
		if want.Port != 0 || try == 10 { // a port that is free for TCP may be taken for UDP
			return nil, nil, err
		}
	}
}
