// Package visitors gathers what a node sees of its visitors' networks without asking them for anything: round trips and lost packets,
// as the kernel knows them of each connection (TCP_INFO), and what was asked for and sent.
//
// A request costs its connection's own lock and nothing else: what is counted there goes into the table when the
// connection ends, and of one that lasts at most every ten seconds.
//
// A request has failed if the node answered it with an error of its own, or if the connection ended because nothing arrived at the visitor any more,
// however often it was sent. A connection that a visitor closes in the middle of an answer has not failed: people leave.
// Connections without a request, which are probes and scanners, and those of other nodes are not there at all.
//
// It is not for judging the networks: that is route quality's.
package visitors
