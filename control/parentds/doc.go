// Package parentds asks, by DNS, which DS records the parents of zones have, and compares them with those that they are to have.
//
// It believes the resolver that is asked, as whoever asks does; signatures are not looked at. Answers of resolvers may be as old as their TTL: to know
// more, ask the servers of the parent themselves.
package parentds
