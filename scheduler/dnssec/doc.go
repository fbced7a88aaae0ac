// Package dnssec signs sets of records when they are asked for (RFC 4034, 4035), with ECDSA P-256 and SHA-256 (RFC 6605), and proves what is
// not there with one NSEC record (compact denial, RFC 9824).
//
// There is one key that signs everything ([cdn.KeyActive]), and others on their way in or out, which sign the DNSKEY set only, so that a
// resolver that has cached any earlier DS, keys or signatures can go on. Signatures are kept in a [Signer] of bounded memory.
//
// It has no goroutines and no clock. It is not for the life of keys, which the control plane decides (control/zonekey), nor for which sets
// an answer needs.
package dnssec
