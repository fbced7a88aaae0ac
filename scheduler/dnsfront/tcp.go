package dnsfront

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of TCP (RFC 7766 section 6).
const (
	maxConns          = 1024
	maxConnsPerSource = 64
	idleTimeout       = 10 * time.Second // from the last answer to the end of the next query
	writeTimeout      = 2 * time.Second
)

// acceptTCP serves connections until the listener is closed, and returns when
// the last one is done.
func (s *Server) acceptTCP(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := s.tcp.Accept()
		switch {
		case err == nil:
			wg.Go(func() { s.serveConn(ctx, conn) })
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.WarnContext(ctx, "accepting DNS connections", "error", err)
			pause(ctx)
		}
	}
}

// serveConn answers the queries of one connection in their order.
func (s *Server) serveConn(ctx context.Context, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // every answer was written or has failed
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // fails only if closed, which is as good
	})
	defer stop()
	from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	for {
		if err := conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil || ctx.Err() != nil {
			return // looked at after the deadline is set: the end may have come before
		}
		query, err := readMessage(conn)
		if err != nil {
			return
		}
		reply := s.answerer.respond(query, from.Addr().Unmap(), false)
		if reply == nil {
			return
		}
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return
		}
		if _, err := conn.Write(withLength(reply)); err != nil {
			s.metrics.dropped.WithLabelValues("write").Inc()
			return
		}
	}
}

// readMessage reads a message and its length in front (RFC 1035 section 4.2.2).
func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// withLength puts a message's length in front. Both go in one write, since some
// clients expect them in one segment (RFC 7766 section 8).
func withLength(msg []byte) []byte {
	out := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(msg)), uint16(len(msg))) //nolint:gosec // respond never makes more than 65535
	return append(out, msg...)
}
