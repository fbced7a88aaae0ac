package dnsfront

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Client subnets are used no finer than this; what is finer is more about a person
// than about a network (RFC 7871 section 11.1).
const (
	finest4 = 24
	finest6 = 56
)

// client is for whom an answer is made.
type client struct {
	// addr is the client's network if the query says one, else whoever sent it.
	addr netip.Addr
	// subnet is the query's option, to be echoed; nil if there was none.
	subnet *dns.EDNS0_SUBNET
	// finest is the length of the prefix that addr was cut to; zero if addr
	// does not come from the option, and then the answer's scope is zero too.
	finest int
}

// readEDNS reads the query's OPT record (RFC 6891) and returns the code of what is
// wrong with it.
func (x *exchange) readEDNS() int {
	for _, rr := range x.req.Extra {
		opt, ok := rr.(*dns.OPT)
		if !ok {
			continue
		}
		if x.opt != nil || opt.Hdr.Name != "." { // RFC 6891 section 6.1.1
			return dns.RcodeFormatError
		}
		x.opt = opt
	}
	if x.opt == nil {
		return dns.RcodeSuccess
	}
	if x.opt.Version() != 0 {
		return dns.RcodeBadVers
	}
	for _, option := range x.opt.Option {
		subnet, ok := option.(*dns.EDNS0_SUBNET)
		if !ok {
			continue // unknown options are ignored, RFC 6891 section 6.1.2
		}
		if x.client.subnet != nil || !x.client.use(subnet) {
			return dns.RcodeFormatError
		}
	}
	return dns.RcodeSuccess
}

// use takes the client's network from an option, and reports whether the option is
// well formed. A client that says nothing of itself, with a source prefix of
// length zero, is placed by its resolver's address.
func (c *client) use(subnet *dns.EDNS0_SUBNET) bool {
	if subnet.SourceScope != 0 { // RFC 7871 section 6: must be zero in queries
		return false
	}
	if subnet.SourceNetmask == 0 {
		c.subnet = subnet
		return true
	}
	addr, ok := netip.AddrFromSlice(subnet.Address)
	c.finest = finest6
	if subnet.Family == 1 {
		addr, c.finest = addr.Unmap(), finest4
	}
	source := int(subnet.SourceNetmask)
	if p, err := addr.Prefix(source); !ok || err != nil || p.Addr() != addr {
		return false // bits beyond the prefix, RFC 7871 section 6
	}
	c.subnet = subnet
	if addr.Is4In6() { // no network has such addresses
		c.finest = 0
		return true
	}
	network, _ := addr.Prefix(min(source, c.finest))
	c.addr = network.Addr()
	return true
}

// scope sets how far around the client the answer holds: that is how widely a
// resolver may use it. It stays zero, for everybody, if it is not called.
func (c *client) scope(bits int) {
	if c.finest > 0 {
		c.subnet.SourceScope = uint8(min(bits, c.finest)) //nolint:gosec // at most 56
	}
}

// addEDNS appends an OPT record to the reply if the query had one (RFC 6891 section 7).
func (x *exchange) addEDNS() {
	if x.opt == nil {
		return
	}
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(ednsSize)
	opt.SetDo(x.opt.Do()) // RFC 3225 section 3
	if x.client.subnet != nil {
		opt.Option = append(opt.Option, x.client.subnet)
	}
	x.reply.Extra = append(x.reply.Extra, opt)
}
