package dnsfront

import (
	"net/netip"

	"github.com/miekg/dns"

	"nearcast/scheduler/view"
)

const (
	headerLen   = 12   // RFC 1035 section 4.1.1
	plainSize   = 512  // what a client without EDNS takes over UDP, RFC 1035 section 4.2.1
	ednsSize    = 1232 // fits the smallest IPv6 packet, so that no answer is fragmented
	maxTCPReply = dns.MaxMsgSize - 1
)

// answerer turns query packets into answer packets. It has no state of its own.
type answerer struct {
	view    func() *view.View
	metrics *metrics
}

// exchange is one query and the answer that is being made.
type exchange struct {
	req, reply *dns.Msg
	opt        *dns.OPT // the query's, or nil
	client     client
}

// respond answers a packet from an address. It returns nil for what must not be
// answered: packets without a whole header, and answers, lest two servers
// answer each other for ever.
func (a *answerer) respond(packet []byte, from netip.Addr, udp bool) []byte {
	if len(packet) < headerLen {
		a.metrics.dropped.WithLabelValues("short").Inc()
		return nil
	}
	if packet[2]&0x80 != 0 { // the QR bit
		a.metrics.dropped.WithLabelValues("response").Inc()
		return nil
	}
	x := &exchange{req: new(dns.Msg), reply: new(dns.Msg), client: client{addr: from}}
	err := x.req.Unpack(packet)
	x.reply.MsgHdr = dns.MsgHdr{
		Id:               x.req.Id,
		Response:         true,
		Opcode:           x.req.Opcode,
		RecursionDesired: x.req.RecursionDesired,
		CheckingDisabled: x.req.CheckingDisabled, // RFC 4035 section 3.1.6
	}
	switch {
	case x.req.Opcode != dns.OpcodeQuery:
		x.reply.Rcode = dns.RcodeNotImplemented
	case err != nil || len(x.req.Question) != 1: // RFC 9619 for the number
		x.reply.Rcode = dns.RcodeFormatError
	default:
		x.reply.Question = x.req.Question // octet for octet, letter case included
		x.reply.Rcode = a.answer(x)
	}
	a.count(x)
	return x.pack(udp)
}

// answer fills in the reply and returns its code.
func (a *answerer) answer(x *exchange) int {
	if rcode := x.readEDNS(); rcode != dns.RcodeSuccess {
		return rcode
	}
	v := a.view()
	if v == nil {
		return dns.RcodeServerFailure
	}
	q := x.req.Question[0]
	zone := dns.Fqdn(string(v.Zone))
	if q.Qclass != dns.ClassINET || isTransfer(q.Qtype) || !dns.IsSubDomain(zone, q.Name) {
		return dns.RcodeRefused
	}
	x.reply.Authoritative = true
	r := responder{view: v, zone: zone, metrics: a.metrics, exchange: x}
	return r.answer()
}

// isTransfer tells the types that ask for the whole zone, which is not for everybody.
func isTransfer(qtype uint16) bool { return qtype == dns.TypeAXFR || qtype == dns.TypeIXFR }

func (a *answerer) count(x *exchange) {
	qtype := "none"
	if len(x.req.Question) == 1 {
		qtype = typeLabel(x.req.Question[0].Qtype)
	}
	a.metrics.queries.WithLabelValues(qtype, dns.RcodeToString[x.reply.Rcode]).Inc()
}

// pack returns the reply's octets, cut down to what the client takes.
func (x *exchange) pack(udp bool) []byte {
	limit := maxTCPReply
	if udp {
		limit = plainSize
		if x.opt != nil {
			limit = min(max(int(x.opt.UDPSize()), plainSize), ednsSize)
		}
	}
	extra := x.reply.Extra
	x.reply.Compress = true
	x.addEDNS()
	if x.reply.Len() > limit { // additional addresses are a courtesy
		x.reply.Extra = x.reply.Extra[len(extra):]
	}
	if x.reply.Len() > limit {
		x.reply.Truncated = true // half a set of records would be worse than none, RFC 2181 section 9
		x.reply.Answer, x.reply.Ns = nil, nil
	}
	packet, err := x.reply.Pack()
	if err == nil {
		return packet
	}
	failed := &dns.Msg{MsgHdr: dns.MsgHdr{Id: x.req.Id, Response: true, Opcode: x.req.Opcode, Rcode: dns.RcodeServerFailure}}
	if packet, err = failed.Pack(); err != nil {
		return nil // cannot be: it is a bare header
	}
	return packet
}
