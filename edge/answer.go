package edge

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"nearcast/edge/coding"
	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// sendStored answers with a stored object.
func (x *exchange) sendStored(o *store.Object, word string, c cacheStatus) {
	src := x.from(o)
	defer src.close()
	if reader, h, own := x.lacking(src); h != nil {
		if h.object == nil || h.object.ID != o.ID {
			x.sendOther(reader, h, own)
			return
		}
		word, c = wordMiss, cacheStatus{fwd: "partial", fwdStatus: h.status, stored: h.storing, collapsed: !own}
		x.rec.upstream = h.upstream
	}
	x.sendKnown(src, word, c)
}

// sendKnown answers with a content of which the source has all that is wanted, or finds it.
func (x *exchange) sendKnown(src *source, word string, c cacheStatus) {
	o := src.object
	v := x.variantOf(o)
	if x.sendVariant(src, v, true, word, c) {
		return
	}
	h := maps.Clone(o.Response.Header)
	if v.applies && !v.decode {
		h = coding.HeadIdentity(h)
	}
	x.sayAge(h, o.Response, &c)
	x.stamp(h, word, c)
	if sel := x.selects(o); x.begin(src, sel, h) {
		x.send(src, sel)
	}
}

// lacking starts or joins a fill of the first octets that a stored content lacks of what is wanted, and
// returns it and its head, or nil if it lacks none. own says that it was started for this. It must have begun before the
// head is sent: it may turn out that upstream has another content by now.
func (x *exchange) lacking(src *source) (reader *fill.Reader[*head], h *head, own bool) {
	o := src.object
	if !o.Sliced || x.method == http.MethodHead {
		return nil, nil, false
	}
	for _, r := range x.selects(o).spans(o) {
		at, _, missing := x.s.missing(o, r.Start, r.End(), true)
		if !missing {
			continue
		}
		reader, h, own, err := src.join(at, r.End())
		switch {
		case errors.Is(err, fill.ErrBusy), errors.Is(err, fill.ErrBusyClient):
			return nil, &head{err: err}, false
		case err != nil:
			x.abort(err)
		case reader != nil: // else somebody else has just brought it
			src.ahead = append(src.ahead, ahead{reader, h.from})
		}
		return reader, h, own
	}
	return nil, nil, false
}

// sendAround answers with several ranges of a content of which the last octets are on their way for this request. Now that
// they have told how long it is and which it is, the ranges before them are asked for by themselves.
func (x *exchange) sendAround(last *fill.Reader[*head], f *head, c cacheStatus) {
	src := x.from(f.object)
	defer src.close()
	src.ahead = append(src.ahead, ahead{last, f.from})
	if first := last.Fork(); first != nil { // whatever is asked for before the content's head is stored is not kept: with octets it is
		first.Next(x.r.Context()) //nolint:errcheck // whoever reads them learns it
		first.Close()
	}
	if reader, h, own := x.lacking(src); h != nil && (h.object == nil || h.object.ID != f.object.ID) {
		x.sendOther(reader, h, own)
		return
	}
	x.sendKnown(src, wordMiss, c)
}

// sendOther answers when the fill that was to complete a known content has brought something else, or must not be started: then
// there is no reader.
func (x *exchange) sendOther(reader *fill.Reader[*head], h *head, own bool) {
	if reader == nil {
		x.failBusy(h.err)
		return
	}
	at, ok := x.accepts(h)
	if own && h.object != nil {
		at, ok = x.place(h)
	}
	switch {
	case h.err != nil: // and what is stored cannot stand in: it is not all there
		x.rec.upstream = h.upstream
		detail, status := failure(h.err)
		x.failUpstream(h.err, status, cacheStatus{fwd: "partial", detail: detail})
		return
	case ok && reader.StartAt(at):
		x.sendFill(reader, h, own)
		return
	}
	x.whole = x.anew // of what changes all the time the parts never fit
	x.stored, x.anew, x.decision = nil, true, httpcache.Decision{Verdict: httpcache.Miss, Reason: "changed upstream"}
	x.forward()
}

// sayAge sets Age and the ttl parameter.
func (x *exchange) sayAge(h http.Header, r *httpcache.Response, c *cacheStatus) {
	now := x.s.now()
	h["Age"] = []string{httpcache.AgeField(r.Age(now))}
	c.ttl, c.hasTTL = r.TTL(now, x.policyOf(r)), true
}

func (x *exchange) stamp(h http.Header, word string, c cacheStatus) {
	x.rec.cache = word
	x.s.stamp(h, "1.1", word, c)
}

// sendFill answers from a fill whose head is for this request. own says that this
// request started it.
func (x *exchange) sendFill(reader *fill.Reader[*head], f *head, own bool) {
	x.rec.upstream = f.upstream
	c := cacheStatus{fwd: x.forwardReason(), collapsed: !own}
	switch {
	case f.err != nil:
		x.sendFailure(f, c)
	case f.renewed != nil:
		c.fwdStatus, c.stored, c.detail = http.StatusNotModified, f.storing, f.reason
		x.sendStored(f.renewed, wordRevalidated, c)
	default:
		x.sendStream(reader, f, own, c)
	}
}

