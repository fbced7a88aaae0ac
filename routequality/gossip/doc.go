// Package gossip is a node's membership in the fleet's pool: every member tells
// the others its role and state, and all of them probe each other, so that a
// member that dies is noticed by everybody within about two seconds (SWIM, Das et
// al. 2002, with the Lifeguard extensions, arXiv 1707.00788).
//
// Traffic is encrypted with a key made from the fleet's secret and labelled with
// the cluster's name; whoever has neither is not heard at all. The secret proves
// that a member belongs to the fleet, not which member it is.
//
// It is not for load samples, path quality or commands: what every member must
// carry to every other one does not scale beyond these few octets.
package gossip
