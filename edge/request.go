package edge

import (
	"net/http"
	"strings"

	"nearcast/cdn"
	"nearcast/edge/coding"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/edge/store"
	"nearcast/edge/visitors"
	"nearcast/internal/clientip"
	"nearcast/internal/onbehalf"
	"nearcast/internal/web/lane"
)

// exchange is one request on its way through the node. It belongs to the goroutine that
// serves the request.
type exchange struct {
	*query
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	rc  *http.ResponseController
	rec record
	hop hop // zero unless another node asks

	relayed bool // by a redirecting front, for the visitor
	back    bool // the visitor was sent back from a node lately

	visitor *visitors.Conn // counts; nil if nobody does

	stored   *store.Object      // what was stored when last looked
	known    bool               // something was stored of the URL then, for this request or for others
	decision httpcache.Decision // about stored
	accept   []string           // the visitor's Accept-Encoding, where the node chooses the coding
	failures int                // of fills of others, see maxSuspects
	whole    bool               // a part has come that does not answer: ask for all
	version  uint64             // of what is stored, at the last look
	looks    int                // how often that was not enough
	anew     bool               // the parts that are stored are of no use: ask upstream whatever is stored
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host == cdn.ProbeHost { // nobody's visit: four who watch a POP ask twice a second each
		s.metrics.probed.Inc()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	start := s.now()
	x := &exchange{s: s, w: w, r: r, rc: http.NewResponseController(w), visitor: visitorOf(lane.Watched(r.Context()))}
	x.rec = record{start: start, client: clientip.Text(r.RemoteAddr), protocol: protocolName(r.ProtoMajor, r.ProtoMinor), method: r.Method, cache: wordError}
	defer x.finish()
	x.extendWrite()
	t := s.tables.Load()
	if t == nil {
		x.failOwn(http.StatusServiceUnavailable, "proxy_configuration_error", "no configuration has been applied yet")
		return
	}
	if x.answersItself() || !x.identify(t) {
		return
	}
	if looped(r.Header["Cdn-Loop"], s.loopID) {
		x.failOwn(http.StatusLoopDetected, "proxy_loop_detected", "the request has been here before (CDN-Loop)")
		return
	}
	if x.ruled() || x.refuses() {
		return
	}
	x.answer() //nolint:contextcheck // the request carries the context
}

// finish counts and records the request, whatever became of it.
func (x *exchange) finish() {
	now := x.s.now()
	x.s.metrics.observe(&x.rec, now)
	x.visitor.Served(x.rec.site, 0, x.rec.ownFailure(), now)
	x.rec.userAgent, x.rec.referer = x.r.UserAgent(), x.r.Referer()
	x.s.records.add(&x.rec, now)
}

// identify finds out what the request is for, in the one normal form, and who asks. It
// reports false after it has answered a request that is for nothing.
func (x *exchange) identify(t *tables) bool {
	r := x.r
	host, err := cdn.ParseHost(r.Host)
	if err != nil {
		x.fail(http.StatusBadRequest, err.Error())
		return false
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		x.fail(http.StatusMethodNotAllowed, "method "+r.Method+" is not served")
		return false
	}
	site, domain, ok := t.routes.Match(host)
	if !ok {
		x.fail(http.StatusNotFound, "no site is configured for domain "+string(host))
		return false
	}
	if x.s.misdirected(t, r.TLS, host, site) {
		x.fail(http.StatusMisdirectedRequest, "this connection was made for another host than "+string(host)+"; connect anew")
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	target, err := cdn.NewTarget(scheme, domain, pathAndQuery(r.RequestURI))
	if err != nil {
		x.fail(http.StatusBadRequest, err.Error())
		return false
	}
	if site.Redirection.Signed && !x.admitted(t, site, host, &target) {
		return false
	}
	header := httpcache.EndToEnd(r.Header)
	if loop := r.Header["Cdn-Loop"]; loop != nil { // nobody may take it off, Connection least of all (RFC 8586 section 2)
		header["Cdn-Loop"] = loop
	}
	x.query = &query{tables: t, site: site, method: r.Method, header: header, client: clientip.Text(r.RemoteAddr), via: protocol(r)}
	x.trust(&target)
	x.target = target
	x.country = x.visitorCountry()
	table := t.rules[site]
	x.plan = table.Request(rules.Request{Method: r.Method, Target: target, Header: header, Country: x.country})
	x.key = x.plan.Key
	x.normaliseAccept()
	dropClaims(r.Method, header, x.plan.Rule)
	x.rec.site, x.rec.target, x.rec.client = site.Name, target, x.client
	return true
}

// normaliseAccept brings the visitor's Accept-Encoding into one of few forms, so that an origin that
// varies by it has few variants to store. Where the node makes the variants itself, upstream
// has one content for all.
func (x *exchange) normaliseAccept() {
	accept := x.header["Accept-Encoding"]
	if x.hop.node != "" { // another node has done it
		return
	}
	if _, codes := x.tables.codings[x.plan.Rule]; codes {
		x.accept, x.header["Accept-Encoding"] = accept, []string{"identity"}
		return
	}
	if x.tables.standalone { // it changes nothing of its own accord
		return
	}
	delete(x.header, "Accept-Encoding")
	if normal := normalAccept(accept); normal != "" {
		x.header["Accept-Encoding"] = []string{normal}
	}
}

// normalAccept is the form of Accept-Encoding in which it goes upstream and selects what is stored.
func normalAccept(lines []string) string {
	return coding.Normalise(lines, []coding.Coding{coding.Brotli, coding.Gzip, coding.Zstd})
}

// ruled answers what the site's routes answer without content: it reports true if it has.
func (x *exchange) ruled() bool {
	if x.plan.Err != nil {
		x.fail(http.StatusBadRequest, x.plan.Err.Error())
		return true
	}
	if preflight, fields := rules.CORS(x.plan.Rule, x.header, x.method); preflight {
		rules.SetCORS(x.w.Header(), fields)
		x.rec.cache = wordPass
		x.head(http.StatusNoContent)
		return true
	}
	if x.plan.Redirect == "" {
		return false
	}
	x.w.Header().Set("Location", x.plan.Redirect)
	x.rec.cache = wordPass
	x.fail(x.plan.RedirectStatus, "see "+x.plan.Redirect)
	return true
}

// trust takes over what another node says about the visitor, if it is one; or a front that relays, which is no tier of the cache.
func (x *exchange) trust(target *cdn.Target) {
	url := func(scheme string) string {
		t := *target
		t.Scheme = scheme
		return t.String()
	}
	visitor := x.r.Header.Get("X-Forwarded-For")
	field, now := x.r.Header.Get(hopField), x.s.now()
	if scheme, ok := onbehalf.Verify(now, x.s.cfg.Secret, field, x.r.Method, visitor, url); ok {
		x.relayed, x.client, target.Scheme = true, visitor, scheme
		x.visitor.Inner()
		return
	}
	h, ok := verifyHop(now, x.s.cfg.Secret, field, visitor, url)
	if ok {
		x.hop, x.client, target.Scheme = h, visitor, h.scheme
		x.visitor.Inner()
	}
}

// visitorCountry returns the country of the visitor, as the node that asks has it, if it is one.
func (x *exchange) visitorCountry() string {
	if country, ok := x.hop.placed(); ok {
		return country
	}
	return x.tables.country(x.client)
}

// pathAndQuery cuts scheme and authority off a request target in absolute form
// (RFC 9112 section 3.2.2); net/http has made the Host of its authority already.
func pathAndQuery(uri string) string {
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri // NewTarget refuses it
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// protocol is the received-protocol of Via (RFC 9110 section 7.6.3).
func protocol(r *http.Request) string {
	switch {
	case r.ProtoMajor == 2:
		return "2"
	case r.ProtoMinor == 0:
		return "1.0"
	}
	return "1.1"
}

// maxLoop bounds how many nodes of this kind of CDN a request may have come through.
const maxLoop = 6

// looped reports whether CDN-Loop (RFC 8586) has this very node, or more nodes than any sensible chain has.
func looped(lines []string, id string) bool {
	infos, _ := httpcache.ParseCDNInfos(lines)
	own := 0
	for _, info := range infos {
		if info.ID == "nearcast" {
			own++
			if info.Parameter("node") == id {
				return true
			}
		}
	}
	return own >= maxLoop
}
