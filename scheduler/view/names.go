package view

import (
	"strings"

	"nearcast/cdn"
)

// Kind is what a name of the zone is.
type Kind uint8

// The kinds of name.
const (
	Absent  Kind = iota // the name does not exist, nor does anything below it
	Empty               // nothing is there, but something below it (RFC 8020 section 2)
	Apex                // the zone itself
	Server              // a name server of the zone
	Steered             // a site's domain: answered with the best nodes
	Direct              // a node under a site's domain: answered with that node
)

// Name is a name of the zone.
type Name struct {
	// Kind is what the name is.
	Kind Kind
	// Domain is the site's domain, of a Steered or Direct name.
	Domain cdn.Domain
	// Node is the machine, of a Server or Direct name.
	Node *cdn.Node
}

// addNames fills the table of names. A name server's name wins over a domain that
// happens to be called the same.
func (p *Plan) addNames(s *cdn.Snapshot) {
	p.names = map[cdn.Domain]Name{"": {Kind: Apex}}
	for _, server := range p.Servers {
		part, _ := server.Name.Within(p.Zone)
		p.names[part] = Name{Kind: Server, Node: server.Node}
	}
	for i := range s.Sites {
		for _, d := range s.Sites[i].Domains {
			if p.names[d].Kind <= Empty {
				p.names[d] = Name{Kind: Steered, Domain: d}
			}
			for _, above, ok := strings.Cut(string(d), "."); ok; _, above, ok = strings.Cut(above, ".") {
				if _, known := p.names[cdn.Domain(above)]; !known {
					p.names[cdn.Domain(above)] = Name{Kind: Empty}
				}
			}
		}
	}
}

// Name returns what a name of the zone is; part is what stands in front of the
// zone, in lower case, and empty for the zone itself.
func (p *Plan) Name(part cdn.Domain) Name {
	if n, ok := p.names[part]; ok && n.Kind != Empty {
		return n
	}
	if first, rest, ok := strings.Cut(string(part), "."); ok {
		site, node := p.names[cdn.Domain(rest)], p.nodes[cdn.NodeName(first)]
		if site.Kind == Steered && node != nil {
			return Name{Kind: Direct, Domain: site.Domain, Node: node}
		}
	}
	return p.names[part]
}

// Serves reports whether a site has the domain.
func (p *Plan) Serves(d cdn.Domain) bool { return p.names[d].Kind == Steered }
