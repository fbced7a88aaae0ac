package httpfront

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/web/grammar"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/view"
)

// ServeHTTP answers what the lane has left: with the same functions, and what they have in common.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, c := s.cfg.View(), visitor{addr: parseAddr(clientip.Text(r.RemoteAddr))}
	c.at(v, r.Host)
	target := grammar.PathAndQuery(r.RequestURI)
	path, _, _ := strings.Cut(target, "?")
	client := s.clientOf(v, c.addr, r)
	switch {
	case path == pathDNS && !c.served && s.cfg.NewResponder != nil:
		if isPreflight(r) {
			s.metrics.queries.count(http.StatusNoContent)
			allowScripts(w)
			return
		}
		s.serveDNS(w, r, client)
	case path == pathResolve && !c.served && s.cfg.Resolve != nil:
		if isPreflight(r) {
			allowScripts(w)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", everybody)
		s.cfg.Resolve.ServeHTTP(w, askedBy(r, c.addr, client))
	default:
		s.serveVisitor(w, r, v, &redirect.Request{
			Method: r.Method, Host: string(c.domain), Target: target, Client: client, Now: time.Now(),
			Secure: r.TLS != nil || s.saysTLS(v, c.addr, valueOf(r, forwardedProto)), Origin: valueOf(r, originField), Preflight: isPreflight(r),
		}, &c)
	}
}

// valueOf returns the value of a field, "" if there is none, or more than one.
func valueOf(r *http.Request, name string) string {
	if values := r.Header[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// isPreflight reports whether a browser asks what a script of another origin may do (Fetch Standard, CORS-preflight request).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header[originField]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// allowScripts answers that scripts of all origins may ask what any program may.
func allowScripts(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", everybody)
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
	h.Set("Access-Control-Allow-Headers", "Accept, Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusNoContent)
}

// askedBy is a request whose other end is the client.
func askedBy(r *http.Request, peer, client netip.Addr) *http.Request {
	if client == peer {
		return r
	}
	asked := *r
	asked.RemoteAddr = netip.AddrPortFrom(client, 0).String()
	return &asked
}

func (s *Server) serveVisitor(w http.ResponseWriter, r *http.Request, v *view.View, ask *redirect.Request, c *visitor) {
	o := redirect.Outcome{Status: http.StatusBadRequest}
	if c.wrong != nil {
		o.Problem = c.wrong.Error()
	} else {
		o = s.cfg.Redirect(v, ask)
	}
	if o.Relay != nil {
		s.metrics.redirects.count(0)
		s.note(ask, &o, nil)
		s.cfg.Relay(w, r, ask.Client, &o)
		return
	}
	answer := replyTo(&o)
	s.note(ask, &o, &answer)
	s.metrics.redirects.count(answer.status)
	answer.write(w)
}

// serveDNS answers DNS over HTTPS.
func (s *Server) serveDNS(w http.ResponseWriter, r *http.Request, client netip.Addr) {
	j := s.takeJob()
	defer s.giveJob(j)
	answer, p := reply{}, s.readQuery(j, r)
	if p != nil {
		answer = problemReply(p)
	} else {
		answer = j.reply(j.query, client)
	}
	answer.origin = everybody
	s.metrics.queries.count(answer.status)
	answer.write(w)
}

// readQuery reads the query of a request into the job.
func (s *Server) readQuery(j *job, r *http.Request) *problem {
	j.query = j.query[:0]
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		query, p := appendQuery(j.query, r.URL.RawQuery)
		if p == nil {
			j.query = query
		}
		return p
	case http.MethodPost:
	default:
		return wrongMethod
	}
	if types := r.Header["Content-Type"]; len(types) != 1 || !isDNSMedia(types[0]) {
		return wrongMedia
	}
	if r.ContentLength > maxQuery {
		return tooLarge
	}
	body := io.LimitReader(r.Body, maxQuery+1)
	for {
		if len(j.query) == cap(j.query) {
			j.query = append(j.query, 0)[:len(j.query)]
		}
		n, err := body.Read(j.query[len(j.query):cap(j.query)])
		j.query = j.query[:len(j.query)+n]
		switch {
		case len(j.query) > maxQuery:
			return tooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return &problem{http.StatusRequestTimeout, "the content took too long"}
		}
		return &problem{http.StatusBadRequest, "the content could not be read to its end"}
	}
}

// clientOf returns who asks.
func (s *Server) clientOf(v *view.View, addr netip.Addr, r *http.Request) netip.Addr {
	trail, values := s.trail(v, addr), r.Header[forwardedFor]
	for i := len(values) - 1; i >= 0 && !trail.Done(); i-- {
		trail.Back(values[i])
	}
	return trail.Client()
}
