// Package scheduler sends every visitor to the best point of presence: by DNS, as
// the authoritative server of the CDN's zone, and by HTTP redirect.
//
// It joins the operator's intent, a configuration, with measurements, a route
// table, into an immutable view off the query path; a query is a lookup in it.
// Without a table it answers as if every node were healthy. It is not for measuring
// anything itself.
package scheduler
