//go:build !linux

package udpbatch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

type socket struct{ *net.UDPConn }

// interrupt ends waiting for packets, now and later.
func (s *socket) interrupt() { s.SetReadDeadline(time.Unix(1, 0)) } //nolint:errcheck // fails only if closed, which is as good

func (s *socket) close() error { return s.Close() }

func (*socket) overflowed() uint32 { return 0 }

func listen(cfg Config) ([]*socket, netip.AddrPort, error) {
	addr, err := net.ResolveUDPAddr("udp", cfg.Addr)
	if err != nil {
		return nil, netip.AddrPort{}, err //nolint:wrapcheck // Listen says what it is about
	}
	c, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, netip.AddrPort{}, err //nolint:wrapcheck // as above
	}
	c.SetReadBuffer(cfg.Buffer)                                         //nolint:errcheck // the system has a smaller one then
	c.SetWriteBuffer(cfg.Buffer)                                        //nolint:errcheck // as above
	return []*socket{{c}}, c.LocalAddr().(*net.UDPAddr).AddrPort(), nil //nolint:errcheck // a UDP socket has no other
}

func (*Server) follow(context.Context) {}

// serve answers what comes to a socket until its deadline has passed.
func (s *Server) serve(ctx context.Context, c *socket, handle Handler) error {
	packet, room := make([]byte, s.cfg.MaxPacket+1), make([]byte, 0, answerRoom)
	for {
		n, from, err := c.ReadFromUDPAddrPort(packet)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the deadline of the end
			}
			return fmt.Errorf("receiving: %w", err)
		}
		s.batches.Add(1)
		s.packets.Add(1)
		if n > s.cfg.MaxPacket {
			s.tooLong.Add(1)
			continue
		}
		s.answer(c, handle(room, packet[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())), from)
	}
}

func (s *Server) answer(c *socket, answer []byte, to netip.AddrPort) {
	if len(answer) == 0 {
		return
	}
	if _, err := c.WriteToUDPAddrPort(answer, to); err != nil {
		s.unsent.Add(1)
		return
	}
	s.sent.Add(1)
}
