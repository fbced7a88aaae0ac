package respond

import (
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/zone"
)

// maxChain is how many CNAMEs are followed within the zones.
const maxChain = 8

// Times to live, in seconds.
const (
	directTTL = 20 // follows the fleet, like steered answers
	anyTTL    = 3600
)

// internet answers a query of class IN.
func (x *exchange) internet() {
	q, m := &x.query, &x.match
	x.state.View.Zones.Find(q.Name, m)
	if m.Zone == nil {
		x.rcode = dnswire.Refused
		return
	}
	x.aa = true
	if q.Type == rr.TypeDS {
		m.Above()
	}
	owner := []byte(nil)
	for range maxChain {
		target := x.at(owner)
		if target == nil {
			return
		}
		owner = target
		first := m.Zone
		x.state.View.Zones.Find(owner, m)
		if m.Zone != first { // the resolver asks for it: another zone's answer may have another view of who asks
			return
		}
	}
	x.fail() // a circle
}

// fail says nothing that could be kept.
func (x *exchange) fail() {
	x.reply.reset()
	x.rcode, x.aa = dnswire.ServFail, false
}

// at answers for the name that was matched, whose owner is nil for the question's own. It returns the next name of a chain, or nil.
func (x *exchange) at(owner []byte) (target []byte) {
	q, m := &x.query, &x.match
	switch {
	case m.Cut != nil:
		x.refer(owner)
	case q.Type == rr.TypeNSEC && x.state.Signer != nil && (m.Exists || x.signed()): // every name has one, by RFC 9824 even one that does not exist
		x.prove(dnswire.Answer, owner, x.present())
	case q.Type == rr.TypeRRSIG && x.state.Signer != nil && (m.Exists || x.signed()): // and each of those is signed
		x.sign(owner)
	case !m.Exists:
		x.deny(owner)
	default:
		if c := find(m.Sets, rr.TypeCNAME); c != nil && q.Type != rr.TypeCNAME {
			x.put(owner, *c)
			if q.Type == rr.TypeANY { // nothing can be beside it, RFC 8482 section 4.2
				return nil
			}
			return c.Data[0]
		}
		if !x.data(owner) && x.rcode == 0 {
			x.deny(owner)
		}
	}
	return nil
}

// empty reports whether nothing is at the name, which is there for what is below it (RFC 8020 section 2).
func (x *exchange) empty() bool {
	m := &x.match
	return len(m.Sets) == 0 && m.Domain == "" && m.Node == nil && m.Alias == nil
}

// anything is the RDATA of the HINFO record that ANY is answered with (RFC 8482 section 4.2).
var anything = [][]byte{[]byte("\x07RFC8482\x00")} //nolint:gochecknoglobals // constant

// data answers with what the name has of the type, and reports whether there is something.
func (x *exchange) data(owner []byte) bool {
	q, m := &x.query, &x.match
	if x.keys(owner) {
		return true
	}
	switch q.Type {
	case rr.TypeANY:
		if x.empty() {
			return false
		}
		x.put(owner, rr.Set{Type: rr.TypeHINFO, TTL: anyTTL, Data: anything})
		return true
	case rr.TypeA, rr.TypeAAAA, rr.TypeHTTPS:
		switch {
		case m.Node != nil && m.Domain == "":
			return x.node(owner, zone.DefaultTTL)
		case m.Node != nil:
			return x.node(owner, directTTL)
		case m.Domain != "":
			return x.steered(owner)
		case m.Alias != nil && q.Type != rr.TypeHTTPS:
			return x.alias(owner)
		}
	}
	set := find(m.Sets, q.Type)
	if set == nil {
		return false
	}
	x.put(owner, *set)
	if q.Type == rr.TypeNS {
		x.courtesies(set)
	}
	return true
}

// keys answers with the keys of a signed zone.
func (x *exchange) keys(owner []byte) bool {
	q, m := &x.query, &x.match
	s := x.state.Signer
	if s == nil || !m.Apex {
		return false
	}
	var set rr.Set
	switch q.Type {
	case rr.TypeDNSKEY:
		set = s.DNSKEY()
	case rr.TypeCDS:
		set = s.CDS(m.Zone.Name)
	case rr.TypeCDNSKEY:
		set = s.CDNSKEY()
	default:
		return false
	}
	if len(set.Data) == 0 {
		return false
	}
	x.put(owner, set).key = q.Type == rr.TypeDNSKEY
	return true
}

// put adds a set to the answer section.
func (x *exchange) put(owner []byte, set rr.Set) *item {
	return x.reply.add(item{section: dnswire.Answer, owner: owner, set: set, ttl: set.TTL, signer: x.match.Zone})
}

// courtesies adds the addresses of the name servers that an answer names, as far as they are ours.
func (x *exchange) courtesies(servers *rr.Set) {
	var m zone.Match
	for _, server := range servers.Data {
		x.state.View.Zones.Find(server, &m)
		if m.Node == nil || m.Domain != "" {
			continue
		}
		for _, typ := range [...]uint16{rr.TypeA, rr.TypeAAAA} {
			if a, ok := address(m.Node, typ); ok {
				set := rr.Set{Type: typ, TTL: zone.DefaultTTL, Data: [][]byte{a.AsSlice()}}
				x.reply.add(item{section: dnswire.Additional, owner: server, set: set, ttl: set.TTL, signer: m.Zone, extra: true})
			}
		}
	}
}

