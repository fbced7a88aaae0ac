package edge

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// arrival is a response on its way from upstream into the store and to the readers of its fill.
type arrival struct {
	*errand
	s             *Server
	resp          *http.Response
	head          *head
	sent, arrived time.Time
}

// take streams the response to the fill's readers, and stores what may be stored of it.
func (a *arrival) take(ctx context.Context, f *fill.Fill[*head]) {
	h := a.head
	known := a.identify() && !a.gone
	policy := a.policyOf(h.object.Response)
	verdict := httpcache.Assess(a.s.now(), a.cacheRequest(), h.object.Response, policy)
	if r := h.object.Response; known {
		h.object.Fresh = a.arrived.Add(r.Lifetime(policy) - r.Age(a.arrived))
	}
	fits := known && (h.object.Sliced || h.length <= a.s.maxBody)
	if h.reason = verdict.Reason; !fits && h.reason == "" {
		h.reason = "too large"
	}
	if h.tooManyTags && h.reason == "" { // a purge by one that is not kept would not find it
		fits, h.reason = false, "too many tags"
	}
	h.storing, h.shared = verdict.Store && fits, verdict.Share && fits
	if !serverError(h.status) && !requestFault(h.status) {
		a.s.remember(a.sharing(), h.shared, verdict.Personal)
	}
	if !h.storing || h.object.Sliced {
		f.Unkeep()
	}
	if h.object.Sliced && !a.through {
		f.Near(fillWindow)
	}
	a.stream(ctx, f)
}

// maxContent bounds what a content may claim to be, in octets, well below where sums of offsets overflow.
const maxContent = 1 << 60

// identify finds out which content the response is, or is a part of. It reports false if that
// cannot be said, so that it is of no use to anybody but the one who asked.
func (a *arrival) identify() bool {
	h := a.head
	r := httpcache.NewResponse(a.cacheRequest(), h.status, h.header, a.sent, a.arrived)
	h.object = a.newObject(a.s.newID(), r, a.born, h.length)
	h.object.Tags, h.tooManyTags = store.TagsOf(h.header)
	if h.partial() {
		return a.identifyPart()
	}
	h.object.Sliced = h.status == http.StatusOK && h.length > store.SliceSize && h.length <= maxContent && resumable(r)
	if a.missing && h.status == http.StatusOK { // all of the content was missing
		a.joinBase()
	}
	return true
}

// joinBase makes what has come the content that it completes, if the two may be put together.
func (a *arrival) joinBase() {
	b, o := a.base, a.head.object
	if b == nil || !b.Sliced || o.Doubtful || b.Length != o.Length || !httpcache.SameVersion(b.Response, o.Response) {
		return
	}
	joined := *b
	joined.Response, joined.Born = b.Response.Refresh(a.head.header, a.sent, a.arrived), a.born // it has been validated, as by a 304
	joined.Softened, joined.Memo = time.Time{}, nil
	a.head.object = &joined
}

// identifyPart is identify for a 206 (RFC 9110 section 15.3.7).
func (a *arrival) identifyPart() bool {
	h := a.head
	part, size, ok := httpcache.ParseContentRange(h.header.Get("Content-Range"))
	if !ok || size < 0 || size > maxContent {
		return false
	}
	o := h.object
	o.Sliced, o.Length, h.from = true, size, part.Start
	if h.length < 0 {
		h.length = part.Length
	}
	if h.length != part.Length {
		if h.length > part.Length || part.Start+part.Length != size {
			return false
		}
		// The origin says that the part goes to the end and sends less. The octets are there, and so
		// is where they begin; where the content ends is in doubt.
		o.Length, o.Doubtful = part.Start+h.length, true
	}
	o.Response = o.Response.Whole(o.Length)
	a.joinBase()
	return true
}

// resumable reports whether a response's content can be asked for in parts.
func resumable(r *httpcache.Response) bool {
	_, strong := r.StrongValidator()
	return strong && acceptsRanges(r.Header)
}

// acceptsRanges reports whether a response says that its origin answers byte ranges (RFC 9110
// section 14.3).
func acceptsRanges(h http.Header) bool {
	for unit := range strings.SplitSeq(joinLines(h["Accept-Ranges"]), ",") {
		if strings.EqualFold(strings.TrimSpace(unit), "bytes") {
			return true
		}
	}
	return false
}

// requestFault lists the statuses that say something of one request, and nothing of the next.
func requestFault(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusRequestedRangeNotSatisfiable, http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}

// stream announces the head and moves the body; an upstream that pauses for too long is given up.
func (a *arrival) stream(ctx context.Context, f *fill.Fill[*head]) {
	h := a.head
	put := func(body store.Body) {
		if h.storing && !h.object.Sliced {
			o := *h.object
			o.Body, o.Length = body, body.Len()
			a.put(f, &o)
		}
	}
	if h.length == 0 { // the head is all there is: it must not be known before it is stored
		put(store.Body{})
		f.Announce(h, h.shared)
		f.Finish(io.EOF)
		return
	}
	src := &body{arrival: a, ctx: ctx, current: a.resp.Body}
	slices := h.storing && h.object.Sliced
	if slices {
		src.slicer = &slicer{s: a.s, fill: f, object: h.object, from: h.from, start: h.from}
		f.Hold(0)
	}
	f.Announce(h, h.shared)
	if slices { // whoever finds this lacks the octets, and must find the fill that brings them; who has octets finds this
		f.CommitPart(func() { a.store(h.object) })
	}
	watchdog := time.AfterFunc(bodyStall, src.interrupt)
	defer watchdog.Stop()
	f.ReadFrom(ctx, src, h.length, func() { watchdog.Reset(bodyStall) }, put)
	src.close()
	if f.Outgrown() {
		a.s.unshared.Add(a.s.now(), a.sharing()) // readers of different speeds cannot share it
	}
}

// put stores what a fill has brought, unless it was purged meanwhile.
func (a *arrival) put(f *fill.Fill[*head], o *store.Object) {
	f.Commit(func() { a.store(o) })
}

func (a *arrival) store(o *store.Object) {
	if a.s.outdated(a.query, o) {
		return
	}
	if !a.s.store.Put(o, a.header) {
		a.s.metrics.refused.Inc()
	}
}
