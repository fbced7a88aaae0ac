// Package httpcache is RFC 9111 (HTTP Caching) for a shared cache, and the parts of
// RFC 9110 that it leans on (validators, ranges, connection fields), as pure
// functions: what may be stored, how long it is fresh, which stored response
// answers which request, what a 304 changes. With it come the extensions that a CDN needs:
// RFC 5861 (stale responses), RFC 8246 (immutable), RFC 8586 (CDN-Loop) and RFC 9213
// (CDN-Cache-Control). Sections without a number of an RFC are those of RFC 9111.
//
// It is not for storing, fetching or writing anything: it does no I/O, starts no
// goroutine and is told the time.
package httpcache