func (x *exchange) sendStream(reader *fill.Reader[*head], f *head, own bool, c cacheStatus) {
	o := f.object
	c.fwdStatus, c.stored, c.detail = f.status, f.storing, f.reason
	at, ok := x.place(f)
	if own && (!ok || o.Doubtful || !reader.StartAt(at)) {
		switch {
		case !f.partial() || x.whole || o.Length < 0 || !x.wantsMore(o):
			x.sendAsIs(reader, f, c)
		case x.endsOf(f):
			x.sendAround(reader, f, c)
		default:
			x.stored, x.anew, x.whole = nil, true, true
			x.forward()
		}
		return
	}
	src := x.from(o)
	src.reader, src.from = reader, f.from
	defer src.close()
	v := x.variantOf(o)
	if x.sendVariant(src, v, f.shared, wordMiss, c) {
		return
	}
	h := maps.Clone(o.Response.Header)
	if own && !f.partial() {
		h = maps.Clone(f.header)
	}
	if v.applies && !v.decode {
		h = coding.HeadIdentity(h)
	}
	if !own {
		x.sayAge(h, o.Response, &c)
	}
	x.stamp(h, wordMiss, c)
	sel := x.selects(o)
	if x.begin(src, sel, h) {
		x.send(src, sel)
		if t := f.trailer.Load(); t != nil && sel.ranges == nil { // it is of the whole
			x.sendTrailer(*t)
		}
	}
}

// wantsMore reports whether a part of a content that came for this request is not what it must be answered with: the origin
// has not looked at the condition on the range, which is not met, or of several ranges, one counted from the
// end, that one turns out to begin before the others.
func (x *exchange) wantsMore(o *store.Object) bool {
	sel := x.selects(o)
	return sel.status == http.StatusOK || sel.ranges != nil && !o.Doubtful && strings.Contains(joinLines(x.header["Range"]), ",")
}

// endsOf reports whether a part that came is the last octets of a content to which others can be put, of several ranges the one
// counted from the end.
func (x *exchange) endsOf(f *head) bool {
	_, strong := f.object.Response.StrongValidator()
	return strong && x.selects(f.object).ranges != nil && f.from+f.length == f.object.Length
}

// sendAsIs passes on a partial response that the node cannot make sense of, to the one who asked for it.
func (x *exchange) sendAsIs(reader *fill.Reader[*head], f *head, c cacheStatus) {
	h := maps.Clone(f.header)
	if x.variantOf(f.object).applies {
		h = coding.HeadIdentity(h)
	}
	x.stamp(h, wordMiss, c)
	whole := &store.Object{Response: f.object.Response, Length: f.length}
	src := x.from(whole)
	src.reader = reader
	sel := &selection{status: f.status}
	if x.begin(src, sel, h) {
		x.sendSpan(src, 0, f.length)
	}
}

// forwardReason is the fwd parameter of RFC 9211 section 2.2 for a request that the store does not answer.
func (x *exchange) forwardReason() string {
	switch {
	case x.stored != nil && strings.HasPrefix(x.decision.Reason, "request "):
		return "request"
	case x.stored != nil:
		return "stale"
	case x.known:
		return "vary-miss"
	}
	return "uri-miss"
}

// sendFailure answers when nothing could be had from upstream: with what is stored, if that
// may stand in, or with the failure.
func (x *exchange) sendFailure(f *head, c cacheStatus) {
	detail, status := failure(f.err)
	c.detail = detail
	if x.stored != nil && x.standsIn(x.s.now(), x.stored, f.disconnected) {
		x.sendStored(x.stored, wordStale, c)
		return
	}
	if x.stored != nil && f.disconnected { // and it must not stand in (RFC 9111 section 5.2.2.2)
		status = http.StatusGatewayTimeout
	}
	x.failUpstream(f.err, status, c)
}

// failUpstream reports an upstream's failure to a visitor in a text, in Proxy-Status and, although that is
// for responses of an origin (RFC 9211 section 2), in Cache-Status: operators look for the reason there first. Another
// node gets a field as well, so that it can use its own stale copy.
func (x *exchange) failUpstream(err error, status int, c cacheStatus) {
	x.rec.cache = wordMiss
	h := x.w.Header()
	if x.hop.node != "" {
		h.Set(errorField, kindOf(err))
	}
	member := proxyStatus(x.s.name, proxyError(err), c.detail)
	if behind, ok := errors.AsType[*remoteError](err); ok && behind.proxyStatus != "" {
		member = behind.proxyStatus + ", " + receivedStatus(x.s.name, behind.status)
	}
	h.Set("Proxy-Status", member)
	appendMember(h, "Cache-Status", c.format(x.s.name))
	x.s.log.Debug("no answer from upstream", "url", x.rec.target.String(), "error", err)
	x.fail(status, "the origin could not be reached: "+c.detail)
}

// failOwn answers with a failure that lies with this node or the request; kind is of RFC 9209 section 2.3.
func (x *exchange) failOwn(status int, kind, text string) {
	x.w.Header().Set("Proxy-Status", proxyStatus(x.s.name, kind, text))
	x.fail(status, text)
}

// failAbsent answers a request that wants what is stored or nothing (RFC 9111 section 5.2.1.7).
func (x *exchange) failAbsent() {
	x.rec.cache = wordMiss
	x.fail(http.StatusGatewayTimeout, "nothing fresh is stored, and the request has only-if-cached")
}

// fail answers with a status and a short text of the node's own.
func (x *exchange) fail(status int, text string) {
	body := "nearcast: " + text + "\n"
	h := x.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Cache", x.rec.cache)
	appendMember(h, "Via", "1.1 "+x.s.name)
	x.head(status)
	if x.r.Method != http.MethodHead {
		x.write([]byte(body))
	}
}
