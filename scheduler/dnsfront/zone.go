package dnsfront

import (
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
	"nearcast/scheduler/zone"
)

// Times to live, in seconds.
const (
	steeredTTL = 20   // how long a visitor may stay with a node that has died
	directTTL  = 20   // follows the fleet, like steered answers
	zoneTTL    = 3600 // SOA, NS and their addresses change with the machines only
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

	negative uint32 // for how long negative answers may be kept, in seconds
}

// answer fills in the reply for a name of the zone and returns its code.
func (r *responder) answer() int {
	q := r.req.Question[0]
	name := r.find(q.Name)
	r.negative = name.Zone.Negative
	switch {
	case !name.Exists:
		r.reply.Rcode = dns.RcodeNameError
	case name.Node == nil && name.Domain == "" && !name.Apex: // no records of its own
	default:
		if q.Qtype == dns.TypeANY {
			r.add(r.any(q.Name))
			break
		}
		r.answerName(q, name)
	}
	if len(r.reply.Answer) == 0 { // RFC 2308 sections 2.1 and 2.2
		soa := r.soa(r.zone)
		soa.Hdr.Ttl = r.negative
		r.reply.Ns = append(r.reply.Ns, soa)
	}
	return r.reply.Rcode
}

func (r *responder) answerName(q dns.Question, name *zone.Match) {
	switch {
	case name.Apex:
		r.answerApex(q)
	case name.Domain == "":
		r.add(address(q.Name, q.Qtype, zoneTTL, name.Node)...)
	case name.Node != nil:
		r.add(address(q.Name, q.Qtype, directTTL, name.Node)...)
	default:
		r.steer(q, name.Domain)
	}
}

// find returns what is at a name, which is known to be in the zone.
func (r *responder) find(name string) *zone.Match {
	m := new(zone.Match)
	wire := make([]byte, 256)
	if end, err := dns.PackDomainName(name, wire, 0, nil, false); err == nil {
		r.view.Zones.Find(wire[:end], m)
	}
	if m.Zone == nil {
		m.Zone = r.view.Zones.Fleet()
	}
	return m
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
		Minttl:  r.negative,
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
