package view

import "nearcast/cdn"

// everyRequest is the redirection of sites that say nothing of it.
var everyRequest cdn.Redirection //nolint:gochecknoglobals // nobody changes it

func (p *Plan) addRedirections(s *cdn.Snapshot) {
	p.https = s.Fleet.HTTPS
	p.redirections = make(map[cdn.Domain]*cdn.Redirection)
	for i := range s.Sites {
		r := &s.Sites[i].Redirection
		if !r.Off && !r.Signed && r.MinSize == 0 && len(r.Paths) == 0 {
			continue
		}
		for _, d := range s.Sites[i].Domains {
			p.redirections[d] = r
		}
	}
}

// Redirection is how requests for a domain are redirected: as its site says, or all of them. It must not be changed.
func (p *Plan) Redirection(d cdn.Domain) *cdn.Redirection {
	if r := p.redirections[d]; r != nil {
		return r
	}
	return &everyRequest
}

// ALPN are the protocols that a POP's nodes speak over TLS, the preferred one first; nil if they do not. They must not be changed.
func (p *Plan) ALPN(pop cdn.POPName) []string {
	at := p.POP(pop)
	switch {
	case p.https == nil:
		return nil
	case at >= 0 && len(p.sites[at].ALPN) > 0:
		return p.sites[at].ALPN
	case len(p.https.ALPN) > 0:
		return p.https.ALPN
	}
	return usualALPN
}

var usualALPN = []string{"h2", "http/1.1"} //nolint:gochecknoglobals // nobody changes it
