// Package dnsmutate makes broken DNS queries of real ones, for tests of what reads them and for load tests of what serves them.
//
// A query that is made up octet by octet is refused at its first octets, and one that is right down to one octet is not: so each mutant begins as a query
// that a client sends, and has one to three things done to it that clients, networks and attackers do.
//
// It is not for the running system. The fuzz tests beside the parsers look for what nobody has thought of; this is for the many that somebody has.
package dnsmutate
