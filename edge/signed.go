package edge

import (
	"net/http"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/internal/signedurl"
)

// admission is what comes of the signature of a redirect.
type admission struct {
	valid  bool             // the request may be answered here
	direct bool             // it is for a node's own name
	ticket signedurl.Ticket // what the parameter says, proven or not; zero if there is none
}

// admission takes the signature out of a target of a site with signed redirects. Whoever asks for a node's own name must have one; the site's own
// names need none, but what is left there of one is not the site's either.
func (s *Server) admission(t *tables, host cdn.Domain, target *cdn.Target, now time.Time) admission {
	query, has, sign := signedurl.Cut(target.Query, target.HasQuery)
	target.Query, target.HasQuery = query, has
	a := admission{valid: true, direct: t.routes.Names(host), ticket: sign.Ticket}
	if a.direct {
		a.valid = sign.Ticket.Fresh(now) && sign.Proves(s.cfg.RedirectKey, string(host), target.RequestURI())
	}
	return a
}

// admitted reports whether the request may be answered here, and takes the signature out of its target. If it may not, it sends the visitor to the
// site's own domain, with a mark by which whoever redirects there knows how often that has been tried.
func (x *exchange) admitted(t *tables, site *cdn.Site, host cdn.Domain, target *cdn.Target) bool {
	a := x.s.admission(t, host, target, x.s.now())
	if a.valid {
		x.back = !a.direct && a.ticket.Fresh(x.s.now())
		return true
	}
	x.rec.site, x.rec.target, x.rec.cache = site.Name, *target, wordPass
	location := target.Scheme + "://" + string(target.Domain) + x.portOf(t) + markedURI(target, a.ticket)
	x.w.Header().Set("Location", location)
	x.w.Header().Set("Cache-Control", "no-store")
	status := http.StatusFound
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		status = http.StatusTemporaryRedirect // the method stays
	}
	x.fail(status, "this node's own name needs a signature that is still good; see "+location)
	return false
}

func markedURI(target *cdn.Target, ticket signedurl.Ticket) string {
	if ticket.Hop == 0 {
		return target.RequestURI()
	}
	return signedurl.Mark(target.RequestURI(), ticket)
}

// portOf is the port of the fleet, as a URL has it, for the scheme of the visitor's connection.
func (x *exchange) portOf(t *tables) string {
	port, usual := t.port, uint16(80)
	if x.r.TLS != nil {
		port, usual = t.tlsPort, 443
	}
	if port == usual || port == 0 {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}
