package front

import (
	"cmp"
	"net"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/rawtcp"
	"nearcast/internal/seat"
)

// Limits bound the connections of a Server. A field that is zero means its default.
type Limits struct {
	// Connections is how many connections there may be. Default 100,000. When all are there a newcomer gets the place
	// of the one that matters least, see package seat, or is closed at once if all others matter more. No more than
	// half of the files that the process may open.
	Connections int
	// PerClient is how many of them one client may have: an IPv4 address, or an IPv6 /64. Default half of
	// Connections: whole networks share an address, and one must not shut the others out. More are closed at once.
	PerClient int
	// Stuck is for how long nothing of an answer moves until a newcomer may have its connection's place. Default that
	// for which HTTP/1.1 waits for a client that takes nothing.
	Stuck time.Duration
}

// filesPart is of the files that the process may open the part that connections may be, which is one by this: each may want another one, to an origin.
const filesPart = 2

func (l Limits) withDefaults() Limits {
	l.Connections = seat.Affordable(cmp.Or(l.Connections, usualConnections), filesPart)
	l.PerClient = cmp.Or(l.PerClient, (l.Connections+1)/2)
	return l
}

// Capacity returns how many connections there may be.
func (s *Server) Capacity() int { return s.Limits.withDefaults().Connections }

const usualConnections = 100_000

// usualStall is that of HTTP/1.1.
const usualStall = time.Minute

// seats is the room that connections are in.
func (s *Server) seats() *seat.Room {
	s.once.Do(func() {
		lim := s.Limits.withDefaults()
		if wanted := cmp.Or(s.Limits.Connections, usualConnections); lim.Connections < wanted {
			s.logger().Warn("there can be fewer connections than there may be, which are half of the files that may be open: raise their limit, as with LimitNOFILE", "connections", lim.Connections, "wanted", wanted)
		}
		s.room = seat.New(seat.Limits{
			Total: lim.Connections, PerClient: lim.PerClient, Stuck: cmp.Or(lim.Stuck, s.HTTP1.Limits.Stall, usualStall),
			Lost: s.Lost, Refused: s.Refused, Log: s.logger(),
		}, time.Now())
	})
	return s.room
}

// Connections returns how many connections there are.
func (s *Server) Connections() int { return s.seats().Open() }

// admit gives a connection a seat, or closes it if there is none for it.
func (s *Server) admit(nc net.Conn) *seat.Seat {
	client := clientip.Of(nc.RemoteAddr())
	place := s.seats().Enter(client, nc, time.Now())
	if place == nil {
		nc.Close() //nolint:errcheck // nobody is left to be told
		return nil
	}
	if err := rawtcp.LimitUnsent(nc, unsentOf(s.Connections())); err != nil {
		s.logger().Debug("a connection has no bound for what the kernel holds", "client", client.String(), "error", err)
	}
	return place
}
