package edge

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// sendStored answers with a stored object.
func (x *exchange) sendStored(o *store.Object, word string, c cacheStatus) {
	h := maps.Clone(o.Response.Header)
	x.sayAge(h, o.Response, &c)
	x.stamp(h, word, c)
	if o.Response.NotModified(x.cacheRequest()) {
		x.sendNotModified(h)
		return
	}
	part, ok := x.begin(o.Response, h, o.Body.Len())
	if !ok {
		return
	}
	for piece := range o.Body.Slice(part.Start, part.Length) {
		x.write(piece)
	}
}

// sayAge sets Age and the ttl parameter.
func (x *exchange) sayAge(h http.Header, r *httpcache.Response, c *cacheStatus) {
	age := r.Age(x.s.now())
	h["Age"] = []string{httpcache.AgeField(age)}
	c.ttl, c.hasTTL = r.Lifetime(x.policy)-age, true
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
		return
	case f.renewed != nil:
		c.fwdStatus, c.stored, c.detail = http.StatusNotModified, f.storing, f.reason
		x.sendStored(f.renewed, wordRevalidated, c)
		return
	case own && !f.storing && f.response.Status == http.StatusOK && x.header["Range"] != nil:
		reader.Close() // ends the fetch of the whole
		x.pass("request")
		return
	}
	x.sendStream(reader, f, own, c)
}

func (x *exchange) sendStream(reader *fill.Reader[*head], f *head, own bool, c cacheStatus) {
	r := f.response
	c.fwdStatus, c.stored, c.detail = r.Status, f.storing, f.reason
	h := maps.Clone(f.header)
	if !own {
		h = maps.Clone(r.Header)
		x.sayAge(h, r, &c)
	}
	x.stamp(h, wordMiss, c)
	if r.NotModified(x.cacheRequest()) {
		x.sendNotModified(h)
		return
	}
	part, ok := x.begin(r, h, f.length)
	if !ok {
		return
	}
	reader.Skip(part.Start)
	x.copy(reader, part.Length)
}

// forwardReason is the fwd parameter of RFC 9211 section 2.2 for a fill.
func (x *exchange) forwardReason() string {
	if x.decision.Verdict == httpcache.Revalidate {
		return "stale"
	}
	return "miss"
}

// sendFailure answers when nothing could be had from upstream: with what is stored, if that
// may stand in, or with the failure.
func (x *exchange) sendFailure(f *head, c cacheStatus) {
	detail, status := failure(f.err)
	c.detail = detail
	if x.stored != nil && x.stored.Response.AfterError(x.s.now(), x.policy, f.disconnected) {
		x.sendStored(x.stored, wordStale, c)
		return
	}
	x.failUpstream(f.err, status, c)
}

// failUpstream reports an upstream's failure to a visitor in a text, and to another
// node in a field as well, so that it can use its own stale copy.
func (x *exchange) failUpstream(err error, status int, c cacheStatus) {
	h := make(http.Header)
	x.stamp(h, wordMiss, c)
	maps.Copy(x.w.Header(), h)
	if x.hop.node != "" {
		x.w.Header().Set(errorField, kindOf(err))
	}
	x.s.log.Debug("no answer from upstream", "url", x.rec.url, "error", err)
	x.fail(status, "the origin could not be reached: "+c.detail)
}

// fail answers with a status and a short text of the node's own.
func (x *exchange) fail(status int, text string) {
	body := "nearcast: " + text + "\n"
	h := x.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.head(status)
	if x.r.Method != http.MethodHead {
		x.write([]byte(body))
	}
}

// sendNotModified answers 304 with the fields that RFC 9110 section 15.4.5 asks for;
// those that describe a body that is not sent stay behind.
func (x *exchange) sendNotModified(h http.Header) {
	for _, name := range [...]string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Content-Language"} {
		h.Del(name)
	}
	maps.Copy(x.w.Header(), h)
	x.head(http.StatusNotModified)
}

// begin sends the head of a response whose whole body has size octets, -1 if that is not known,
// and says which part of it is to follow, if any is.
func (x *exchange) begin(r *httpcache.Response, h http.Header, size int64) (part httpcache.Range, body bool) {
	status := r.Status
	part = httpcache.Range{Length: size}
	if field := x.header.Get("Range"); field != "" && status == http.StatusOK && size >= 0 && r.RangeApplies(x.header) {
		wanted, verdict := httpcache.ParseRange(field, size)
		switch verdict {
		case httpcache.RangePartial:
			status, part = http.StatusPartialContent, wanted
			h["Content-Range"] = []string{wanted.ContentRange(size)}
		case httpcache.RangeUnsatisfiable:
			status, part = http.StatusRequestedRangeNotSatisfiable, httpcache.Range{}
			h["Content-Range"] = []string{httpcache.Unsatisfied(size)}
			h.Del("Content-Type")
		default: // a range that is ignored: the whole
		}
	}
	delete(h, "Content-Length")
	if part.Length >= 0 && status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(part.Length, 10)}
	}
	maps.Copy(x.w.Header(), h)
	x.head(status)
	return part, x.method != http.MethodHead && bodyAllowed(status)
}

// bodyAllowed reports whether a final status has content (RFC 9110 section 6.4.1).
func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// head sends the status line and the fields set so far.
func (x *exchange) head(status int) {
	h := x.w.Header()
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // keeps net/http from guessing one
	}
	x.rec.status = status
	x.rec.firstByte = x.s.now()
	x.extendWrite()
	x.w.WriteHeader(status)
}

// copy moves up to limit octets from a fill to the visitor, all there are if limit
// is negative, as they arrive.
func (x *exchange) copy(reader *fill.Reader[*head], limit int64) {
	if limit < 0 && !reader.Pending() {
		x.flush() // it may be a stream of events, the first of which is far away
	}
	for limit != 0 {
		p, err := reader.Next(x.r.Context())
		if errors.Is(err, io.EOF) {
			if limit > 0 {
				x.abort(io.ErrUnexpectedEOF)
			}
			return
		}
		if err != nil {
			x.abort(err)
		}
		if limit > 0 {
			p = p[:min(int64(len(p)), limit)]
			limit -= int64(len(p))
		}
		x.write(p)
		if limit != 0 && !reader.Pending() {
			x.flush()
		}
	}
}

// write sends octets, or breaks off if the visitor does not take them.
func (x *exchange) write(p []byte) {
	x.extendWrite()
	n, err := x.w.Write(p)
	x.rec.sent += int64(n)
	if err != nil {
		x.abort(err)
	}
}

func (x *exchange) flush() {
	if err := x.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.abort(err)
	}
}

// extendWrite gives the visitor another while to take what is sent next: a stalled reader
// is cut, a slow one is not. The clock is the kernel's, whatever the cache's is. An error means that
// w knows no deadlines.
func (x *exchange) extendWrite() {
	x.rc.SetWriteDeadline(time.Now().Add(bodyStall)) //nolint:errcheck // see above
}
