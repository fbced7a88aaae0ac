package dnsfront

import (
	"context"
	"net"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// maxQuery is the longest query that is read from UDP, in octets. Real ones are
// shorter than 512; what is cut off makes a longer one malformed.
const maxQuery = 4096

// answerFromDestination has the kernel say to which of this machine's addresses a
// query was sent. On a socket for all addresses the answer could otherwise leave
// from another one, and the resolver would drop it.
func answerFromDestination(conn *net.UDPConn) error {
	if !conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() { //nolint:errcheck // a UDP socket has no other
		return nil
	}
	err6 := ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	err4 := ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	if err6 != nil && err4 != nil { // one of the two is not this socket's family
		return err4
	}
	return nil
}

// serveUDP answers queries one after the other until the read deadline of the end.
// There is one goroutine of it for each processor and none for each query: what
// they cannot take stays in the socket's buffer, which the kernel bounds.
func (s *Server) serveUDP(ctx context.Context) {
	buf := make([]byte, maxQuery)
	for {
		n, session, err := dns.ReadFromSessionUDP(s.udp, buf)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			s.log.WarnContext(ctx, "reading DNS queries", "error", err)
			pause(ctx)
			continue
		}
		from := session.RemoteAddr().(*net.UDPAddr).AddrPort().Addr().Unmap() //nolint:errcheck // a UDP socket has no other
		reply := s.answerer.respond(buf[:n], from, true)
		if reply == nil {
			continue
		}
		if _, err := dns.WriteToSessionUDP(s.udp, reply, session); err != nil {
			s.metrics.dropped.WithLabelValues("write").Inc()
		}
	}
}

// pause keeps a socket that fails from filling the log and the processor.
func pause(ctx context.Context) {
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
