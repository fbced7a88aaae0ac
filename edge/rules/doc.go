// Package rules applies a site's routes: which route rules a request, which of them a
// response, under which key the response is stored, what the origin is asked for, and
// which header fields change. A site is compiled into an immutable [Table], which is safe
// for concurrent use.
//
// It is pure and not for deciding what is fresh or storable, which is package httpcache,
// nor for hosts, which is package route. It reads no body and sends nothing.
package rules
