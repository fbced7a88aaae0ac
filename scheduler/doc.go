// Package scheduler sends every visitor to the best point of presence: by DNS, as
// the authoritative server of the CDN's zone, and by HTTP redirect.
//
// It joins the operator's intent, a configuration, with measurements, a route
// table, into an immutable view off the query path; a query is a lookup in it.
// Without a table it answers as if every node were healthy. It is not for measuring
// anything itself.
//
// Where to find what: dnsfront and httpfront ask decide, which looks into a view. A view has a chart, the map of all groups of visitors, that steer makes
// of each route table with what policy allows, what cost says and what assign fits into the POPs. Schedulers agree by peers, over api.
package scheduler
