package edge

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/edge/coding"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/internal/web/grammar"
)

// copySize is the buffer for a body that is only passed on, in bytes.
const copySize = 32 << 10

// pass sends the visitor's request upstream as it is and the response back, with
// nothing used. fwd is why, in the words of RFC 9211 section 2.2.
func (x *exchange) pass(fwd string) {
	fields := x.outgoing(x.s)
	if _, codes := x.tables.codings[x.plan.Rule]; codes && x.hop.node == "" {
		if x.accept != nil { // nothing is made of what is passed on
			fields["Accept-Encoding"] = x.accept
		}
		plainTags(fields)
	}
	x.passWith(fwd, fields)
}

// plainTags replaces the entity tags of variants that this CDN has made by those of the contents, which are the
// ones that upstream knows.
func plainTags(fields http.Header) {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Range"} {
		for i, line := range fields[name] {
			var tags []string
			for tag := range strings.SplitSeq(line, ",") {
				tag = strings.TrimSpace(tag)
				if plain, _, ok := coding.MatchIdentity(tag); ok {
					tag = plain
				}
				tags = append(tags, tag)
			}
			fields[name][i] = strings.Join(tags, ", ")
		}
	}
}

// forwardHead sends a HEAD that the store does not answer upstream as it is, for no body is to be fetched
// for it; if there is something to validate, with the condition for that.
func (x *exchange) forwardHead() {
	fields := x.outgoing(x.s)
	fields.Del("Range") // it is for GET alone (RFC 9110 section 14.2)
	fields.Del("If-Range")
	if x.stored != nil {
		httpcache.DropConditions(fields)
		x.stored.Response.Validate(fields)
	}
	x.passWith(x.forwardReason(), fields)
}

