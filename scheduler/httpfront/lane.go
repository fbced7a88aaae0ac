package httpfront

import (
	"net/http"
	"net/netip"
	"strings"

	"nearcast/cdn"
	"nearcast/internal/clientip"
	"nearcast/internal/web/lane"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/view"
)

// visitors answers in the loops of connections.
type visitors struct{ *Server }

// visitor is what is known of a connection's other end.
type visitor struct {
	addr netip.Addr

	view   *view.View // for which the following holds
	host   string     // that was asked for last
	domain cdn.Domain // what it means; "" if it is no domain
	wrong  error      // why
	served bool       // it is a site's

	request redirect.Request // memory for what is asked in the lane
}

// maxKeptHost is the longest host that a connection remembers.
const maxKeptHost = 255

// job is the memory for a query and its answer.
type job struct {
	respond       func(dst, query []byte, from respond.Peer) []byte
	query, answer []byte
}

// maxKept is how large the memory may be that is used again.
const maxKept = 16 << 10

func (s *Server) newJob() *job { return &job{respond: s.cfg.NewResponder()} }

func (s *Server) takeJob() *job { return s.jobs.Get().(*job) } //nolint:errcheck,forcetypeassert // there is nothing else in it

func (s *Server) giveJob(j *job) {
	if cap(j.query) > maxKept {
		j.query = nil
	}
	if cap(j.answer) > maxKept {
		j.answer = nil
	}
	s.jobs.Put(j)
}

func visitorOf(p *lane.Peer) *visitor {
	c, ok := p.Memo.(*visitor)
	if !ok {
		c = &visitor{addr: parseAddr(p.Client)}
		p.Memo = c
	}
	return c
}

func parseAddr(text string) netip.Addr {
	addr, _ := netip.ParseAddr(text) // none for what is no address
	return addr.Unmap().WithZone("")
}

// at finds out what a host is.
func (c *visitor) at(v *view.View, host string) {
	if c.host == host && c.view == v && host != "" {
		return
	}
	c.domain, c.wrong = cdn.ParseHost(host)
	c.served = c.wrong == nil && v != nil && v.Zones.Host(c.domain).Domain != ""
	c.view, c.host = nil, ""
	if len(host) <= maxKeptHost {
		c.domain = cdn.Domain(strings.Clone(string(c.domain))) // host lies in the loop's memory
		c.view, c.host = v, strings.Clone(host)
	}
}

// Take implements [lane.Handler].
func (s visitors) Take(p *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	c, v := visitorOf(p), s.cfg.View()
	c.at(v, r.Host)
	path, query, _ := strings.Cut(r.Target, "?")
	isDNS := path == pathDNS && !c.served
	switch {
	case isDNS && r.Method != http.MethodOptions:
	case isDNS, path == pathResolve && !c.served, r.Method != http.MethodGet && r.Method != http.MethodHead:
		return false
	}
	j, answer := (*job)(nil), reply{}
	if isDNS {
		if s.cfg.NewResponder == nil {
			return false
		}
		j = s.takeJob()
		answer = s.query(j, v, c.addr, r, query)
	} else {
		var relayed bool
		if answer, relayed = s.visit(c, v, r, p.TLS != nil || s.saysTLS(v, c.addr, laneValue(r, forwardedProto))); relayed {
			return false
		}
	}
	if !answer.toLane(a, r.Method == http.MethodHead, s.dates.at(r.At)) {
		return false
	}
	a.Memo = nil
	if j != nil {
		a.Memo = j // has the content
	}
	return true
}

// Sent implements [lane.Handler].
func (s visitors) Sent(_ *lane.Peer, _ *lane.Request, a *lane.Answer, _ lane.End) {
	j, ok := a.Memo.(*job)
	if !ok {
		s.metrics.redirects.count(a.Status)
		return
	}
	s.metrics.queries.count(a.Status)
	s.giveJob(j)
	a.Memo = nil
}

// visit is for a visitor's request.
func (s visitors) visit(c *visitor, v *view.View, r *lane.Request, secure bool) (answer reply, relayed bool) {
	c.request = redirect.Request{
		Method: r.Method, Host: string(c.domain), Target: r.Target, Client: s.laneClient(v, c.addr, r), Secure: secure, Origin: laneValue(r, originField), Now: r.At,
	}
	defer func() { c.request = redirect.Request{} }() // its strings lie in the loop's memory
	o := redirect.Outcome{Status: http.StatusBadRequest}
	if c.wrong != nil {
		o.Problem = c.wrong.Error()
	} else if o = s.cfg.Redirect(v, &c.request); o.Relay != nil {
		return reply{}, true // noted when it is
	}
	answer = replyTo(&o)
	s.note(&c.request, &o, &answer)
	return answer, false
}

