package dnsfront

import "net/netip"

// Respond answers a packet as the sockets would.
func (s *Server) Respond(packet []byte, from netip.Addr, udp bool) []byte {
	return s.answerer.respond(packet, from, udp)
}

// MaxConnsPerSource is the bound of TCP connections of one client.
const MaxConnsPerSource = maxConnsPerSource
