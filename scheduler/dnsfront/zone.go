package dnsfront

import (
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// Times to live, in seconds.
const (
	steeredTTL = 20   // how long a visitor may stay with a node that has died
	directTTL  = 20   // follows the fleet, like steered answers
	zoneTTL    = 3600 // SOA, NS and their addresses change with the machines only
	// negativeTTL is SOA.minimum (RFC 2308 section 4). It is short so that a domain
	// that somebody tried before adding it works soon afterwards.
	negativeTTL = 10
)

// maxAddresses is how many nodes are put into an answer: browsers try the second
// by themselves when the first has died.
const maxAddresses = 2

// responder makes one answer from one view.
type responder struct {
	*exchange

	view    *view.View
	zone    string // with its final dot
	metrics *metrics
}

// answer fills in the reply for a name of the zone and returns its code.
func (r *responder) answer() int {
	q := r.req.Question[0]
	name := r.view.Name(r.part(q.Name))
	switch name.Kind {
	case view.Absent:
		r.reply.Rcode = dns.RcodeNameError
	case view.Empty: // no records of its own
	default:
		if q.Qtype == dns.TypeANY {
			r.add(r.any(q.Name))
			break
		}
		r.answerName(q, name)
	}
	if len(r.reply.Answer) == 0 { // RFC 2308 sections 2.1 and 2.2
		soa := r.soa(r.zone)
		soa.Hdr.Ttl = negativeTTL
		r.reply.Ns = append(r.reply.Ns, soa)
	}
	return r.reply.Rcode
}

func (r *responder) answerName(q dns.Question, name view.Name) {
	switch name.Kind {
	case view.Apex:
		r.answerApex(q)
	case view.Server:
		r.add(address(q.Name, q.Qtype, zoneTTL, name.Node)...)
	case view.Steered:
		r.steer(q, name.Domain)
	case view.Direct:
		r.add(address(q.Name, q.Qtype, directTTL, name.Node)...)
	default: // no such name, or nothing at it: there is nothing to add
	}
}

// part returns what stands in front of the zone, in lower case. The name is known
// to be in the zone, label by label, so that the zone's text is at its end.
func (r *responder) part(name string) cdn.Domain {
	name = dns.CanonicalName(name)
	part := name[:len(name)-len(r.zone)]
	if part != "" {
		part = part[:len(part)-1]
	}
	return cdn.Domain(part)
}

func (r *responder) add(rrs ...dns.RR) { r.reply.Answer = append(r.reply.Answer, rrs...) }

// steer answers with the addresses of the best nodes for the client.
func (r *responder) steer(q dns.Question, domain cdn.Domain) {
	if q.Qtype != dns.TypeA && q.Qtype != dns.TypeAAAA {
		return
	}
	d := decide.Answer(r.view, decide.Query{Domain: domain, Client: r.client.addr, Now: time.Now(), Alone: r.client.subnet == nil})
	for _, node := range d.Nodes {
		if len(r.reply.Answer) == maxAddresses {
			break
		}
		r.add(address(q.Name, q.Qtype, steeredTTL, node)...)
	}
	if len(r.reply.Answer) > 0 { // resolvers keep negative answers for everybody, RFC 7871 section 7.4
		r.client.scope(d.Scope)
		r.metrics.answers.WithLabelValues(string(d.POP), d.Reason).Inc()
	}
}

func (r *responder) answerApex(q dns.Question) {
	switch q.Qtype {
	case dns.TypeSOA:
		r.add(r.soa(q.Name))
	case dns.TypeNS:
		for _, server := range r.view.Servers {
			host := dns.Fqdn(string(server.Name))
			r.add(&dns.NS{Hdr: header(q.Name, dns.TypeNS, zoneTTL), Ns: host})
			r.reply.Extra = append(r.reply.Extra, address(host, dns.TypeA, zoneTTL, server.Node)...)
			r.reply.Extra = append(r.reply.Extra, address(host, dns.TypeAAAA, zoneTTL, server.Node)...)
		}
	}
}

// soa returns the start of authority. Its serial is the configuration's number:
// every server with the same configuration says the same.
func (r *responder) soa(owner string) *dns.SOA {
	return &dns.SOA{
		Hdr:     header(owner, dns.TypeSOA, zoneTTL),
		Ns:      "ns1." + r.zone,
		Mbox:    "hostmaster." + r.zone,
		Serial:  uint32(r.view.Generation), //nolint:gosec // serials wrap, RFC 1982
		Refresh: 3600,
		Retry:   600,
		Expire:  604800,
		Minttl:  negativeTTL,
	}
}

// any answers "everything" with as little as possible (RFC 8482 section 4.2).
func (r *responder) any(owner string) dns.RR {
	return &dns.HINFO{Hdr: header(owner, dns.TypeHINFO, zoneTTL), Cpu: "RFC8482"}
}

// address returns the node's first address of the family that is asked for, if any.
func address(owner string, qtype uint16, ttl uint32, node *cdn.Node) []dns.RR {
	for _, addr := range node.Addresses {
		addr = addr.Unmap()
		switch {
		case qtype == dns.TypeA && addr.Is4():
			return []dns.RR{&dns.A{Hdr: header(owner, qtype, ttl), A: addr.AsSlice()}}
		case qtype == dns.TypeAAAA && addr.Is6():
			return []dns.RR{&dns.AAAA{Hdr: header(owner, qtype, ttl), AAAA: addr.AsSlice()}}
		}
	}
	return nil
}

func header(owner string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
