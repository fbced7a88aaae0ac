package edge

import (
	"fmt"
	"net/http"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
)

// Explain says what the node would do with a plain GET of a target. It changes
// nothing, not even what is remembered as recently used.
func (s *Server) Explain(target cdn.Target) cdn.Explanation {
	e := cdn.Explanation{Node: cdn.NodeName(s.name), Decision: "error"}
	t := s.tables.Load()
	if t == nil {
		e.Reason = "no configuration has been applied yet"
		return e
	}
	e.Tier = t.tier
	site, domain, ok := t.routes.Match(target.Domain)
	if !ok {
		e.Reason = "no site is configured for domain " + string(target.Domain)
		return e
	}
	target.Domain = domain
	rule, index := site.RouteFor(target.Path)
	e.Site, e.Key, e.Route = site.Name, target.Key(site.Name), "none"
	if index >= 0 {
		e.Route = fmt.Sprintf("routes[%d]", index)
	}
	e.Next = s.next(t, site, e.Key)
	s.explainDecision(&e, t.policy(rule))
	return e
}

func (s *Server) explainDecision(e *cdn.Explanation, p httpcache.Policy) {
	get := httpcache.Request{Method: http.MethodGet, Header: http.Header{}}
	var stored *httpcache.Response
	if o := s.store.Peek(e.Key, get.Header); o != nil {
		stored = o.Response
	}
	d := httpcache.Decide(s.now(), get, stored, p)
	e.Reason = d.Reason
	e.Age, e.TTL = int64(d.Age/time.Second), int64(d.TTL/time.Second)
	switch d.Verdict {
	case httpcache.Fresh:
		e.Decision = "hit"
	case httpcache.Stale, httpcache.Revalidate:
		e.Decision = "stale"
	case httpcache.Pass:
		e.Decision = "bypass"
	default:
		e.Decision = "miss"
	}
}

// next names whom a miss would ask.
func (s *Server) next(t *tables, site *cdn.Site, key cdn.CacheKey) string {
	if names := t.candidates(key, s.cfg.Usable); len(names) > 0 {
		return string(names[0])
	}
	if len(site.Origin.URLs) == 0 {
		return ""
	}
	return site.Origin.URLs[0]
}
