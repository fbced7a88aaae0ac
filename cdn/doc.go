// Package cdn holds the words of Nearcast as types: site, domain, origin, POP,
// node, region, tier, generation, cache key, purge, route table. It parses what
// people and peers write into these types, strictly, so that the rest of the
// program can trust a value of such a type without looking at it again.
//
// It is not for behaviour: nothing here reads a file, a socket or the clock, and
// nothing starts a goroutine. It imports only the standard library.
package cdn
