// Package httpcache is RFC 9111 (HTTP Caching) for a shared cache, and the parts of
// RFC 9110 that it leans on (validators, ranges, connection fields), as pure
// functions: what may be stored, how long it is fresh, which stored response
// answers which request, what a 304 changes.
//
// It is not for storing, fetching or writing anything: it does no I/O, starts no
// goroutine and is told the time.
package httpcache
