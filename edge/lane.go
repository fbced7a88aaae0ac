package edge

import (
	"net/http"
	"time"
	"unsafe"

	"nearcast/cdn"
	"nearcast/edge/coding"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/edge/shed"
	"nearcast/edge/store"
	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// hitLane answers fresh hits out of memory, in the loop of the connection. It decides by the same functions as an
// exchange, and leaves to that whatever needs more than what is stored: of what is in memory it allocates nothing, and its
// answers are those of the exchange but for the order of the fields.
type hitLane struct{ *Server }

// names are those of the fields that the lane writes itself.
var names = struct{ age, cacheStatus, cacheControl, contentLength, contentRange, date lane.Name }{ //nolint:gochecknoglobals // constants
	lane.NewName("Age"), lane.NewName("Cache-Status"), lane.NewName("Cache-Control"),
	lane.NewName("Content-Length"), lane.NewName("Content-Range"), lane.NewName("Date"),
}

// note is what the lane remembers of an answer until it is sent.
type note struct {
	start  time.Time
	site   *cdn.Site
	target cdn.Target
}

// elsewhere are the kinds of fields with which a request is none for the lane.
const elsewhere = lane.Precondition | lane.Authorization | lane.Node | lane.Loop

// Take implements [lane.Handler].
func (l hitLane) Take(p *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	t := l.tables.Load()
	if t == nil || r.Kinds&elsewhere != 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	v := l.visit(p)
	if !v.at(t, p, r.Host) {
		return false
	}
	defer v.tidy()
	v.request = r
	n := noteOf(a)
	n.start, n.site = l.timeOf(r.At), v.site
	var err error
	if n.target, err = cdn.NewTarget(v.scheme, v.domain, r.Target); err != nil {
		return false
	}
	if v.name != "" {
		if in := l.admission(t, v.name, &n.target, n.start); !in.valid {
			return false
		}
	}
	h := hand{visit: v, request: r, answer: a, now: n.start, target: n.target}
	return h.answered()
}

// timeOf is the cache's time at a moment that the loop has looked up, which spares looking it up again unless the
// cache has a clock of its own.
func (l hitLane) timeOf(at time.Time) time.Time {
	if l.cfg.Now != nil {
		return l.now()
	}
	return at
}

func noteOf(a *lane.Answer) *note {
	n, ok := a.Memo.(*note)
	if !ok {
		n = new(note)
		a.Memo = n
	}
	return n
}

// Sent implements [lane.Handler].
func (l hitLane) Sent(p *lane.Peer, r *lane.Request, a *lane.Answer, how lane.End) {
	n := noteOf(a)
	end := l.timeOf(how.At)
	l.metrics.hit(a.Status, how.Sent, end.Sub(n.start))
	visitorOf(p.Watched).Served(n.site.Name, how.Sent, false, end)
	if l.records.on() {
		l.records.add(&record{
			start: n.start, firstByte: n.start, site: n.site.Name, client: p.Client, method: r.Method, protocol: protocolName(r.Major, r.Minor),
			target: n.target, status: a.Status, sent: how.Sent, cache: wordHit, userAgent: r.First(lane.UserAgent), referer: r.First(lane.Referer),
		}, end)
	}
	n.target = cdn.Target{} // it lies in the loop's memory
}

// hand is one request in the lane.
type hand struct {
	visit   *visit
	request *lane.Request
	answer  *lane.Answer
	now     time.Time
	target  cdn.Target

	view   view
	object *store.Object
	face   *face
}

// answered is Take for a request whose site is known.
func (h *hand) answered() bool {
	v := h.visit
	ask := rules.Request{Method: h.request.Method, Target: h.target, Country: v.country}
	if v.rules.LooksAtFields() {
		ask.Header = v.fields()
	}
	brief, ok := v.rules.Brief(&ask, v.key[:0])
	v.key = brief.Key
	if !ok {
		return false
	}
	v.rule = brief.Rule
	h.object, _ = v.server.store.Get(h.lookup(brief.Variant))
	o := h.object
	if o == nil || o.Sliced || o.Doubtful {
		return false
	}
	if ask.Header != nil && v.rules.LooksAtStatus() {
		v.late() // the exchange, too, has changed the fields by now
	}
	answered, index := v.rules.ResponseTo(&ask, &brief, o.Response.Status)
	policy := policyFor(v.rule, answered, o.Response.Status, v.tables.standalone)
	policy.Expired = o.Softened
	d := httpcache.Decide(h.now, h.cacheRequest(), o.Response, policy)
	if d.Verdict != httpcache.Fresh {
		return false
	}
	if step := v.server.ladder.Step(); step >= shed.Spill && o.Body.Len() >= large || step >= shed.Refuse && v.rule.Priority == cdn.PriorityLow {
		return false // it may be shed
	}
	h.view = view{v.tables, v.rule, answered, brief.Route, index}
	h.face = v.server.faceOf(o, h.view)
	if !h.code() || h.face.whole == nil || h.face.byOrigin && h.request.Kinds&lane.Origin != 0 {
		return false
	}
	if !h.choose() {
		return false
	}
	h.describe(d)
	return true
}

// lookup is that of the visit's key. A connection of HTTP/2 has other streams, which must not wait for a disk.
func (h *hand) lookup(variant string) store.Lookup {
	return store.Lookup{Key: cdn.CacheKey(text(h.visit.key)), Variant: variant, Late: h.visit.late, File: h.request.Files, Quick: h.request.Major == 2}
}

// cacheRequest is the request as httpcache sees it. The fields are there only if they matter.
func (h *hand) cacheRequest() httpcache.Request {
	req := httpcache.Request{Method: h.request.Method}
	if h.object.Response.Varies() || h.visit.rule.ObeyRequestCacheControl && h.request.Kinds&lane.CacheControl != 0 {
		req.Header = h.visit.late()
	}
	return req
}

// code puts the variant that the visitor's Accept-Encoding asks for in place of the object. It reports false if that is
// still to be made.
func (h *hand) code() bool {
	f := h.face
	switch {
	case f.policy == nil:
		return true
	case h.request.Kinds&lane.CacheControl != 0:
		return false // there may be a no-transform
	}
	h.visit.late()
	accept := h.visit.accept
	if f.coded != "" {
		return coding.Acceptable(accept, f.coded) // the node takes it off otherwise
	}
	c := coding.Negotiate(accept, f.policy.Codings)
	if c == coding.Identity {
		return true
	}
	v := h.visit
	v.key = store.AppendCodedKey(v.key[:0], h.object.ID, string(c))
	made, _ := v.server.store.Get(h.lookup(""))
	if made == nil {
		return false
	}
	h.face = v.server.codedFace(made, h.object, h.view, c)
	h.object = made
	return true
}

// choose chooses what of the object the visitor gets (RFC 9110 section 13.2.2).
func (h *hand) choose() bool {
	a, f, o := h.answer, h.face, h.object
	a.Status, a.Block = f.response.Status, f.whole
	if h.request.Kinds&(lane.Condition|lane.Range) != 0 && f.response.Status == http.StatusOK {
		header := h.visit.late()
		if f.response.NotModified(httpcache.Request{Method: h.request.Method, Header: header}) {
			a.Status, a.Block = http.StatusNotModified, f.unchanged
			return true
		}
		if header["Range"] != nil && h.request.Method == http.MethodGet && f.response.RangeApplies(header) {
			return h.chooseRange(header)
		}
	}
	if !grammar.BodyAllowed(a.Status) {
		return true
	}
	a.AddInt(&names.contentLength, "", o.Body.Len(), "")
	return h.request.Method != http.MethodGet || h.fill(0, o.Body.Len())
}

// chooseRange is choose for a single range. Anything else that a Range field can be is not for the lane.
func (h *hand) chooseRange(header http.Header) bool {
	size := h.object.Body.Len()
	ranges, verdict := httpcache.ParseRanges(joinLines(header["Range"]), size)
	if verdict != httpcache.RangePartial || len(ranges) != 1 {
		return false
	}
	a, r := h.answer, ranges[0]
	a.Status, a.Block = http.StatusPartialContent, h.face.part
	a.AddInt(&names.contentLength, "", r.Length, "")
	a.Add(&names.contentRange, r.ContentRange(size))
	return h.fill(r.Start, r.Length)
}

// maxUncounted is how many octets the lane of a node that measures itself sends at once. It counts them when all have gone, which on the way to
// a slow visitor is late, and then looks like more than the node can send.
const maxUncounted = 4 << 20

// fill gives the answer octets of the object's content. It reports false if they have gone meanwhile.
func (h *hand) fill(start, length int64) bool {
	a, body := h.answer, &h.object.Body
	a.Length = length
	if file, at := body.Extent(); file != nil && h.request.Files {
		a.File, a.Offset = file, at+start
		return file.Hold()
	}
	if length > maxUncounted && h.visit.server.visitors != nil {
		return false // an exchange counts what it sends while it does
	}
	a.Content = body.AppendTo(a.Content, start, length)
	return true
}

// describe adds the fields that depend on the time.
func (h *hand) describe(d httpcache.Decision) {
	a, f := h.answer, h.face
	age := int64(d.Age / time.Second)
	a.AddInt(&names.age, "", age, "")
	a.AddInt(&names.cacheStatus, h.visit.server.hitStatus, int64(d.TTL/time.Second), "")
	if f.browserTTL > 0 {
		a.AddInt(&names.cacheControl, "max-age=", int64(f.browserTTL/time.Second)+age, "")
	}
	if f.undated {
		a.Add(&names.date, h.now.UTC().Format(http.TimeFormat))
	}
}

// text is p as a string, for as long as p does not change.
func text(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }
