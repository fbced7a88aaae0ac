// Package redirect decides how the redirecting HTTP front answers a request: where the visitor is sent, or that the request is relayed because a
// redirect is not worth it.
//
// A Location is made by one function, of a [place], and of a path and query in the normal form of [cdn.NewTarget]. A place is a name and a port
// of the configuration; what a visitor writes chooses among them, and is never part of one. So nobody is redirected to what is not configured.
//
// It knows no sockets and no clock, and moves no octets: package relay does.
package redirect
