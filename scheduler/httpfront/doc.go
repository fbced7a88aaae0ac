// Package httpfront is the scheduler's front that speaks HTTP: it redirects visitors to their nodes, and answers DNS over HTTPS (RFC 8484).
//
// A request for a host that is a site's is a visitor's, whatever its path: where to send it is Redirect's to say. Of other hosts /dns-query is DNS
// over HTTPS, and /resolve whatever the Config has for it. All that costs little is done in the lane, in the loop of the connection and without an
// allocation of this package's (lane.go); the rest has the same functions behind a [net/http.Handler] (general.go). reply.go is what an answer is
// before it is one of either kind, query.go reads what is asked over DNS over HTTPS, and ttl.go says for how long its answer is good.
//
// The ports with TLS are those of DNS over TLS (RFC 7858) as well.
//
// It is not for deciding: which node, and what a name's records are, comes from functions that it is given.
package httpfront