// replyTo is the reply that an outcome asks for.
func replyTo(o *redirect.Outcome) reply {
	if o.Location == "" {
		return problemReply(&problem{o.Status, o.Problem})
	}
	r := reply{status: o.Status, location: o.Location, maxAge: o.MaxAge, origin: o.Origin}
	if o.MaxAge <= 0 {
		r.maxAge = -1
	}
	return r
}

// laneValue returns the value of a field, "" if there is none, or more than one.
func laneValue(r *lane.Request, name string) (value string) {
	found := false
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len(name) && strings.EqualFold(f.Name, name) {
			if found {
				return ""
			}
			value, found = f.Value, true
		}
	}
	return value
}

// query answers a request of DNS over HTTPS. Scripts may read the answer, as that of any resolver for everybody.
func (s visitors) query(j *job, v *view.View, addr netip.Addr, r *lane.Request, query string) reply {
	answer := s.answerQuery(j, v, addr, r, query)
	answer.origin = everybody
	return answer
}

func (s visitors) answerQuery(j *job, v *view.View, addr netip.Addr, r *lane.Request, query string) reply {
	asked := r.Content
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		var p *problem
		if asked, p = appendQuery(j.query[:0], query); p != nil {
			return problemReply(p)
		}
		j.query = asked
	case http.MethodPost:
		media, one := "", false
		for i := range r.Fields {
			if strings.EqualFold(r.Fields[i].Name, "content-type") {
				media, one = r.Fields[i].Value, !one
			}
		}
		if !one || !isDNSMedia(media) {
			return problemReply(wrongMedia)
		}
	default:
		return problemReply(wrongMethod)
	}
	return j.reply(asked, s.laneClient(v, addr, r))
}

var (
	wrongMedia  = &problem{http.StatusUnsupportedMediaType, "the content must be " + mediaDNS}                  //nolint:gochecknoglobals // constant
	tooLarge    = &problem{http.StatusRequestEntityTooLarge, "a DNS query has 65,535 octets at most"}           //nolint:gochecknoglobals // constant
	wrongMethod = &problem{http.StatusMethodNotAllowed, "DNS over HTTPS is GET or POST (RFC 8484 section 4.1)"} //nolint:gochecknoglobals // constant
	noQuery     = &problem{http.StatusBadRequest, "that is no DNS query"}                                       //nolint:gochecknoglobals // constant
)

// reply answers a query.
func (j *job) reply(query []byte, client netip.Addr) reply {
	answer := j.respond(j.answer[:0], query, respond.Peer{Addr: client, Transport: respond.HTTPS})
	if len(answer) == 0 {
		return problemReply(noQuery)
	}
	j.answer = answer
	return reply{status: http.StatusOK, dns: true, maxAge: freshness(answer), content: answer}
}

// laneClient returns who asks.
func (s *Server) laneClient(v *view.View, addr netip.Addr, r *lane.Request) netip.Addr {
	trail := s.trail(v, addr)
	for i := len(r.Fields) - 1; i >= 0 && !trail.Done(); i-- {
		if f := &r.Fields[i]; len(f.Name) == len(forwardedFor) && strings.EqualFold(f.Name, forwardedFor) {
			trail.Back(f.Value)
		}
	}
	return trail.Client()
}

// Fields, in canonical form.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	originField    = "Origin"
)

// saysTLS reports whether a trusted proxy at the other end says that it was asked over TLS.
func (s *Server) saysTLS(v *view.View, addr netip.Addr, proto string) bool {
	return strings.EqualFold(proto, "https") && s.cfg.Proxies != nil && v != nil && clientip.Proxies(s.cfg.Proxies(v)).Trust(addr)
}

// trail begins at a connection's other end.
func (s *Server) trail(v *view.View, addr netip.Addr) clientip.Trail {
	var proxies clientip.Proxies
	if s.cfg.Proxies != nil && v != nil {
		proxies = s.cfg.Proxies(v)
	}
	return proxies.Trail(addr)
}
