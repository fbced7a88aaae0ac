// Package scheduler sends every visitor to the best point of presence: by DNS, as
// the authoritative server of the CDN's zone and of zones delegated to it, by HTTPDNS, and by HTTP redirect.
//
// It joins the operator's intent, a configuration, with measurements, a route
// table, into an immutable view off the query path; a query is a lookup in it.
// Without a table it answers as if every node were healthy. It is not for measuring
// anything itself.
//
// # Where to find what
//
// How a question comes in (fronts.go plugs these together):
//
//   - dnsfront: sockets of DNS, UDP, TCP and streams of DNS over TLS; it bounds what a peer can hold; seat says whose connection makes room.
//   - httpfront: everything over HTTP, and the ports of TLS.
//
// What is answered:
//
//   - respond: a DNS query, whatever it came over. dnswire reads and writes messages, rr is sets of records, zone says what names exist and what is at them, cookie
//     and rrl keep answers from those who have not asked, dnssec signs, flatten resolves the targets of ALIAS, querylog samples what all fronts are asked.
//   - httpdns: /resolve. redirect: where a visitor's request is sent; relay carries it if a redirect is not worth it.
//   - transfer: copies of zones for secondaries, and what is signed by TSIG; copies.go says what is in one.
//
// Which POP and which nodes: all of them ask decide, which looks into a view. A view has a chart, the map of all groups of visitors, that steer makes
// of each route table with what policy allows, what cost says and what assign fits into the POPs. scheduler.go makes the view of the
// moment, answers.go what DNS needs beside it; sites.go keeps little of a large configuration. Schedulers agree (agree.go) by peers, over api.
//
// # Where a change goes
//
//   - An option of EDNS: dnswire reads (query.go) and writes it (opt.go), respond/reply.go says when.
//   - A type of records: those that zones hold need nothing; those that are made here are a case in respond/internet.go, in data and in present.
//   - A path of HTTP: httpfront, in Take (lane.go) or ServeHTTP (general.go), and a field of its Config, which fronts.go fills.
//   - A rule for who goes where: cdn.Policy, and policy; never a front.
package scheduler
