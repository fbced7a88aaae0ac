package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// maxJoins bounds how often a request tries to share somebody else's fill before it
// makes its own.
const maxJoins = 4

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

	stored   *store.Object      // what was stored when last looked
	decision httpcache.Decision // about stored
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.now()
	x := &exchange{s: s, w: w, r: r, rc: http.NewResponseController(w)}
	x.rec = record{start: start, method: r.Method, cache: wordError}
	defer x.finish()
	x.extendWrite()
	t := s.tables.Load()
	if t == nil {
		x.fail(http.StatusServiceUnavailable, "no configuration has been applied yet")
		return
	}
	if !x.identify(t) {
		return
	}
	if looped(r.Header["Cdn-Loop"], s.loopID) {
		x.fail(http.StatusLoopDetected, "the request has been here before (CDN-Loop)")
		return
	}
	x.answer() //nolint:contextcheck // the request carries the context
}

// finish counts and records the request, whatever became of it.
func (x *exchange) finish() {
	p := recover()
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
		x.s.metrics.panics.Inc()
	}
	x.s.metrics.observe(&x.rec, x.s.now())
	x.s.record(x)
	if p != nil {
		panic(p) // net/http logs it and closes the connection
	}
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
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	target, err := cdn.NewTarget(scheme, domain, pathAndQuery(r.RequestURI))
	if err != nil {
		x.fail(http.StatusBadRequest, err.Error())
		return false
	}
	x.query = &query{tables: t, site: site, method: r.Method, client: clientAddr(r), via: protocol(r)}
	x.trust(&target)
	x.target, x.key = target, target.Key(site.Name)
	rule, _ := site.RouteFor(target.Path)
	x.policy = t.policy(rule)
	x.header = httpcache.EndToEnd(r.Header)
	for _, name := range [...]string{hopField, "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
		x.header.Del(name) // whoever sent them cannot be held to them
	}
	x.rec.site, x.rec.url, x.rec.client = site.Name, target.String(), x.client
	return true
}

