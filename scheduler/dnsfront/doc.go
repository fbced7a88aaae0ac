// Package dnsfront is the authoritative DNS server of the CDN's zone (RFC 1034,
// RFC 1035), over UDP and TCP. Names of sites are answered with the addresses of
// the nodes that package decide chooses; EDNS Client Subnet (RFC 7871) is honoured.
//
// It is not a resolver: it never asks anybody, and refuses what is outside its zone.
package dnsfront