func (x *exchange) passWith(fwd string, fields http.Header) {
	c := cacheStatus{fwd: fwd}
	born, forgets := x.s.purges.Begin(), x.s.forgets.Load()
	defer x.s.purges.End(born)
	sent := x.s.now()
	resp, err := x.askFor(fields)
	if err != nil {
		x.passFailed(err, c)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	arrived := x.s.now()
	h := receive(resp, arrived)
	forgets += x.invalidate(resp.StatusCode, h)
	if x.updateFromHead(resp, h, born, sent, arrived) {
		return
	}
	r := httpcache.NewResponse(x.cacheRequest(), resp.StatusCode, h, sent, arrived)
	keep := x.method == http.MethodPost && x.accept == nil && x.mayAnswerGET() && resp.ContentLength <= x.s.maxBody && httpcache.Assess(arrived, x.cacheRequest(), r, x.policyOf(r)).Store
	c.stored = keep
	h = maps.Clone(h)
	if x.method == http.MethodHead && x.decision.Verdict != httpcache.Pass {
		h = x.headOfVariant(resp, r, h)
		o := &store.Object{Response: as(r, h), Length: resp.ContentLength}
		if sel := x.selects(o); sel.status == http.StatusNotModified { // the origin knows no tags of variants, and not all compare lists
			c.fwdStatus = resp.StatusCode
			x.stamp(h, wordMiss, c)
			x.begin(x.from(o), sel, h)
			return
		}
	}
	x.relay(resp, h, c, keep, func(body store.Body) {
		o := x.newObject(x.s.newID(), r, born, body.Len())
		o.Body = body
		var more bool
		if o.Tags, more = store.TagsOf(h); more {
			return
		}
		x.s.fills.Detach(x.key, func() {
			if x.s.forgets.Load() == forgets && !x.s.outdated(x.query, o) {
				x.s.store.Put(o, x.header)
			}
		})
	})
}

// headOfVariant returns the header that the answer to a GET would have, of which nothing is stored yet.
func (x *exchange) headOfVariant(resp *http.Response, r *httpcache.Response, h http.Header) http.Header {
	v := x.variantOf(&store.Object{Response: r, Length: resp.ContentLength})
	switch {
	case v.encode || v.decode:
		resp.ContentLength = -1
		return maps.Clone(v.header)
	case v.applies:
		return coding.HeadIdentity(h)
	}
	return h
}

// askFor sends the visitor's own request with these fields upstream, and passes interim responses on.
func (x *exchange) askFor(fields http.Header) (*http.Response, error) {
	var body io.ReadCloser
	length := x.r.ContentLength
	switch {
	case x.r.Body == nil || x.r.Body == http.NoBody:
	case x.method == http.MethodGet || x.method == http.MethodHead:
		// It has no meaning (RFC 9110 section 9.3.1), and the origin might give it one that no key knows.
		length = 0
	default:
		visitor := &visitorBody{ReadCloser: x.r.Body, rc: x.rc}
		defer visitor.release()
		body = visitor
	}
	interim := &interimRelay{x: x}
	defer interim.end()
	resp, upstream, err := x.s.ask(withInterim(x.r.Context(), interim.send), x.query, x.method, fields, body, length)
	x.rec.upstream = upstream
	return resp, err
}

// passFailed answers when nothing came from upstream: a HEAD may be answered from a stale response.
func (x *exchange) passFailed(err error, c cacheStatus) {
	if x.r.Context().Err() != nil {
		x.abort(err)
	}
	var status int
	c.detail, status = failure(err)
	if x.method == http.MethodHead && x.decision.Verdict != httpcache.Pass && x.stored != nil &&
		x.standsIn(x.s.now(), x.stored, true) {
		x.sendStored(x.stored, wordStale, c)
		return
	}
	x.failUpstream(err, status, c)
}

// relay sends a response's head and copies its body. A body of unknown length may be a stream of events, so
// neither it nor the head before it is held back. If keep, whole gets the body before its end is sent.
func (x *exchange) relay(resp *http.Response, h http.Header, c cacheStatus, keep bool, whole func(store.Body)) {
	if delete(h, "Content-Length"); resp.ContentLength >= 0 && grammar.BodyAllowed(resp.StatusCode) {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	c.fwdStatus = resp.StatusCode
	word := wordPass
	if x.decision.Verdict != httpcache.Pass {
		word = wordMiss
	}
	x.stamp(h, word, c)
	x.shape(resp.StatusCode, resp.StatusCode, h)
	maps.Copy(x.w.Header(), h)
	x.head(resp.StatusCode)
	if x.method == http.MethodHead {
		return
	}
	if resp.ContentLength < 0 {
		x.flush()
	}
	kept := &keeper{limit: min(x.s.maxBody, maxKeptAnswer), off: !keep}
	x.copyBody(resp, kept)
	if !kept.off {
		whole(store.NewBody(kept.pieces...).Compact())
	}
	x.sendTrailer(trailer(resp))
}

// maxKeptAnswer bounds the answer to a POST that is stored, in octets: they are in no budget while they come.
const maxKeptAnswer = 256 << 10

// keeper collects a body up to a limit.
type keeper struct {
	limit  int64
	off    bool
	pieces [][]byte
	size   int64
}

func (k *keeper) add(p []byte) {
	if k.off {
		return
	}
	if k.size += int64(len(p)); k.size > k.limit {
		k.off, k.pieces = true, nil
		return
	}
	k.pieces = append(k.pieces, append([]byte(nil), p...))
}

func (x *exchange) copyBody(resp *http.Response, kept *keeper) {
	watchdog := time.AfterFunc(bodyStall, func() { resp.Body.Close() }) //nolint:errcheck // it makes the pending read fail
	defer watchdog.Stop()
	buf := make([]byte, copySize)
	for {
		n, err := resp.Body.Read(buf)
		watchdog.Reset(bodyStall)
		if n > 0 {
			kept.add(buf[:n])
			x.write(buf[:n])
			if resp.ContentLength < 0 {
				x.flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			x.abort(err)
		}
	}
}

// invalidate forgets what a successful unsafe request has made untrue (RFC 9111 section 4.4), and returns
// how many keys that were.
func (x *exchange) invalidate(status int, h http.Header) uint64 {
	var keys []cdn.CacheKey
	for _, uri := range httpcache.Invalidates(x.method, status, x.target.String(), h) {
		other, err := cdn.ParseTarget(uri)
		if err != nil {
			continue
		}
		keys = append(keys, x.tables.rules[x.site].Keys(other)...)
	}
	x.s.forgetForGood(x.r.Context(), keys)
	return uint64(len(keys))
}

// updateFromHead lets the answer to a HEAD freshen what is stored, or drops that if it is of another
// content (RFC 9111 section 4.3.5). It reports whether it has answered the request from what is stored, because
// that has been validated.
func (x *exchange) updateFromHead(resp *http.Response, h http.Header, born store.Epoch, sent, arrived time.Time) bool {
	if x.method != http.MethodHead || x.stored == nil || x.decision.Verdict != httpcache.Revalidate {
		return false
	}
	validated := resp.StatusCode == http.StatusNotModified
	var fresh *httpcache.Response
	switch ok := resp.StatusCode == x.stored.Response.Status; {
	case validated:
		fresh = x.stored.Response.Refresh(h, sent, arrived)
	case ok:
		if fresh, ok = x.stored.Response.RefreshFromHead(h, x.stored.Length, sent, arrived); !ok {
			x.s.forget(x.key)
			return false
		}
	default:
		return false
	}
	storage := httpcache.Assess(arrived, x.cacheRequest(), fresh, x.policyOf(fresh))
	if tags, _ := store.TagsOf(fresh.Header); storage.Store && slices.Equal(tags, x.stored.Tags) { // else it stays stale
		x.s.store.Refresh(x.stored, fresh, born)
	}
	if validated {
		renewed := *x.stored
		renewed.Response, renewed.Born, renewed.Softened, renewed.Memo = fresh, born, time.Time{}, new(store.Memo)
		x.sendStored(&renewed, wordRevalidated, cacheStatus{fwd: "stale", fwdStatus: resp.StatusCode, stored: storage.Store})
	}
	return validated
}

// interimRelay passes interim responses on while the exchange waits for the final one. They come from
// another goroutine, which may still be at it when that wait has been given up.
type interimRelay struct {
	x *exchange

	mu    sync.Mutex // guards the following, and the exchange's writer until it is set
	ended bool
}

func (r *interimRelay) send(status int, h http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.x.sendInterim(status, h)
	}
}

func (r *interimRelay) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// visitorBody is a request's body that may come slowly but not stall.
type visitorBody struct {
	io.ReadCloser
	rc *http.ResponseController

	mu       sync.Mutex // guards the following
	released bool       // the handler is over; the connection's deadline belongs to its server again
}

// Read implements [io.Reader].
func (b *visitorBody) Read(p []byte) (int, error) {
	b.deadline(time.Now().Add(bodyStall))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.deadline(time.Time{})
	}
	return n, err
}

func (b *visitorBody) deadline(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.released {
		b.rc.SetReadDeadline(t) //nolint:errcheck // a ResponseWriter without deadlines has none to keep
	}
}

func (b *visitorBody) release() {
	b.deadline(time.Time{})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released = true
}
