package edge

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// head is what the readers of a fill learn before its body. Of err, renewed and
// response one is set.
type head struct {
	upstream string // who answered: a node's name or "origin"

	// err is the failure to get anything from upstream, or anything better than a
	// server error where a stale response may be used instead.
	err error
	// disconnected: err is that the upstream could not be reached at all.
	disconnected bool
	// renewed is the stored object that a 304 has validated; there is no body.
	renewed *store.Object
	// response is what came, in the form for those who did not ask for it; header is
	// the form for the one who did.
	response *httpcache.Response
	header   http.Header
	length   int64 // of the body; -1 if not known
	storing  bool  // it will be stored if it arrives whole
	shared   bool  // those who waited may have it
	reason   string
}

// fetch returns the run of a fill for q: one request upstream, conditional if there is a
// stored object to validate. It is called under the group's lock, so that the
// revision is that of the moment in which the fill became visible to purges.
func (s *Server) fetch(q *query, base *store.Object) fill.Run[*head] {
	revision := s.applied.load()
	return func(ctx context.Context, f *fill.Fill[*head]) {
		defer s.finish(f)
		s.fetchFrom(ctx, q, base, revision, f)
	}
}

// finish is the net under a run: readers of a fill that has told them nothing
// would wait for ever.
func (s *Server) finish(f *fill.Fill[*head]) {
	if p := recover(); p != nil {
		s.metrics.panics.Inc()
		s.log.Error("a fill panicked", "panic", p)
		f.Fail(&head{err: cdn.Errorf(cdn.Unavailable, "", "internal error"), shared: true})
	}
}

func (s *Server) fetchFrom(ctx context.Context, q *query, base *store.Object, revision cdn.Revision, f *fill.Fill[*head]) {
	h := q.outgoing(s)
	httpcache.DropConditions(h)
	conditional := base != nil && base.Response.Validate(h)
	sent := s.now()
	resp, upstream, err := s.ask(ctx, q, http.MethodGet, h, nil, 0)
	if err != nil {
		f.Fail(&head{upstream: upstream, err: err, disconnected: true, shared: true})
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	arrived := s.now()
	header := receive(resp, arrived)
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		s.renew(q, base, f, upstream, base.Response.Refresh(header, sent, arrived))
	case base != nil && serverError(resp.StatusCode) && base.Response.AfterError(arrived, q.policy, false):
		f.Fail(&head{upstream: upstream, err: statusError(resp.StatusCode), shared: true})
	default:
		r := httpcache.NewResponse(q.cacheRequest(), resp.StatusCode, header, sent, arrived)
		s.take(ctx, q, resp, r, header, upstream, revision, f)
	}
}

// serverError lists the failures that a stale response may stand in for (RFC 5861
// section 4).
func serverError(status int) bool {
	return status == 500 || status == 502 || status == 503 || status == 504
}

// receive returns a response's end-to-end fields, with the Date that it must have
// (RFC 9110 section 6.6.1).
func receive(resp *http.Response, now time.Time) http.Header {
	h := httpcache.EndToEnd(resp.Header)
	h.Del(hopField)
	h.Del(errorField)
	if _, err := http.ParseTime(h.Get("Date")); err != nil {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	return h
}

// renew puts a validated head in place of the stored one. The origin may have changed its mind:
// if the response must not be stored any more, the stored one goes.
func (s *Server) renew(q *query, base *store.Object, f *fill.Fill[*head], upstream string, r *httpcache.Response) {
	object := *base
	object.Response = r
	verdict := httpcache.Assess(s.now(), q.cacheRequest(), r, q.policy)
	f.Commit(func() {
		switch {
		case verdict.Store:
			s.store.Refresh(base, r)
		case !verdict.Personal:
			s.store.Delete(q.key)
		}
	})
	s.remember(q.key, verdict.Share, verdict.Personal)
	f.Announce(&head{upstream: upstream, renewed: &object, storing: verdict.Store, shared: verdict.Share, reason: verdict.Reason}, verdict.Share)
	f.Finish(io.EOF)
}

// take streams a response to the fill's readers, and stores it if it may be and has come whole.
func (s *Server) take(ctx context.Context, q *query, resp *http.Response, r *httpcache.Response, header http.Header, upstream string, revision cdn.Revision, f *fill.Fill[*head]) {
	verdict := httpcache.Assess(s.now(), q.cacheRequest(), r, q.policy)
	h := &head{
		upstream: upstream, response: r, header: header, length: resp.ContentLength,
		reason: verdict.Reason,
	}
	fits := resp.ContentLength <= s.maxBody
	if !fits && h.reason == "" {
		h.reason = "too large"
	}
	h.storing, h.shared = verdict.Store && fits, verdict.Share && fits
	if !h.storing {
		f.Unkeep()
	}
	if !serverError(r.Status) {
		s.remember(q.key, h.shared, verdict.Personal)
	}
	put := func(body store.Body) {
		if h.storing {
			s.put(f, &store.Object{Key: q.key, Revision: revision, Response: r, Body: body}, q.header)
		}
	}
	if resp.ContentLength == 0 { // the head is all there is: it must not be known before it is stored
		put(store.Body{})
		f.Announce(h, h.shared)
		f.Finish(io.EOF)
		return
	}
	f.Announce(h, h.shared)
	s.stream(ctx, resp, f, put)
}

// put stores what a fill has brought, unless it was purged meanwhile.
func (s *Server) put(f *fill.Fill[*head], o *store.Object, fields http.Header) {
	f.Commit(func() {
		if !s.store.Put(o, fields) {
			s.metrics.refused.Inc()
		}
	})
}

// stream moves the body; an upstream that pauses for too long is given up.
func (s *Server) stream(ctx context.Context, resp *http.Response, f *fill.Fill[*head], commit func(store.Body)) {
	watchdog := time.AfterFunc(bodyStall, func() { resp.Body.Close() }) //nolint:errcheck // it makes the pending read fail
	defer watchdog.Stop()
	f.ReadFrom(ctx, resp.Body, resp.ContentLength, func() { watchdog.Reset(bodyStall) }, commit)
}

// remember notes whether requests for a key should wait for each other. A fault of
// the one request says nothing about the next.
func (s *Server) remember(key cdn.CacheKey, shared, personal bool) {
	switch {
	case shared:
		s.unshared.Remove(key)
	case !personal:
		s.unshared.Add(s.now(), key)
	}
}

// joinLines makes one line of a field's lines (RFC 9110 section 5.3).
func joinLines(lines []string) string { return strings.Join(lines, ", ") }
