package front

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/rawtcp"
)

// Limits bound the connections of a Server. A field that is zero means its default.
type Limits struct {
	// Connections is how many connections there may be. Default 100,000. More are closed at once.
	Connections int
	// PerClient is how many of them one client may have: an IPv4 address, or an IPv6 /64. Default half of
	// Connections: whole networks share an address, and one must not shut the others out.
	PerClient int
	// Fair makes that less once half of Connections are there: a sixteenth of what is left, so that a dozen clients that hold all they may do not shut the others out.
	Fair bool
}

// fairPart is of what is left the part that a client may have then, which is one by this.
const fairPart = 16

// perClient is how many a client may have while there are so many in all.
func (l *Limits) perClient(all int) int {
	if !l.Fair || 2*all < l.Connections {
		return l.PerClient
	}
	return min(l.PerClient, (l.Connections-all+fairPart-1)/fairPart)
}

// Capacity returns how many connections there may be.
func (s *Server) Capacity() int { return s.Limits.withDefaults().Connections }

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 100_000)
	l.PerClient = cmp.Or(l.PerClient, (l.Connections+1)/2)
	return l
}

// census counts the connections.
type census struct {
	mu      sync.Mutex // guards the following
	all     int
	clients map[netip.Addr]int
}

// enter counts a connection and returns how many there are, or returns the limit that it would exceed.
func (c *census) enter(client netip.Addr, lim Limits) (n int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.all >= lim.Connections:
		return c.all, "connections"
	case c.clients[client] >= lim.perClient(c.all):
		return c.all, "client-connections"
	}
	if c.clients == nil {
		c.clients = make(map[netip.Addr]int)
	}
	c.all++
	c.clients[client]++
	return c.all, ""
}

func (c *census) leave(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.clients[client]--; c.clients[client] == 0 {
		delete(c.clients, client)
	}
}

// Connections returns how many connections there are.
func (s *Server) Connections() int {
	s.census.mu.Lock()
	defer s.census.mu.Unlock()
	return s.census.all
}

// admit counts a connection, or closes it if there are too many.
func (s *Server) admit(nc net.Conn) (client netip.Addr, ok bool) {
	client = clientip.Of(nc.RemoteAddr())
	n, reason := s.census.enter(client, s.Limits.withDefaults())
	if reason == "" {
		if err := rawtcp.LimitUnsent(nc, unsentOf(n)); err != nil {
			s.logger().Debug("a connection has no bound for what the kernel holds", "client", client.String(), "error", err)
		}
		return client, true
	}
	if s.Refused != nil {
		s.Refused(nc.RemoteAddr(), reason)
	}
	nc.Close() //nolint:errcheck // nobody is left to be told
	if others, ok := s.refusals.Allow(time.Now()); ok {
		s.logger().Warn("a connection was refused", "client", client.String(), "limit", reason, "others_since_last", others)
	}
	return client, false
}
