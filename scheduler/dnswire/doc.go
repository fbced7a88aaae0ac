// Package dnswire reads queries and writes answers in the wire form of DNS (RFC 1035 section 4), in buffers of the caller, without an
// allocation. What it takes is what a server needs to know of a query; whatever is malformed in a way that could be read
// in two ways is refused.
//
// It is not a resolver's codec: it reads no answers, and knows no RDATA. For transfers, and for records as text, there is
// github.com/miekg/dns, which is the oracle of this package's tests.
package dnswire
