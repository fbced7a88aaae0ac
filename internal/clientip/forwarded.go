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

// Trail leads from a connection's other end back to the client for whom it asks: that end itself, unless it is a trusted proxy. Then it is the
// rightmost address of the X-Forwarded-For fields that is no trusted proxy's: each proxy adds at the end whom it was asked by, so what stands left
// of the first that is not trusted may be anybody's invention. If all are trusted, it is the leftmost. It is the other end if what would have to be
// believed is no address.
type Trail struct {
	proxies      Proxies
	peer, client netip.Addr
	done         bool
}

// Trail begins at the other end of a connection.
func (p Proxies) Trail(peer netip.Addr) Trail {
	peer = peer.Unmap().WithZone("")
	return Trail{p, peer, peer, !p.Trust(peer)}
}

// Done reports whether the client is known, whatever further fields say.
func (t *Trail) Done() bool { return t.done }

// Client returns the client, as far as the fields so far say. It is never IPv4 in IPv6 and has no zone.
func (t *Trail) Client() netip.Addr { return t.client }

// Back takes the value of the last X-Forwarded-For field that it has not taken yet.
func (t *Trail) Back(value string) {
	for more := value != ""; more && !t.done; {
		at := strings.LastIndexByte(value, ',')
		addr, ok := parseForwarded(value[at+1:])
		if !ok {
			t.client, t.done = t.peer, true
			return
		}
		t.client, t.done = addr, !t.proxies.Trust(addr)
		if more = at >= 0; more {
			value = value[:at]
		}
	}
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
