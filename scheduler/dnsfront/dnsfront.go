package dnsfront

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/lograte"
	"nearcast/internal/netfirst"
	"nearcast/internal/seat"
	"nearcast/internal/udpbatch"
	"nearcast/scheduler/respond"
)

// gather is for how long a UDP socket lets queries come in that would be few at a time. Half the highest rate has to be answered within 1 ms.
const gather = 25 * time.Microsecond

// Responder answers a query: it returns the answer appended to dst, or nil for silence. It is used by one goroutine at a time, and must keep neither
// slice. An answer over UDP that is longer than what is left of dst costs an allocation.
type Responder = func(dst, query []byte, from respond.Peer) []byte

// Transfer answers a zone transfer (AXFR, IXFR) that came over a stream, with one message for each call of write, as a goroutine of its own. Messages go
// between other answers of the connection. It must return when ctx ends or write fails. The query is its own.
type Transfer = func(ctx context.Context, query []byte, from respond.Peer, write func(message []byte) error)

// Config says where the server listens and what it answers with.
type Config struct {
	// Addr is where to listen, host:port, UDP and TCP. Port zero takes a free one. Required.
	Addr string
	// NewResponder returns what answers: one for each socket, and some for streams. It may be called at any time, by many goroutines. Required.
	NewResponder func() Responder
	// Transfer answers zone transfers over streams. Nil has the responder answer them, as it does over UDP.
	Transfer Transfer
	// Connections is how many connections over TCP there may be. Default 4096; no more than a quarter of the files that
	// the process may open. When all are there the one that matters least is closed for a newcomer, see package seat.
	Connections int
	// Log gets failures of the sockets. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Server carries queries and answers.
type Server struct {
	log      *slog.Logger
	cfg      Config
	udp      *udpbatch.Server
	tcp      net.Listener
	room     *seat.Room       // of connections over TCP
	peers    netfirst.Yielder // who are connected
	metrics  *metrics
	desks    sync.Pool // of *desk
	transfer Transfer
	told     lograte.Limiter // of panics
	streams  atomic.Int32    // being served
	longer   atomic.Int64    // octets that they have beyond the usual for long queries
}

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	udp, tcp, err := listen(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	m := newMetrics(cfg.Registry, udp)
	room := seat.New(seat.Limits{
		Total: seat.Affordable(cmp.Or(cfg.Connections, maxConns), filesPart), PerClient: maxConnsPerClient,
		Stuck: writeTimeout, Lost: m.lost, Refused: m.refused, Log: cfg.Log,
	}, time.Now())
	m.showConnections(cfg.Registry, room)
	s := &Server{
		log:      cfg.Log,
		cfg:      cfg,
		udp:      udp,
		tcp:      tcp,
		room:     room,
		metrics:  m,
		transfer: cfg.Transfer,
	}
	s.desks.New = func() any { return &desk{guard: s.newGuard()} }
	return s, nil
}

// Addr returns where the server listens, UDP and TCP alike.
func (s *Server) Addr() netip.AddrPort { return s.udp.Addr() }

// Run serves until ctx ends. Answers under way are finished then, for at most the time that one write may take.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		s.tcp.Close() //nolint:errcheck // fails only if closed, which is as good
	})
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { s.accept(ctx) })
	err := s.udp.Run(ctx, s.handler)
	cancel()
	wg.Wait()
	if err != nil {
		return fmt.Errorf("DNS server: %w", err)
	}
	return nil
}

// handler returns what answers the packets of one socket.
func (s *Server) handler() udpbatch.Handler {
	g := s.newGuard()
	return func(dst, packet []byte, from netip.AddrPort) []byte {
		return g.answer(dst, packet, respond.Peer{Addr: from.Addr().WithZone(""), Transport: respond.UDP})
	}
}

// Close closes the sockets of a server that is never run.
func (s *Server) Close() error { return errors.Join(s.udp.Close(), s.tcp.Close()) }

// listen opens the sockets on one port.
func listen(addr string) (*udpbatch.Server, net.Listener, error) {
	var lc net.ListenConfig
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // New says what it is about
	}
	for try := 1; ; try++ {
		tcp, err := lc.Listen(context.Background(), "tcp", addr)
		if err != nil {
			return nil, nil, err //nolint:wrapcheck // as above
		}
		bound := tcp.Addr().(*net.TCPAddr).Port //nolint:errcheck // a TCP listener has no other
		udp, err := udpbatch.Listen(udpbatch.Config{Addr: net.JoinHostPort(host, strconv.Itoa(bound)), Gather: gather})
		if err == nil {
			return udp, tcp, nil
		}
		tcp.Close()                   //nolint:errcheck // the first error is the one to report
		if port != "0" || try == 10 { // a port that is free for TCP may be taken for UDP
			return nil, nil, err
		}
	}
}
