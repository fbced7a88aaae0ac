// Package transfer gives copies of zones to servers of other makers: whole (AXFR, RFC 5936) or what has changed (IXFR, RFC 1995), to those that a zone names as its
// secondaries by their address, a key (TSIG, RFC 8945) or both, and tells them when there is something new (NOTIFY, RFC 1996).
//
// A copy is the same for everybody who asks it: what a name's addresses are to an average visitor, as the [Source] says.
//
// A [Server] is given the zones by [Server.Publish], again whenever they change, and asked by the fronts: [Server.Serve] for transfers over streams,
// [Server.Answer] for those over UDP, and [Server.Signed] for ordinary queries with a TSIG, as secondaries ask for the SOA.
//
// It is not for being a secondary, nor for updates (RFC 2136).
package transfer
