package edge

import (
	"net/http"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/edge/store"
)

// query is a request as the rest of the CDN sees it: everything that a fetch needs and
// that outlives the visitor's connection. It is immutable.
type query struct {
	tables  *tables
	site    *cdn.Site
	plan    *rules.Plan
	target  cdn.Target
	key     cdn.CacheKey // of the plan
	method  string
	header  http.Header // end-to-end fields of the visitor's request
	client  string      // the visitor's address
	country string      // the visitor's, as the plan was made for it; empty if unknown
	via     string      // the protocol version of the visitor's request, for Via
}

func (q *query) cacheRequest() httpcache.Request {
	return httpcache.Request{Method: q.method, Header: q.header, Target: q.target.String()}
}

// lookup says what of the store answers the query.
func (q *query) lookup() store.Lookup {
	return store.Lookup{Key: q.key, Variant: q.plan.Variant, Fields: q.header}
}

// headLookup is lookup for those who do not want the body.
func (q *query) headLookup() store.Lookup {
	l := q.lookup()
	l.Head = true
	return l
}

// sharing names what requests like this one have in common, in what is remembered of sharing.
func (q *query) sharing() cdn.CacheKey {
	if q.plan.Variant == "" {
		return q.key
	}
	return q.key + "\x00" + cdn.CacheKey(q.plan.Variant)
}

// policy is what the site's routes add to the origin's headers, for a response of a status; zero
// where there is none yet. Alone, the node adds nothing.
func (q *query) policy(status int) httpcache.Policy {
	rule := q.plan.Rule
	if status != 0 {
		rule, _ = q.plan.Response(status)
	}
	return policyFor(q.plan.Rule, rule, status, q.tables.standalone)
}

// policyFor is the policy of the route that rules a request and the one that rules its response of a status, zero if there is
// none yet.
func policyFor(asked, answered *cdn.Route, status int, standalone bool) httpcache.Policy {
	p := httpcache.Policy{Bypass: asked.Bypass, ObeyRequest: asked.ObeyRequestCacheControl, GuardCookies: !standalone}
	if status == 0 {
		return p
	}
	p.TTL, p.ForceCache = answered.TTL.Std(), answered.ForceCache
	p.StaleWhileRevalidate, p.StaleIfError = answered.StaleWhileRevalidate.Std(), answered.StaleIfError.Std()
	if len(answered.NegativeTTL) > 0 {
		errors := &cdn.Route{NegativeTTL: answered.NegativeTTL}
		if ttl, ok := errors.Lifetime(status); ok {
			p.TTL, p.NegativeTTL = ttl.Std(), map[int]time.Duration{status: ttl.Std()}
		}
	}
	return p
}

// policyOf is the policy for a response that is stored, or that may be nil.
func (q *query) policyOf(r *httpcache.Response) httpcache.Policy {
	if r == nil {
		return q.policy(0)
	}
	return q.policy(r.Status)
}

// standsIn reports whether what is stored may be used although upstream has failed.
func (q *query) standsIn(now time.Time, o *store.Object, disconnected bool) bool {
	policy := q.policyOf(o.Response)
	policy.Expired = o.Softened
	return httpcache.AfterErrorFor(now, q.cacheRequest(), o.Response, policy, disconnected)
}

// newObject makes an object of what came for the query, but for its body and tags.
func (q *query) newObject(id store.ID, r *httpcache.Response, born store.Epoch, length int64) *store.Object {
	url := string(q.target.Domain) + q.target.RequestURI()
	if strings.HasSuffix(string(q.key), url) {
		url = string(q.key)[len(q.key)-len(url):] // it takes no room of its own
	}
	return &store.Object{ID: id, Key: q.key, Variant: q.plan.Variant, Born: born, URL: url, Response: r, Length: length}
}

// outgoing returns the fields to send upstream, to be changed freely.
func (q *query) outgoing(s *Server) http.Header {
	h := q.header.Clone()
	if h["User-Agent"] == nil {
		h["User-Agent"] = nil // keeps net/http from naming itself
	}
	h.Set("X-Forwarded-For", q.client)
	h.Set("X-Forwarded-Proto", q.target.Scheme)
	appendMember(h, "Via", q.via+" "+s.name)
	appendMember(h, "Cdn-Loop", "nearcast;node="+s.loopID)
	return h
}

// appendMember adds a member to the end of a list field.
func appendMember(h http.Header, name, member string) {
	if lines := h[name]; len(lines) > 0 {
		member = joinLines(lines) + ", " + member
	}
	h[name] = []string{member}
}
