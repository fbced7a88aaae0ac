package decide

import (
	"net/netip"
	"slices"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/internal/ring"
	"nearcast/scheduler/view"
)

// Visitors are told apart by these prefixes at most: what a resolver says about a
// client is no finer, and all of one network should meet in the same caches.
const (
	groupBits4 = 24
	groupBits6 = 48
)

// Query is what is asked.
type Query struct {
	// Domain is the site's domain that the visitor wants.
	Domain cdn.Domain
	// Client is the visitor's address or, in DNS without a client subnet, the
	// resolver's. The zero value means that nothing is known.
	Client netip.Addr
}

// Decision is where to send the visitor.
type Decision struct {
	// POP is the chosen POP; empty if the fleet has no edge node.
	POP cdn.POPName
	// Nodes are the POP's usable nodes, in the order in which this visitor should try
	// them for this domain. It is empty only if POP is.
	Nodes []*cdn.Node
	// Scope is the length of the prefix around Client for which the decision may be
	// reused (RFC 7871 section 7.2.1).
	Scope int
	// Reason says why this POP: "nearest", "unplaced" or "empty".
	Reason string
}

// Reasons for a decision.
const (
	Nearest  = "nearest"  // the nearest POP with a usable node
	Unplaced = "unplaced" // nobody knows where the visitor is; POPs take turns by subnet
	NoNodes  = "empty"    // the fleet has no edge node
)

// Answer decides. Visitors whose place is known get the nearest POP that has a
// usable node. Others are spread over the POPs by rendezvous on their network, so
// that one network always gets the same POP and a POP that fails gives away only
// its own share.
//
// Within the POP, nodes are ordered by rendezvous on the network and the domain:
// a network's requests for a site meet in one node's cache, and every domain
// spreads over all nodes.
func Answer(v *view.View, q Query) Decision {
	network := group(q.Client)
	place, scope := v.Clients.Lookup(q.Client)
	var pop int
	reason := Nearest
	if place != locate.None && v.Nearest(place) != nil {
		if pop = firstUsable(v, v.Nearest(place)); pop < 0 {
			pop = firstUsable(v, v.All(place))
		}
	} else {
		pop, reason = takeTurns(v, network), Unplaced
	}
	if pop < 0 {
		return Decision{Scope: scope, Reason: NoNodes}
	}
	return Decision{
		POP:    v.Usable[pop].Name,
		Nodes:  rank(&v.Usable[pop], network+" "+string(q.Domain)),
		Scope:  scope,
		Reason: reason,
	}
}

// group returns the name of the visitor's network.
func group(client netip.Addr) string {
	client = client.Unmap()
	bits := groupBits6
	if client.Is4() {
		bits = groupBits4
	}
	p, err := client.Prefix(bits)
	if err != nil { // no address: everybody who is unknown is one network
		return "unknown"
	}
	return p.String()
}

// firstUsable returns the first POP of an order that has a usable node, or -1.
func firstUsable(v *view.View, order []int) int {
	for _, i := range order {
		if len(v.Usable[i].Nodes) > 0 {
			return i
		}
	}
	return -1
}

// takeTurns returns the POP whose turn the network is, or -1.
func takeTurns(v *view.View, network string) int {
	names := make([]cdn.POPName, len(v.Usable))
	for i := range v.Usable {
		names[i] = v.Usable[i].Name
	}
	for _, name := range ring.Rank(network, names) {
		if i := slices.Index(names, name); len(v.Usable[i].Nodes) > 0 {
			return i
		}
	}
	return -1
}

// rank returns the POP's nodes in the order of their claim on key.
func rank(p *view.POP, key string) []*cdn.Node {
	nodes := make([]*cdn.Node, 0, len(p.Nodes))
	for _, name := range ring.Rank(key, p.Names) {
		nodes = append(nodes, p.Nodes[slices.Index(p.Names, name)])
	}
	return nodes
}
