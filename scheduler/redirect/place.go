package redirect

import (
	"net/http"
	"net/netip"
	"strconv"

	"nearcast/cdn"
	"nearcast/scheduler/view"
	"nearcast/scheduler/zone"
)

// place is where a visitor may be sent: a node's own name for a domain. It is made by placeOf only, of values of the configuration.
type place struct {
	scheme string
	node   cdn.NodeName // of a node of the view
	domain cdn.Domain   // as the configuration has it
	zone   cdn.Domain   // the fleet's
	port   uint16       // zero: the scheme's
}

// placeOf returns the place of a node that was decided on, for a name that was found in the view.
func placeOf(v *view.View, found *zone.HostMatch, node *cdn.Node, secure bool) place {
	p := place{scheme: "http", node: node.Name, domain: found.Domain, zone: v.Zone, port: v.Port}
	usual := uint16(80)
	if secure && v.TLSPort != 0 {
		p.scheme, p.port, usual = "https", v.TLSPort, 443
	}
	if p.port == usual {
		p.port = 0
	}
	return p
}

// host is the place's name.
func (p *place) host() string {
	return string(p.node) + "." + string(p.domain) + "." + string(p.zone)
}

// location returns the URL of a path and query there. They are those of a target, so that they begin with "/", which ends the host whatever follows.
func (p *place) location(t *cdn.Target) string {
	query := ""
	if t.HasQuery {
		query = "?"
	}
	if p.port == 0 {
		return p.scheme + "://" + string(p.node) + "." + string(p.domain) + "." + string(p.zone) + t.Path + query + t.Query
	}
	var digits [6]byte
	port := strconv.AppendUint(append(digits[:0], ':'), uint64(p.port), 10)
	return p.scheme + "://" + string(p.node) + "." + string(p.domain) + "." + string(p.zone) + string(port) + t.Path + query + t.Query
}

// statusOf keeps the method: clients may turn a POST into a GET on 302 (RFC 9110 section 15.4.3).
func statusOf(method string) int {
	if method == http.MethodGet || method == http.MethodHead {
		return http.StatusFound
	}
	return http.StatusTemporaryRedirect
}

// addressOf is where a node serves, in cleartext or over TLS, by the configuration.
func addressOf(v *view.View, node *cdn.Node, secure bool) netip.AddrPort {
	if len(node.Addresses) == 0 {
		return netip.AddrPort{}
	}
	if secure {
		return netip.AddrPortFrom(node.Addresses[0], v.TLSPort)
	}
	return netip.AddrPortFrom(node.Addresses[0], v.Port)
}