// deny says that there is no such type at the name, or no such name (RFC 2308). With signatures both look alike (RFC 9824): the name exists then, with an
// NSEC record alone, and only who says to know that gets the code of names that do not exist (section 5.1).
func (x *exchange) deny(owner []byte) {
	q, m := &x.query, &x.match
	z := m.Zone
	x.denied = true
	x.scope = 0 // resolvers keep it for everybody, RFC 7871 section 7.4
	x.reply.add(item{section: dnswire.Authority, owner: z.Name, set: z.SOA, ttl: z.Negative, signer: z})
	if !m.Exists && (!x.signed() || q.CO) {
		x.rcode = dnswire.NXDomain
	}
	if x.signed() {
		x.prove(dnswire.Authority, owner, x.present())
	}
}

// prove adds the NSEC record of a name with its types.
func (x *exchange) prove(section dnswire.Section, owner []byte, types []uint16) {
	name := owner
	if name == nil {
		name = x.name
	}
	x.nsecData[0] = dnssec.AppendNSEC(x.nsec[:0], name, types...)
	z := x.match.Zone
	x.reply.add(item{
		section: section, owner: owner, set: rr.Set{Type: rr.TypeNSEC, TTL: z.Negative, Data: x.nsecData[:]}, ttl: z.Negative, signer: z,
	})
}

// sign answers with signatures: that of the name's NSEC record alone, as ANY is answered with little (RFC 8482).
func (x *exchange) sign(owner []byte) {
	name := owner
	if name == nil {
		name = x.name
	}
	z := x.match.Zone
	x.nsecData[0] = dnssec.AppendNSEC(x.nsec[:0], name, x.present()...)
	i := item{set: rr.Set{Type: rr.TypeNSEC, TTL: z.Negative, Data: x.nsecData[:]}, signer: z}
	signatures := x.signatures(&i, name)
	if len(signatures) == 0 {
		x.reply.truncated = true
		x.responder.cfg.Metrics.unsigned.Inc()
		return
	}
	x.reply.add(item{section: dnswire.Answer, owner: owner, set: rr.Set{Type: rr.TypeRRSIG, TTL: z.Negative, Data: signatures}, ttl: z.Negative})
}

// present are the types that are at the name, in their order, without the one that was asked for, which is not there if this is wanted, unless it is NSEC.
func (x *exchange) present() []uint16 {
	m := &x.match
	types := x.types[:0]
	if !m.Exists {
		return append(types, rr.TypeRRSIG, rr.TypeNSEC, rr.TypeNXNAME)
	}
	types = append(types, rr.TypeRRSIG, rr.TypeNSEC)
	for i := range m.Sets {
		types = append(types, m.Sets[i].Type)
	}
	switch {
	case m.Node != nil:
		for _, typ := range [...]uint16{rr.TypeA, rr.TypeAAAA} {
			if _, ok := address(m.Node, typ); ok {
				types = append(types, typ)
			}
		}
	case m.Domain != "":
		types = append(types, rr.TypeA, rr.TypeAAAA)
		if x.state.View.Secure() {
			types = append(types, rr.TypeHTTPS)
		}
	case m.Alias != nil:
		types = append(types, rr.TypeA, rr.TypeAAAA)
	}
	if m.Apex {
		types = append(types, rr.TypeDNSKEY, rr.TypeCDS, rr.TypeCDNSKEY)
	}
	asked := x.query.Type
	if asked == rr.TypeNSEC || asked == rr.TypeRRSIG {
		asked = 0
	}
	return sortWithout(types, asked)
}

// refer sends the resolver to the servers of a zone that was delegated from here.
func (x *exchange) refer(owner []byte) {
	q, m := &x.query, &x.match
	c := m.Cut
	if q.Type == rr.TypeDS && m.AtCut { // that is the parent's, RFC 4035 section 3.1.4.1
		if c.DS != nil {
			x.put(owner, *c.DS)
			return
		}
		if c.Ours && x.state.Signer != nil {
			x.put(owner, x.state.Signer.DS(c.Owner))
			return
		}
		x.reply.add(item{section: dnswire.Authority, owner: m.Zone.Name, set: m.Zone.SOA, ttl: m.Zone.Negative, signer: m.Zone})
		if x.signed() {
			x.prove(dnswire.Authority, owner, append(x.types[:0], rr.TypeNS, rr.TypeRRSIG, rr.TypeNSEC))
		}
		return
	}
	if owner == nil {
		x.aa = false
	}
	x.reply.add(item{section: dnswire.Authority, owner: c.Owner, set: c.NS, ttl: c.NS.TTL})
	if x.signed() {
		if c.DS != nil {
			x.reply.add(item{section: dnswire.Authority, owner: c.Owner, set: *c.DS, ttl: c.DS.TTL, signer: m.Zone})
		} else {
			x.prove(dnswire.Authority, c.Owner, append(x.types[:0], rr.TypeNS, rr.TypeRRSIG, rr.TypeNSEC))
		}
	}
	for i := range c.Glue { // needed to go on, so that it must be there whole (RFC 9471)
		for _, set := range c.Glue[i].Sets {
			x.reply.add(item{section: dnswire.Additional, owner: c.Glue[i].Owner, set: set, ttl: set.TTL})
		}
	}
}

// find returns the set of a type, or nil.
func find(sets []rr.Set, typ uint16) *rr.Set {
	for i := range sets {
		if sets[i].Type == typ {
			return &sets[i]
		}
	}
	return nil
}

// sortWithout sorts types and removes one, and repetitions.
func sortWithout(types []uint16, without uint16) []uint16 {
	kept := types[:0]
	for _, t := range types {
		if t == without {
			continue
		}
		kept = append(kept, t)
		for j := len(kept) - 1; j > 0 && kept[j] <= kept[j-1]; j-- {
			if kept[j] == kept[j-1] {
				kept = append(kept[:j], kept[j+1:]...)
				break
			}
			kept[j], kept[j-1] = kept[j-1], kept[j]
		}
	}
	return kept
}
