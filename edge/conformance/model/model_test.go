package model_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

var (
	steps = flag.Int("steps", 50_000, "how many requests to make up")
	seed  = flag.Uint64("seed", 0, "of the histories; 0 takes one by chance")
)

// epoch is when histories start.
const epoch = 1_800_000_000

// entry is a stored response, as both see it.
type entry struct {
	message message
	actual  *httpcache.Response
}

// history is one URI's life in a cache.
type history struct {
	w      *writer
	now    int64
	policy httpcache.Policy
	stored []entry
	log    []string // of what has happened, for whoever has to find out
	count  *counts
}

// counts tell that every kind of thing has happened.
type counts struct{ fresh, stale, refused, revalidated, stored, unstored, stoodIn, notModified, none int }

// TestAgainstReference drives random histories through httpcache and the reference.
func TestAgainstReference(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	var c counts
	for done, n := 0, first; done < *steps; n++ {
		h := &history{w: &writer{maker: maker{rand.New(rand.NewPCG(n, 0))}}, now: epoch, count: &c}
		h.policy.ObeyRequest = h.one(2)
		for range 40 {
			done++
			if err := h.step(); err != nil {
				t.Fatalf("-seed=%d: %v\n%s", n, err, h)
			}
		}
	}
	t.Logf("-seed=%d: %+v", first, c)
	if *steps < 10_000 {
		return
	}
	for i, n := range []int{c.fresh, c.stale, c.refused, c.revalidated, c.stored, c.unstored, c.stoodIn, c.notModified, c.none} {
		if n < *steps/1000 {
			t.Errorf("kind %d of step has hardly happened: %+v", i, c)
		}
	}
}

func (h *history) one(n int) bool { return h.w.one(n) }

