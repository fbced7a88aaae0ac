// Package agent is a cache node's voice: it tells the POP's two aggregators how busy the node is (each second) and what it saw of its visitors
// (each 10 s). While the node is an aggregator itself it gathers what the others say, probes other POPs and the origins, and tells every
// route-quality server about the POP: each second, and at once when a node's state or a vote on another POP changes.
//
// Nothing here waits for a server or a peer, nothing grows without bound, and what has to be thrown away is counted. A node without its
// agent serves as before.
//
// It is not for conclusions: which node is down, which POP is, and which path is good is the route-quality servers' business.
package agent
