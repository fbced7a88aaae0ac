package edge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/shed"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
)

// maxJoins bounds how often a request tries to share somebody else's fill before it
// makes its own.
const maxJoins = 4

// maxLooks bounds how often a request looks again at what is stored because that has just changed.
const maxLooks = 8

// maxSuspects bounds how often a request tries again because the fill that it had joined failed in a way for which
// the request that started it may be to blame.
const maxSuspects = 2

// answer decides and does it.
func (x *exchange) answer() {
	if !x.caughtUp() {
		x.decision = httpcache.Decision{Verdict: httpcache.Pass, Reason: "behind"}
		x.pass("bypass")
		return
	}
	if protocol := upgradeOf(x.r); protocol != "" {
		x.decision = httpcache.Decision{Verdict: httpcache.Pass, Reason: "upgrade"}
		x.upgrade(protocol)
		return
	}
	x.look()
	if x.diverts() {
		return
	}
	switch x.decision.Verdict {
	case httpcache.Fresh:
		x.sendStored(x.stored, wordHit, cacheStatus{hit: true})
	case httpcache.Absent:
		x.failAbsent()
	case httpcache.Stale:
		o, c := x.stored, cacheStatus{hit: true, detail: x.decision.Reason}
		if x.hop.node != "" || !x.s.sheds(shed.Background) { // a node that gets what is stale asks again for every visitor
			x.refresh() // first: the visitor may take long, or leave
		}
		x.sendStored(o, wordStale, c)
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
	x.version = x.s.tiers.Version(x.key)
	x.stored, x.known = x.s.store.Get(x.lookup())
	x.decide()
}

// lookAgain is look for those who have looked before and hold a lock, with which nobody waits for a disk. It reports false if it
// cannot tell what is stored by now.
func (x *exchange) lookAgain() bool {
	if x.s.tiers.Version(x.key) != x.version {
		l := x.lookup()
		l.Quick = true
		o, known := x.s.store.Get(l)
		if o == nil && x.s.tiers.OnDisk(x.key) && x.looks < maxLooks {
			x.looks++
			return false
		}
		x.stored, x.known = o, known
	} else if x.stored != nil {
		x.stored = x.s.purges.Look(x.stored)
	}
	x.decide()
	return true
}

func (x *exchange) decide() {
	if x.stored != nil && x.stored.Doubtful && x.wantsWhole() {
		x.stored = nil // nobody knows the whole of it
	}
	var stored *httpcache.Response
	if x.stored != nil {
		stored = x.stored.Response
	}
	x.decision = httpcache.Decide(x.s.now(), x.cacheRequest(), stored, x.policyOf(stored))
}

// policyOf is [query.policyOf], and knows of a soft purge of what is stored.
func (x *exchange) policyOf(r *httpcache.Response) httpcache.Policy {
	p := x.query.policyOf(r)
	if x.stored != nil && r == x.stored.Response {
		p.Expired = x.stored.Softened
	}
	return p
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
	if x.method == http.MethodHead {
		x.forwardHead()
		return
	}
	shared := !x.s.unshared.Has(x.s.now(), x.sharing())
	for joins := 1; ; joins++ {
		if err := x.r.Context().Err(); err != nil {
			x.abort(err) // a request that was taken back costs nothing upstream
		}
		reader, own, err := x.join(shared)
		switch {
		case err != nil:
			x.sendRefused(err)
			return
		case reader == nil && x.decision.Verdict == httpcache.Fresh:
			x.sendStored(x.stored, wordHit, cacheStatus{hit: true})
			return
		case reader == nil:
			if x.look(); x.decision.Verdict == httpcache.Fresh {
				x.sendStored(x.stored, wordHit, cacheStatus{hit: true})
				return
			}
			continue
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
// nil if that look found a response to serve, or that another one is necessary.
func (x *exchange) join(shared bool) (r *fill.Reader[*head], own bool, err error) {
	ask := fill.Ask[*head]{Variant: x.plan.Variant, Span: x.errand().span, Shared: shared, Client: shareOf(x.client)}
	if shared {
		ask.Accept = x.accepts
	}
	return x.s.fills.Join(x.key, ask, func() fill.Run[*head] {
		if !x.anew && !x.lookAgain() {
			return nil
		}
		if x.decision.Verdict == httpcache.Fresh {
			return nil
		}
		return x.s.fetch(x.errand())
	})
}

// errand is what this request asks upstream for. Of what is not known yet it asks for
// no more than the visitor does.
func (x *exchange) errand() errand {
	e := errand{query: x.query, base: x.stored, span: fill.Whole(), through: x.whole}
	field := joinLines(x.header["Range"])
	switch {
	case x.method != http.MethodGet || field == "" || x.whole:
	case x.stored == nil:
		e.span, e.ifRange = wantedSpan(field), x.header.Get("If-Range")
	case x.stored.Length > store.SliceSize && x.stored.Response.RangeApplies(x.header):
		e.span = wantedSpan(field)
	}
	return e
}

// accepts reports whether the head of a fill answers this request as well, and where in its
// body the answer begins.
func (x *exchange) accepts(h *head) (at int64, ok bool) {
	switch {
	case !h.shared:
		return 0, false
	case h.renewed != nil:
		return 0, x.usable(h.renewed)
	case h.object != nil:
		if !x.usable(h.object) {
			return 0, false
		}
		return x.place(h)
	}
	// A failure is everybody's, unless it may lie with the request of whoever started the fill; but an
	// origin that fails them all is not asked by each.
	return 0, !h.suspect || x.failures >= maxSuspects
}

// place says where in the body of a fill the answer to this request begins, if it has it.
func (x *exchange) place(h *head) (at int64, ok bool) {
	start, end := x.selects(h.object).bounds(h.object)
	if _, strong := h.object.Response.StrongValidator(); strong && h.object.Sliced { // the rest can be had elsewhere
		end = start + 1
	}
	if start == h.object.Length { // nothing is wanted
		return 0, true
	}
	return start - h.from, h.brings(start, end)
}

// wantsWhole reports whether nothing less than a whole content answers the request.
func (x *exchange) wantsWhole() bool { return x.header["Range"] == nil || x.method != http.MethodGet }

// usable reports whether a response that came for another request may answer this one: what
// would not be used from the store is not used on its way there either.
func (x *exchange) usable(o *store.Object) bool {
	if x.s.purges.Judge(o) != purge.Good {
		return false // it was on its way when it was purged
	}
	r := o.Response
	switch httpcache.Decide(x.s.now(), x.cacheRequest(), r, x.policyOf(r)).Verdict {
	case httpcache.Fresh, httpcache.Stale, httpcache.Revalidate:
		return !o.Doubtful || !x.wantsWhole()
	default:
		return false
	}
}

// read waits for a fill's head and answers with it. If the fill is not for this request,
// answered is false, and settled says whether it is worth trying to share another one.
func (x *exchange) read(reader *fill.Reader[*head], own bool) (settled, answered bool) {
	defer reader.Close()
	if !x.await(reader, own) {
		return false, false
	}
	h := reader.Head()
	at, ok := x.accepts(h)
	if !own && (!ok || !reader.StartAt(at)) {
		if h.suspect {
			x.failures++
		}
		return h.shared, false
	}
	x.sendFill(reader, h, own)
	return true, true
}

// await waits for a fill's head and passes interim responses on. It reports false if somebody
// else's fill takes too long; one's own is bounded by the upstream's timeouts.
func (x *exchange) await(reader *fill.Reader[*head], own bool) bool {
	var patience <-chan time.Time
	if !own {
		timer := time.NewTimer(headTimeout)
		defer timer.Stop()
		patience = timer.C
	}
	if reader.Wait(x.r.Context(), patience, func(h *head) {
		if own { // it may be for nobody else: that is known with the head only
			x.sendInterim(h.interim, h.header)
		}
	}) {
		return true
	}
	if err := x.r.Context().Err(); err != nil {
		x.abort(err)
	}
	return false
}

// refresh starts a fill in the background, if none runs.
func (x *exchange) refresh() {
	q := x.query
	if q.method != http.MethodGet {
		return
	}
	ask := fill.Ask[*head]{Variant: x.plan.Variant, Span: fill.Whole(), Shared: true, Background: true, Accept: x.accepts}
	reader, _, err := x.s.fills.Join(q.key, ask, func() fill.Run[*head] {
		if !x.lookAgain() || x.decision.Verdict == httpcache.Fresh {
			return nil
		}
		return x.s.fetch(errand{query: q, base: x.stored, span: fill.Whole()})
	})
	if err != nil && !errors.Is(err, fill.ErrClosed) {
		x.s.refuseFill(x.r.Context(), x.client, err)
	}
	if reader != nil {
		reader.Close()
	}
}

// abort ends the exchange without an end of the message, so that the visitor cannot take
// what it got for all there is.
func (x *exchange) abort(err error) {
	if !errors.Is(err, context.Canceled) {
		x.s.log.Debug("breaking off a response", "url", x.rec.target.String(), "error", err)
	}
	panic(http.ErrAbortHandler)
}
