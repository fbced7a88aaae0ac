// Package tlscert is the edge's TLS: which certificate a visitor gets, the [tls.Config] of
// the listeners, session tickets, and what guards the handshake.
//
// A [Set] is compiled from pairs of PEM files and never changes; a [Keeper] holds the one in
// use and swaps it when the files do. [Keeper.Config] makes the configuration of
// a listener from it, [Keeper.Authority] says which hosts a connection may be asked for, and a
// [Gate] shakes hands without letting those who stall or flood harm the others. A [Wire] lies between
// crypto/tls and the socket, and sends many records with one system call.
//
// A ticket is sealed with keys that exist in memory only and is bound to the name, the
// protocol, the certificates and the policy it was issued for, so that a session of one
// site is worth nothing at another.
//
// It is not for issuing certificates: ACME, renewal and fetching OCSP responses are the
// control plane's. Nothing here talks to a network but the visitor's connection. It asks no
// client for a certificate, and knows nothing of HTTP but the word "host".
package tlscert
