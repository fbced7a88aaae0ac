package clientip

import (
	"net/netip"
	"strings"
)

// Proxies are networks of reverse proxies that are believed when they say whom they ask for.
type Proxies []netip.Prefix

// Trust reports whether an address is a proxy's.
func (p Proxies) Trust(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, network := range p {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// Forwarded returns the client for whom a connection's other end asks: peer itself, unless that is a trusted proxy. Then it is the
// rightmost address of the X-Forwarded-For fields that is no trusted proxy's: each proxy adds at the end whom it was asked by, so what stands left
// of the first that is not trusted may be anybody's invention. If all are trusted, it is the leftmost. It is peer if what would have to be
// believed is no address.
//
// fields calls its argument with the value of each X-Forwarded-For field, the last first, until that returns false. It is not called for a peer that
// is not trusted. The result is never IPv4 in IPv6 and has no zone.
func (p Proxies) Forwarded(peer netip.Addr, fields func(yield func(value string) bool)) netip.Addr {
	peer = peer.Unmap().WithZone("")
	if !p.Trust(peer) {
		return peer
	}
	client := peer
	for value := range fields {
		for value != "" {
			at := strings.LastIndexByte(value, ',')
			addr, ok := parseForwarded(value[at+1:])
			if !ok {
				return peer
			}
			if client = addr; !p.Trust(addr) {
				return client
			}
			if at < 0 {
				break
			}
			if value = value[:at]; value == "" {
				return peer
			}
		}
	}
	return client
}

// parseForwarded reads one address, which some proxies write with a port, and IPv6 in brackets.
func parseForwarded(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
	if len(s) == 0 || len(s) > longest || strings.IndexByte(s, '%') >= 0 {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		return parseBracketed(s)
	}
	if host, port, ok := strings.Cut(s, ":"); ok && strings.IndexByte(port, ':') < 0 {
		if !isPort(port) {
			return netip.Addr{}, false
		}
		s = host
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap(), err == nil
}

func parseBracketed(s string) (netip.Addr, bool) {
	host, rest, ok := strings.Cut(s[1:], "]")
	if !ok || rest != "" && (rest[0] != ':' || !isPort(rest[1:])) {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	return addr.Unmap(), err == nil && addr.Is6()
}

func isPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 5
}
