package edge

import (
	"fmt"
	"net/http"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/edge/store"
)

// Explain says what the node would do with a GET. It changes
// nothing, not even what is remembered as recently used.
func (s *Server) Explain(question cdn.Question) cdn.Explanation {
	e := cdn.Explanation{Node: cdn.NodeName(s.name), Decision: "error"}
	t := s.tables.Load()
	if t == nil {
		e.Reason = "no configuration has been applied yet"
		return e
	}
	e.Tier = t.tier
	target := question.Target
	site, domain, ok := t.routes.Match(target.Domain)
	if !ok {
		e.Reason = "no site is configured for domain " + string(target.Domain)
		return e
	}
	target.Domain = domain
	header := httpcache.EndToEnd(http.Header(question.Header))
	q := &query{tables: t, site: site, target: target, method: http.MethodGet, header: header, country: t.country(question.Client)}
	q.plan = t.rules[site].Request(rules.Request{Method: q.method, Target: target, Header: header, Country: q.country})
	q.key = q.plan.Key
	e.Site, e.Key, e.Variant, e.Route = site.Name, q.key, q.plan.Variant, "none"
	if q.plan.Route >= 0 {
		e.Route = fmt.Sprintf("routes[%d]", q.plan.Route)
	}
	switch {
	case q.plan.Err != nil:
		e.Reason = q.plan.Err.Error()
	case q.plan.Redirect != "":
		e.Decision, e.Reason = "redirect", "to "+q.plan.Redirect
	default:
		e.Next = s.next(q)
		s.explainDecision(&e, q)
	}
	return e
}

func (s *Server) explainDecision(e *cdn.Explanation, q *query) {
	o := s.store.Peek(q.headLookup())
	var stored *httpcache.Response
	if o != nil {
		stored = o.Response
	}
	policy := q.policyOf(stored)
	if o != nil {
		policy.Expired = o.Softened
	}
	d := httpcache.Decide(s.now(), q.cacheRequest(), stored, policy)
	e.Reason, e.Section = d.Reason, d.Section
	if o != nil && !o.Softened.IsZero() {
		e.Reason += ", purged softly"
	}
	e.Age, e.TTL = int64(d.Age/time.Second), int64(d.TTL/time.Second)
	switch d.Verdict {
	case httpcache.Fresh:
		e.Decision = "hit"
		if s.incomplete(o) {
			e.Decision, e.Section = "partial", "RFC 9111 section 3.4"
		}
	case httpcache.Stale, httpcache.Revalidate:
		e.Decision = "stale"
	case httpcache.Pass:
		e.Decision = "bypass"
	case httpcache.Absent:
		e.Decision = "absent"
	default:
		e.Decision = "miss"
	}
}

// incomplete reports whether some of an object's content is not stored.
func (s *Server) incomplete(o *store.Object) bool {
	if !o.Sliced {
		return false
	}
	_, _, missing := s.missing(o, 0, o.Length, true)
	return missing || o.Doubtful
}

// next names whom a miss would ask.
func (s *Server) next(q *query) string {
	if names := q.tables.candidates(q.key, s.cfg.Usable); len(names) > 0 {
		return string(names[0])
	}
	if len(q.site.Origin.URLs) == 0 {
		return ""
	}
	return q.site.Origin.URLs[0]
}