func (h *history) String() string {
	return fmt.Sprintf("%+v", h.log[max(0, len(h.log)-6):])
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// step makes a request up and handles it as a cache would, by httpcache's word, if the
// reference does not object.
func (h *history) step() error {
	h.now += [...]int64{0, 0, 1, 5, 20, 60}[h.w.IntN(6)]
	a := h.w.ask(h.now)
	req := httpcache.Request{Method: a.method, Header: h.w.request(&a), Target: "http://www.shop.example/a"}
	if a.method == http.MethodPost {
		return h.unsafe(a, req)
	}
	chosen, err := h.choose(a, req)
	if err != nil {
		return err
	}
	var r *httpcache.Response
	if chosen >= 0 {
		r = h.stored[chosen].actual
	}
	d := httpcache.Decide(h.time(h.now), req, r, h.policy)
	served := d.Verdict == httpcache.Fresh || d.Verdict == httpcache.Stale
	if chosen < 0 {
		h.count.none++
		if served {
			return fmt.Errorf("%v with nothing stored", d)
		}
		return h.forward(a, req, -1, d)
	}
	if err := h.check(&h.stored[chosen].message, r, a, d, served); err != nil {
		return err
	}
	if served {
		return h.serve(a, req, &h.stored[chosen])
	}
	return h.forward(a, req, chosen, d)
}

func (h *history) time(n int64) time.Time { return time.Unix(n, 0).UTC() }

// choose compares which stored response answers (section 4.1).
func (h *history) choose(a ask, req httpcache.Request) (int, error) {
	all := make([]*httpcache.Response, len(h.stored))
	best := -1
	for i := range h.stored {
		m := &h.stored[i].message
		all[i] = h.stored[i].actual
		if got, want := all[i].Matches(req.Header), m.matches(a); got != want {
			return 0, fmt.Errorf("Matches(%v) is %v, want %v of %+v", req.Header, got, want, *m)
		}
		if m.matches(a) && (best < 0 || better(m, &h.stored[best].message)) {
			best = i
		}
	}
	got := httpcache.Select(all, req.Header)
	same := got == best || got >= 0 && best >= 0 && !better(&h.stored[best].message, &h.stored[got].message)
	if !same {
		return 0, fmt.Errorf("Select(%v) is %d, want %d of %+v", req.Header, got, best, h.stored)
	}
	return got, nil
}

// better: with Vary before without (section 4.1), then the later Date (section 4).
func better(a, b *message) bool {
	if (len(a.vary) > 0) != (len(b.vary) > 0) {
		return len(a.vary) > 0
	}
	return a.born() > b.born()
}

// check compares a decision about a stored response with the reference's.
func (h *history) check(m *message, r *httpcache.Response, a ask, d httpcache.Decision, served bool) error {
	want := m.reuse(a, h.now, h.policy.ObeyRequest)
	switch {
	case served && !want.may:
		return fmt.Errorf("%v for %+v, and the reference says that it must not be reused: %+v at %d", d, a, *m, h.now)
	case !served && want.must:
		return fmt.Errorf("%v for %+v, and the reference says that it is fresh: %+v at %d", d, a, *m, h.now)
	}
	if age := m.currentAge(h.now); r.Age(h.time(h.now)) != time.Duration(age)*time.Second {
		return fmt.Errorf("age %v, want %d s of %+v at %d", r.Age(h.time(h.now)), age, *m, h.now)
	}
	least, most := m.lifetime()
	if l := int64(r.Lifetime(h.policy) / time.Second); l < least || l > most {
		return fmt.Errorf("lifetime %d s, want %d to %d of %+v", l, least, most, *m)
	}
	absent := d.Verdict == httpcache.Absent
	if absent && (!h.policy.ObeyRequest || !a.onlyIfCached) {
		return fmt.Errorf("%v for %+v, which did not ask for it", d, a)
	}
	switch {
	case d.Verdict == httpcache.Stale:
		h.count.stale++
	case served:
		h.count.fresh++
	default:
		h.count.refused++
	}
	return nil
}

// serve answers from the store, which may mean a 304.
func (h *history) serve(a ask, req httpcache.Request, e *entry) error {
	h.note("%d: served %+v for %+v", h.now, e.message, a)
	got, want := e.actual.NotModified(req), e.message.notModified(a)
	if got {
		h.count.notModified++
	}
	if got && !want.may || !got && want.must {
		return fmt.Errorf("NotModified(%v) is %v, want %+v of %+v", req.Header, got, want, e.message)
	}
	return nil
}

// forward asks the origin, which may fail, confirm or answer anew.
func (h *history) forward(a ask, req httpcache.Request, chosen int, d httpcache.Decision) error {
	if d.Verdict == httpcache.Absent {
		return nil
	}
	var e *entry
	conditional := false
	if chosen >= 0 && d.Verdict == httpcache.Revalidate {
		e = &h.stored[chosen]
		set := http.Header{}
		conditional = e.actual.Validate(set)
		if err := validators(&e.message, set); err != nil {
			return err
		}
		if h.one(5) {
			return h.fail(a, req, e)
		}
	}
	if conditional && h.one(2) {
		return h.confirm(a, e)
	}
	fresh := h.w.message(h.now, a)
	return h.keep(a, req, &fresh)
}

// validators compares the conditional fields with what section 4.3.1 asks for.
func validators(m *message, set http.Header) error {
	modified := ""
	if m.modified != 0 {
		modified = httpDate(m.modified)
	}
	if got := set.Get("If-None-Match"); got != m.etag {
		return fmt.Errorf("If-None-Match: %q for %+v", got, *m)
	}
	if got := set.Get("If-Modified-Since"); got != modified {
		return fmt.Errorf("If-Modified-Since: %q for %+v", got, *m)
	}
	return nil
}

// fail lets the origin fail, and the stored response stand in if it may.
func (h *history) fail(a ask, req httpcache.Request, e *entry) error {
	disconnected := h.one(2)
	got := httpcache.AfterErrorFor(h.time(h.now), req, e.actual, h.policy, disconnected)
	want := e.message.afterError(a, h.now, h.policy.ObeyRequest, disconnected)
	h.note("%d: failed, %v", h.now, got)
	if got {
		h.count.stoodIn++
	}
	if got && !want.may || !got && want.must {
		return fmt.Errorf("AfterErrorFor(%+v, %v) is %v, want %+v of %+v at %d", a, disconnected, got, want, e.message, h.now)
	}
	return nil
}

// confirm lets the origin answer 304.
func (h *history) confirm(a ask, e *entry) error {
	by := h.w.message(h.now, a)
	by.status, by.vary, by.etag, by.modified = http.StatusNotModified, nil, e.message.etag, e.message.modified
	by.date = number{true, true, h.now}
	by.cc.hidesByNoCache, by.cc.hidesByPrivate = false, false
	header := h.w.header(&by)
	e.actual = e.actual.Refresh(header, h.time(by.sent), h.time(by.came))
	e.message = e.message.refreshed(&by)
	h.note("%d: confirmed by %v", h.now, header)
	h.now = max(h.now, by.came)
	h.count.revalidated++
	if age := e.message.currentAge(h.now); e.actual.Age(h.time(h.now)) != time.Duration(age)*time.Second {
		return fmt.Errorf("age %v after a 304 %v, want %d s", e.actual.Age(h.time(h.now)), header, age)
	}
	return nil
}

// keep stores an answer if it may be stored, in place of those that answered the same.
func (h *history) keep(a ask, req httpcache.Request, m *message) error {
	header := h.w.header(m)
	r := httpcache.NewResponse(req, m.status, header, h.time(m.sent), h.time(m.came))
	h.now = max(h.now, m.came)
	got, want := httpcache.Assess(h.time(h.now), req, r, h.policy), m.store(a, h.now, h.policy.ObeyRequest)
	h.note("%d: %v answered %d %v: %+v", h.now, req, m.status, header, got)
	if got.Store && !want.may || !got.Store && want.must {
		return fmt.Errorf("Assess says %+v, want %+v of %+v", got, want, *m)
	}
	h.stored = slices.DeleteFunc(h.stored, func(e entry) bool { return e.message.matches(a) })
	if !got.Store {
		h.count.unstored++
		return nil
	}
	h.count.stored++
	c := m.effective()
	if secret := r.Header.Get("X-Secret"); secret != "" && (c.hidesByNoCache || c.hidesByPrivate) || r.Header.Get("X-Kept") != "k" {
		return fmt.Errorf("what is kept is %v of %v", r.Header, header)
	}
	if h.stored = append(h.stored, entry{*m, r}); len(h.stored) > 6 {
		h.stored = h.stored[1:]
	}
	return nil
}

// unsafe forwards a POST, which makes what is stored unusable (section 4.4).
func (h *history) unsafe(a ask, req httpcache.Request) error {
	for i := range h.stored {
		if d := httpcache.Decide(h.time(h.now), req, h.stored[i].actual, h.policy); d.Verdict == httpcache.Fresh || d.Verdict == httpcache.Stale || d.Verdict == httpcache.Absent {
			return fmt.Errorf("%v for a POST", d)
		}
	}
	m := h.w.message(h.now, a)
	gone := httpcache.Invalidates(a.method, m.status, req.Target, h.w.header(&m))
	if want := m.status < 400; slices.Contains(gone, req.Target) != want {
		return fmt.Errorf("a POST with %d invalidates %v", m.status, gone)
	}
	if len(gone) > 0 {
		h.stored = h.stored[:0]
	}
	return nil
}
