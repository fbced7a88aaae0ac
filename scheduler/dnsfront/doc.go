// Package dnsfront is the transports of DNS: UDP in batches, TCP, and streams that others accept, for DNS over TLS. It moves octets between them and
// a responder, and bounds what one peer can take: connections, time, and buffers.
//
// It is not for what queries mean; that is respond's.
package dnsfront
