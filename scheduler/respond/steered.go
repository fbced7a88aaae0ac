package respond

import (
	"bytes"
	"net/netip"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/rr"
)

// maxAddresses is how many nodes are put into an answer: browsers try the second by themselves when the first has died.
const maxAddresses = 2

// Client subnets are used no finer than this; what is finer is more about a person than about a network (RFC 7871 section 11.1).
const (
	finest4 = 24
	finest6 = 56
)

// steering is what an answer of addresses is made of.
type steering struct {
	chosen   bool
	decision decide.Decision
	room     [64]*cdn.Node
	data     [maxAddresses][]byte
	octets   [maxAddresses][16]byte
	https    [1][]byte
}

// client is for whom the answer is made, and how fine a part of the query's option that is; zero if it is not from there, and then the
// answer's scope is zero, too. A client that says nothing of itself, with a source prefix of length zero, is placed by its resolver's address.
func (x *exchange) client() (addr netip.Addr, finest int) {
	s := &x.query.Subnet
	if !s.Present || s.Source == 0 || s.Addr.Is4In6() { // no network has such addresses
		return x.from.Addr, 0
	}
	finest = finest6
	if s.Addr.Is4() {
		finest = finest4
	}
	if int(s.Source) <= finest {
		return s.Addr, finest
	}
	network, _ := s.Addr.Prefix(finest)
	return network.Addr(), finest
}

// steered answers with the addresses of the best nodes for the client, or with how to speak to them (RFC 9460). All types come from the same decision.
func (x *exchange) steered(owner []byte) bool {
	q, s := &x.query, &x.steer
	client, finest := x.client()
	s.decision = decide.Answer(x.state.View, decide.Query{
		Domain: x.match.Domain, Class: x.match.Class, Classed: true, Client: client, Now: x.now, Room: s.room[:0],
		Alone: !q.Subnet.Present && x.from.Transport != HTTPS, // a resolver, which keeps the answer for those behind it
	})
	d := &s.decision
	if d.POP == "" && (q.Type != rr.TypeHTTPS || x.state.View.Secure()) { // not for this visitor: "no such record" would be kept for all
		x.fail()
		return false
	}
	var set rr.Set
	if q.Type == rr.TypeHTTPS {
		set = x.service()
	} else {
		set = x.addresses(q.Type)
	}
	if len(set.Data) == 0 {
		return false
	}
	set.TTL = x.state.Settings.TTL(d.Outlook)
	i := x.put(owner, set)
	i.turned = len(set.Data) > 1 && bytes.Compare(set.Data[0], set.Data[1]) > 0
	if i.turned { // canonical order is what is signed; which goes first is the decision's
		set.Data[0], set.Data[1] = set.Data[1], set.Data[0]
	}
	s.chosen = true
	if finest > 0 {
		x.scope = min(d.Scope, finest)
	}
	return true
}

// addresses are those of the chosen nodes, of one family, the best first.
func (x *exchange) addresses(typ uint16) rr.Set {
	s := &x.steer
	data := s.data[:0]
	for _, node := range s.decision.Nodes {
		if len(data) == maxAddresses {
			break
		}
		if a, ok := address(node, typ); ok {
			data = append(data, octets(&s.octets[len(data)], a))
		}
	}
	return rr.Set{Type: typ, Data: data}
}

// address is a node's first address of the family of a type, if it has one.
func address(node *cdn.Node, typ uint16) (netip.Addr, bool) {
	for _, a := range node.Addresses {
		a = a.Unmap()
		if a.Is4() == (typ == rr.TypeA) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// octets writes an address into memory.
func octets(to *[16]byte, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return append(to[:0], b[:]...)
	}
	*to = a.As16()
	return to[:]
}

// maxParams is the longest RDATA of an HTTPS record that is made here, in octets.
const maxParams = 512

// Keys of service parameters (RFC 9460 section 14.3.2).
const (
	keyIPv4Hint = 4
	keyIPv6Hint = 6
)

// service is how to speak to the chosen nodes, with the addresses that A and AAAA have.
func (x *exchange) service() rr.Set {
	s := &x.steer
	fixed := x.state.View.Service(s.decision.POP)
	if fixed == nil {
		return rr.Set{}
	}
	rdata := append(x.params[:0], fixed...)
	for _, hint := range [...]struct{ typ, key uint16 }{{rr.TypeA, keyIPv4Hint}, {rr.TypeAAAA, keyIPv6Hint}} {
		set := x.addresses(hint.typ)
		if len(set.Data) == 0 {
			continue
		}
		n := len(set.Data) * len(set.Data[0])
		rdata = append(rdata, 0, byte(hint.key), 0, byte(n))
		for _, d := range set.Data {
			rdata = append(rdata, d...)
		}
	}
	s.https[0] = rdata
	return rr.Set{Type: rr.TypeHTTPS, Data: s.https[:]}
}

// node answers with the addresses of one machine.
func (x *exchange) node(owner []byte, ttl uint32) bool {
	s := &x.steer
	if x.query.Type == rr.TypeHTTPS {
		return false
	}
	a, ok := address(x.match.Node, x.query.Type)
	if !ok {
		return false
	}
	s.data[0] = octets(&s.octets[0], a)
	x.put(owner, rr.Set{Type: x.query.Type, TTL: ttl, Data: s.data[:1]})
	return true
}

// maxAlias is how many addresses of an ALIAS's target are told.
const maxAlias = 16

// alias answers with the addresses that the target of an ALIAS has. It reports false if it has none of the type.
func (x *exchange) alias(owner []byte) bool {
	if x.responder.cfg.Alias == nil {
		x.fail()
		return false
	}
	addrs, ttl, ok := x.responder.cfg.Alias(x.match.Alias.Target)
	if !ok { // not yet: "no such thing" would be kept
		x.fail()
		return false
	}
	var data [][]byte
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() == (x.query.Type == rr.TypeA) && len(data) < maxAlias {
			data = append(data, a.AsSlice())
		}
	}
	if len(data) == 0 {
		return false
	}
	sortData(data)
	x.put(owner, rr.Set{Type: x.query.Type, TTL: min(ttl, x.match.Alias.TTL), Data: data})
	return true
}

func sortData(data [][]byte) {
	for i := range data {
		for j := i; j > 0 && bytes.Compare(data[j], data[j-1]) < 0; j-- {
			data[j], data[j-1] = data[j-1], data[j]
		}
	}
}
