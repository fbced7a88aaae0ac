// Package clientip says whom an IP address stands for, wherever something is counted for each client.
//
// It is not for deciding how much one client may have.
package clientip

import (
	"net"
	"net/netip"
)

// Of returns the client at the other end of a connection. All that have no IP address are one client, the zero Addr.
func Of(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return Share(tcp.AddrPort().Addr())
}

// Share returns what stands for a client that has an address: an IPv4 address itself, but the /64 of an IPv6 address, which is
// what one host is usually given to choose from.
func Share(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip
	}
	p, _ := ip.Prefix(64) // fails for a bad number of bits only
	return p.Addr()
}

// Text returns the IP address of a host:port, or all of what is none.
func Text(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
