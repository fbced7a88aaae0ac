// Package udpbatch serves request and answer over UDP for the least processor time: as many sockets on one port as there are
// processors, each with a goroutine that takes a batch of packets with one system call, answers each, and sends the answers with another. Nothing
// is allocated for a packet. A socket without packets waits in the runtime's poller, so that nothing spins and nothing
// holds a processor. On a socket for all addresses an answer leaves from the address that was asked.
//
// It is not for conversations: the packets of one sender may be handled by any of the goroutines, in any order. On systems other than Linux there is one
// socket, one packet for each system call, and the kernel chooses the address that answers leave from.
//
// What was measured: threads that block in recvmmsg cost a quarter more than the poller, since the runtime's monitor wakes every 20 µs to take their
// processors away; two sockets on one processor cost a tenth more than one, since batches are half as long. So sockets that have no processor
// get no packets; see follow. Of what is left nearly all is the kernel's, four fifths of it in sending.
package udpbatch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Handler answers a packet: it returns the answer appended to dst, which is empty but may have room, or nil for silence. It must not keep dst nor
// packet, which may be changed. It is called by one goroutine at a time.
type Handler func(dst, packet []byte, from netip.AddrPort) []byte

// Config says where and how to serve.
type Config struct {
	// Addr is where to listen, host:port. Port zero takes a free one. Required.
	Addr string
	// Sockets is how many there are; zero means as many as GOMAXPROCS says.
	Sockets int
	// MaxPacket is the longest packet that is taken, in octets; zero means 4096. Longer ones are dropped and counted.
	MaxPacket int
	// Gather is for how long a socket that gets packets more often than every two Gathers, but few at a time, lets them come in before it takes
	// the next: batches get longer and cost less, and packets wait for up to Gather. Meanwhile the socket's goroutine
	// holds its processor as far as the runtime knows. Zero, for never, to 100 µs.
	Gather time.Duration
	// Buffer is how many octets of packets the kernel keeps for each socket, if it allows; zero means 4 MiB.
	Buffer int
}

const (
	defaultMaxPacket = 4096
	defaultBuffer    = 4 << 20
	answerRoom       = 2048 // octets for an answer until the handler has to allocate
)

// Stats are counts since Listen.
type Stats struct {
	// Packets were handled; Batches is how many system calls brought them.
	Packets, Batches uint64
	// Sent are answers that the kernel took, Unsent those that it did not.
	Sent, Unsent uint64
	// TooLong are packets that were dropped because they are longer than MaxPacket.
	TooLong uint64
	// Overflowed are packets that the kernel dropped because a socket's buffer was full, of sockets that are open. It is zero where the kernel does not say.
	Overflowed uint64
}

// Server is sockets that listen on one port. Run must be called once, or Close.
type Server struct {
	sockets []*socket
	addr    netip.AddrPort
	cfg     Config

	packets, batches, sent, unsent, tooLong atomic.Uint64
}

// Listen opens the sockets. A port that another socket has is an error.
func Listen(cfg Config) (*Server, error) {
	if cfg.MaxPacket == 0 {
		cfg.MaxPacket = defaultMaxPacket
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = defaultBuffer
	}
	sockets, addr, err := listen(cfg)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", cfg.Addr, err)
	}
	return &Server{sockets: sockets, addr: addr, cfg: cfg}, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Stats returns the counts. It may be called at any time.
func (s *Server) Stats() Stats {
	stats := Stats{
		Packets: s.packets.Load(), Batches: s.batches.Load(),
		Sent: s.sent.Load(), Unsent: s.unsent.Load(), TooLong: s.tooLong.Load(),
	}
	for _, c := range s.sockets {
		stats.Overflowed += uint64(c.overflowed())
	}
	return stats
}

// Run serves until ctx ends, and closes the sockets. Packets that were taken by then are answered. newHandler is called for each socket, by the
// goroutine that will call the handler.
func (s *Server) Run(ctx context.Context, newHandler func() Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		for _, c := range s.sockets {
			c.interrupt()
		}
	})
	defer stop()
	errs := make([]error, len(s.sockets))
	var wg sync.WaitGroup
	wg.Go(func() { s.follow(ctx) })
	for i, c := range s.sockets {
		wg.Go(func() {
			errs[i] = s.serve(ctx, c, newHandler())
			cancel() // one that has failed must not leave packets of its own unanswered for ever
		})
	}
	wg.Wait()
	return errors.Join(append(errs, s.Close())...)
}

// Close closes the sockets of a server that is never run.
func (s *Server) Close() error {
	var errs []error
	for _, c := range s.sockets {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