// trust takes over what another node says about the visitor, if it is one.
func (x *exchange) trust(target *cdn.Target) {
	url := func(scheme string) string {
		t := *target
		t.Scheme = scheme
		return t.String()
	}
	visitor := x.r.Header.Get("X-Forwarded-For")
	h, ok := verifyHop(x.s.now(), x.s.cfg.Secret, x.r.Header.Get(hopField), visitor, url)
	if ok {
		x.hop, x.client, target.Scheme = h, visitor, h.scheme
	}
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

func clientAddr(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// protocol is the received-protocol of Via (RFC 9110 section 7.6.3).
func protocol(r *http.Request) string {
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		return "1.0"
	}
	return "1.1"
}

// looped reports whether CDN-Loop (RFC 8586) has this very node.
func looped(lines []string, id string) bool {
	for member := range strings.SplitSeq(joinLines(lines), ",") {
		if strings.TrimSpace(member) == "nearcast;node="+id {
			return true
		}
	}
	return false
}

// answer decides and does it.
func (x *exchange) answer() {
	if !x.caughtUp() {
		x.decision = httpcache.Decision{Verdict: httpcache.Pass, Reason: "behind"}
		x.pass("bypass")
		return
	}
	x.look()
	switch x.decision.Verdict {
	case httpcache.Fresh:
		x.sendStored(x.stored, wordHit, cacheStatus{hit: true})
	case httpcache.Stale:
		x.sendStored(x.stored, wordStale, cacheStatus{hit: true, detail: x.decision.Reason})
		x.refresh()
	case httpcache.Pass:
		x.pass(passReason(x.decision.Reason))
	default:
		x.forward()
	}
}

// caughtUp waits for the purges that the asking node has applied and this one has not
// yet. Without that, the asking node would fetch purged content back.
func (x *exchange) caughtUp() bool {
	ctx, cancel := context.WithTimeout(x.r.Context(), catchUpTimeout)
	defer cancel()
	return x.s.applied.wait(ctx, x.hop.revision)
}

// look takes what is stored and decides about it.
func (x *exchange) look() {
	x.stored = x.s.store.Get(x.key, x.header)
	var stored *httpcache.Response
	if x.stored != nil {
		stored = x.stored.Response
	}
	x.decision = httpcache.Decide(x.s.now(), x.cacheRequest(), stored, x.policy)
}

// passReason is the fwd parameter for a reason to pass (RFC 9211 section 2.2).
func passReason(reason string) string {
	switch reason {
	case "method":
		return "method"
	case "bypass":
		return "bypass"
	}
	return "request"
}

// forward answers from a fill: somebody else's, or this request's own.
func (x *exchange) forward() {
	if x.stored == nil && x.method == http.MethodHead {
		x.pass("miss") // a whole body is not fetched for a HEAD
		return
	}
	shared := !x.s.unshared.Has(x.s.now(), x.key)
	if !shared && x.stored == nil && x.header["Range"] != nil {
		x.pass("request") // probably not stored anyway: ask for no more than is wanted
		return
	}
	for joins := 1; ; joins++ {
		reader, own := x.join(shared)
		if reader == nil {
			x.sendFound()
			return
		}
		settled, answered := x.read(reader, own)
		if answered {
			return
		}
		shared = shared && settled && joins < maxJoins
	}
}

// join finds or starts a fill. The last look under the group's lock closes the gap
// between a fill that has just been stored and this request's first look. It returns
// nil if that look found a response to serve, or if the node is closing.
func (x *exchange) join(shared bool) (r *fill.Reader[*head], own bool) {
	var accept func(*head) bool
	if shared {
		accept = x.accepts
	}
	return x.s.fills.Join(x.key, shared, accept, func() fill.Run[*head] {
		x.look()
		if x.decision.Verdict == httpcache.Fresh {
			return nil
		}
		return x.s.fetch(x.query, x.stored)
	})
}

// accepts reports whether the head of a fill answers this request as well.
func (x *exchange) accepts(h *head) bool {
	switch {
	case !h.shared:
		return false
	case h.renewed != nil:
		return x.usable(h.renewed.Response)
	case h.response != nil:
		return x.usable(h.response)
	}
	return true // a failure is everybody's
}

// usable reports whether a response that came for another request may answer this one: what
// would not be used from the store is not used on its way there either.
func (x *exchange) usable(r *httpcache.Response) bool {
	switch httpcache.Decide(x.s.now(), x.cacheRequest(), r, x.policy).Verdict {
	case httpcache.Miss, httpcache.Pass:
		return false
	default:
		return true
	}
}

func (x *exchange) sendFound() {
	if x.decision.Verdict == httpcache.Fresh {
		x.sendStored(x.stored, wordHit, cacheStatus{hit: true})
		return
	}
	x.fail(http.StatusServiceUnavailable, "the node is closing")
}

// read waits for a fill's head and answers with it. If the fill is not for this request,
// answered is false, and settled says whether it is worth trying to share another one.
func (x *exchange) read(reader *fill.Reader[*head], own bool) (settled, answered bool) {
	defer reader.Close()
	var patience <-chan time.Time // one's own fill is bounded by the upstream's timeouts
	if !own {
		timer := time.NewTimer(headTimeout)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-reader.Ready():
	case <-patience:
		return false, false
	case <-x.r.Context().Done():
		x.abort(x.r.Context().Err())
	}
	h := reader.Head()
	if !own && !x.accepts(h) {
		return h.shared, false
	}
	x.sendFill(reader, h, own)
	return true, true
}

// refresh starts a fill in the background, if none runs.
func (x *exchange) refresh() {
	q := x.query
	if q.method != http.MethodGet {
		return
	}
	reader, _ := x.s.fills.Join(q.key, true, x.accepts, func() fill.Run[*head] {
		x.look()
		if x.decision.Verdict == httpcache.Fresh {
			return nil
		}
		return x.s.fetch(q, x.stored)
	})
	if reader != nil {
		reader.Close()
	}
}

// abort ends the exchange without an end of the message, so that the visitor cannot take
// what it got for all there is.
func (x *exchange) abort(err error) {
	if !errors.Is(err, context.Canceled) {
		x.s.log.Debug("breaking off a response", "url", x.rec.url, "error", err)
	}
	panic(http.ErrAbortHandler)
}
