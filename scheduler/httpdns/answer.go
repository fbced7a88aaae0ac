package httpdns

import (
	"net/http"
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// Answer is the body of an answer.
type Answer struct {
	// Client is whom the answers are for; empty if nobody knows.
	Client string `json:"client_ip,omitempty"`
	// Generation is of the configuration; Epoch and Version of what was measured, zero without.
	Generation cdn.Generation `json:"generation"`
	Epoch      string         `json:"epoch,omitempty"`
	Version    uint64         `json:"version,omitempty"`
	// Answers are for each host, in the order of the request, a host that is there twice once.
	Answers []Host `json:"answers"`
}

// Host is the answer for a host.
type Host struct {
	Host string `json:"host"`
	// Status is 200; 404 if the host is not configured; or 503 if nobody serves it. Error says so in words.
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"`
	// POP is where to go. IPs and IPv6 are addresses in it, those to try first first; of a family that was not asked for there are none.
	POP  cdn.POPName  `json:"pop,omitempty"`
	IPs  []netip.Addr `json:"ips,omitempty"`
	IPv6 []netip.Addr `json:"ipsv6,omitempty"`
	// Port is of HTTP in cleartext, where it is not 80.
	Port  uint16 `json:"port,omitempty"`
	HTTPS *HTTPS `json:"https,omitempty"`
	// TTL is for how long the answer may be used, in seconds; Expires is when that ends, in unix seconds by this server's clock.
	TTL     int   `json:"ttl,omitempty"`
	Expires int64 `json:"expires,omitempty"`
	// Jitter is within how many seconds before the end to ask again, at a moment by chance, so that not all do at once.
	Jitter int `json:"jitter,omitempty"`
	// Scope is the network for which the answer is the same; absent if nothing is known of the visitor.
	Scope *netip.Prefix `json:"scope,omitempty"`
	// Backup are the POPs to use meanwhile if that one fails, the best one first.
	Backup []Backup `json:"backup,omitempty"`
}

// HTTPS is how nodes speak TLS.
type HTTPS struct {
	Port uint16   `json:"port"`
	ALPN []string `json:"alpn"`
}

// Backup is another POP.
type Backup struct {
	POP  cdn.POPName  `json:"pop"`
	IPs  []netip.Addr `json:"ips,omitempty"`
	IPv6 []netip.Addr `json:"ipsv6,omitempty"`
}

const (
	jitterShare = 4 // of the TTL that is one by this
	maxIPs      = 2 // of a family, as in DNS: the domain's owners in the POP
	maxBackups  = 2
)

// answer answers a question.
func (x *request) answer(v *view.View, q *question) Answer {
	a := Answer{Generation: v.Generation}
	if q.client.IsValid() {
		a.Client = q.client.String()
	}
	if v.Chart != nil {
		a.Epoch, a.Version = v.Chart.Version.Epoch, v.Chart.Version.Version
	}
	for i, h := range q.hosts {
		host, reason := x.host(v, q, h, x.now)
		if i == 0 {
			x.noteAnswer(&host, reason)
		}
		a.Answers = append(a.Answers, host)
	}
	return a
}

// host answers for one host. reason is that of the decision, if there was one to make.
func (s *Server) host(v *view.View, q *question, host string, now time.Time) (h Host, reason string) {
	h.Host = host
	domain, ok := find(v, cdn.Domain(host))
	if !ok {
		h.Status, h.Error = http.StatusNotFound, "is not configured on this CDN"
		return h, ""
	}
	ask := decide.Query{Domain: domain, Client: q.client, Now: now}
	d := decide.Answer(v, ask)
	if len(d.Nodes) == 0 {
		h.Status, h.Error = http.StatusServiceUnavailable, "nobody serves it: "+d.Reason
		return h, d.Reason
	}
	h.Status, h.POP = http.StatusOK, d.POP
	h.IPs, h.IPv6 = q.addresses(d.Nodes)
	if v.Port != 80 {
		h.Port = v.Port
	}
	if q.https && v.TLSPort != 0 {
		h.HTTPS = &HTTPS{Port: v.TLSPort, ALPN: v.ALPN(d.POP)}
	}
	h.TTL = s.cfg.TTL(v, domain, &d)
	h.Expires, h.Jitter = now.Unix()+int64(h.TTL), h.TTL/jitterShare
	if scope, err := q.client.Prefix(min(d.Scope, q.client.BitLen())); err == nil && scope.IsValid() {
		h.Scope = &scope
	}
	h.Backup = s.backups(v, q, ask, d.POP)
	return h, d.Reason
}

// addresses are those of nodes, of the families that are wanted.
func (q *question) addresses(nodes []*cdn.Node) (v4, v6 []netip.Addr) {
	for _, n := range nodes {
		if ip := n.IPv4(); q.v4 && ip.IsValid() && len(v4) < maxIPs {
			v4 = append(v4, ip)
		}
		if ip := n.IPv6(); q.v6 && ip.IsValid() && len(v6) < maxIPs {
			v6 = append(v6, ip)
		}
	}
	return v4, v6
}

// backups are what the decision would be if one POP after the other failed, so that policy holds for them too.
func (s *Server) backups(v *view.View, q *question, ask decide.Query, pop cdn.POPName) (all []Backup) {
	ask.Now = time.Time{} // nobody explores in an emergency
	rest := s.without.borrow(v)
	defer s.without.giveBack(rest)
	for range maxBackups {
		if !rest.close(pop) {
			break
		}
		d := decide.Answer(&rest.view, ask)
		if len(d.Nodes) == 0 {
			break
		}
		b := Backup{POP: d.POP}
		b.IPs, b.IPv6 = q.addresses(d.Nodes)
		all = append(all, b)
		pop = d.POP
	}
	return all
}

// find finds the domain of a host that leads to the best POP, as a site's own or as a name of the zone.
func find(v *view.View, host cdn.Domain) (cdn.Domain, bool) {
	found := v.Zones.Host(host)
	return found.Domain, found.Domain != "" && found.Node == nil
}
