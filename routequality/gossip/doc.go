// Package gossip is a node's membership in the fleet's pool: every member tells
// the others its role and state, and all of them probe each other, so that a
// member that dies is noticed by everybody within about two seconds (SWIM, Das et
// al. 2002, with the Lifeguard extensions, arXiv 1707.00788).
//
// Traffic is encrypted with a key made from the fleet's secret and labelled with
// the cluster's name; whoever has neither is not heard at all. The secret proves
// that a member belongs to the fleet, not which member it is.
//
// There are two kinds of pool: one for each POP, quick and small, and one across
// POPs, slower and large. On the members' probes ride their network coordinates
// (Vivaldi), by which the round trip between any two is known roughly.
//
// A member can send a message to one other, in a packet or over a stream. Such a
// message comes at most once, from a living member, to the process it was meant
// for; a packet that is forged, captured and replayed, or from another pool,
// changes nothing. The exception: once a dead member has been forgotten by the
// protocol, half a minute after its death, its last words replayed make it look
// alive until the next probes find it dead again.
//
// It is not for load samples, path quality or commands to everybody: what every member must
// carry to every other one does not scale beyond these few octets.
package gossip
