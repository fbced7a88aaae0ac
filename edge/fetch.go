package edge

import (
	"context"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
)

// head is what the readers of a fill learn before its body.
type head struct {
	upstream string // who answered: a node's name or "origin"

	// Of interim, err, renewed and object one is set.

	// interim is a response before the final one (RFC 9110 section 15.2), of which only
	// the header counts; it is a hint.
	interim int
	// err is the failure to get anything from upstream, or anything better than a
	// server error where a stale response may be used instead.
	err error
	// disconnected: err is that the upstream could not be reached at all.
	disconnected bool
	// suspect: err may be due to this very request: upstream was reached, and gave no valid answer.
	suspect bool
	// renewed is the stored object that a 304 has validated; there is no body.
	renewed *store.Object
	// object is what came, without its content, in the form for those who did not ask for it. If
	// a part came, it is in the form of the whole.
	object *store.Object

	status  int                         // as it came
	header  http.Header                 // as it came, for the one who asked
	trailer atomic.Pointer[http.Header] // set before the end of the body is known; nil if there is none
	from    int64                       // where in the content the body begins
	length  int64                       // of the body; -1 if not known
	storing bool                        // it will be stored if it arrives whole
	shared  bool                        // those who waited may have it
	reason  string

	tooManyTags bool // to keep them all
}

// partial reports whether the body is known to be less than the whole content.
func (h *head) partial() bool { return h.status == http.StatusPartialContent }

// brings reports whether the body has the octets from start up to end, which is -1 for the end of
// the content.
func (h *head) brings(start, end int64) bool {
	if !h.partial() {
		return true
	}
	return h.length >= 0 && h.from <= start && end >= 0 && end <= h.from+h.length
}

// errand is what a fill asks upstream for.
type errand struct {
	*query
	// base is what is stored, to be validated or completed; nil if nothing is.
	base *store.Object
	// span is the part of the content that is wanted.
	span fill.Span
	// missing: base is fresh, and span is what it lacks.
	missing bool
	// gone: base is not stored any more. Whoever reads it may have the rest, but nothing of the answer is
	// stored, lest what has been purged comes back.
	gone    bool
	ifRange string // the visitor's condition on its range
	// through: what is wanted is taken from this one answer however far ahead it is, because parts do not fit.
	through bool
	// born is the newest purge that had been applied when the fill began.
	born store.Epoch
}

// begin is the first thing that a fill does, so that nothing is asked for before born and nothing that has been purged by then
// is validated.
func (e *errand) begin(s *Server) {
	e.born = s.purges.Begin()
	if e.base == nil || s.purges.Judge(e.base) != purge.Gone {
		return
	}
	if e.missing {
		e.gone = true
	} else {
		e.base = nil
	}
}

// fields returns what to send upstream, and whether it validates base.
func (e *errand) fields(s *Server) (h http.Header, conditional bool) {
	h = e.outgoing(s)
	httpcache.DropConditions(h)
	switch {
	case e.missing:
		if validator, ok := e.base.Response.StrongValidator(); ok {
			h.Set("If-Range", validator)
		}
	case e.base != nil:
		conditional = e.base.Response.Validate(h)
	case e.ifRange != "" && e.span != fill.Whole():
		h.Set("If-Range", e.ifRange)
	}
	if e.span != fill.Whole() {
		h.Set("Range", rangeField(e.span))
	}
	return h, conditional
}

// rangeField writes a span as the Range field of one range.
func rangeField(s fill.Span) string {
	switch {
	case s.Start < 0:
		return "bytes=" + strconv.FormatInt(s.Start, 10)
	case s.End == math.MaxInt64:
		return "bytes=" + strconv.FormatInt(s.Start, 10) + "-"
	}
	return "bytes=" + strconv.FormatInt(s.Start, 10) + "-" + strconv.FormatInt(s.End-1, 10)
}

// fetch returns the run of a fill.
func (s *Server) fetch(e errand) fill.Run[*head] {
	return func(ctx context.Context, f *fill.Fill[*head]) {
		e.begin(s)
		defer s.purges.End(e.born)
		defer s.finish(f)
		s.fetchFrom(ctx, &e, f)
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

func (s *Server) fetchFrom(ctx context.Context, e *errand, f *fill.Fill[*head]) {
	fields, conditional := e.fields(s)
	sent := s.now()
	hinting := withInterim(ctx, func(status int, h http.Header) { f.Hint(&head{interim: status, header: h}) })
	resp, upstream, err := s.ask(hinting, e.query, http.MethodGet, fields, nil, 0)
	if err != nil {
		f.Fail(&head{upstream: upstream, err: err, disconnected: true, suspect: suspicious(err), shared: true})
		return
	}
	defer func() { resp.Body.Close() }() //nolint:errcheck // read to its end, or given up
	arrived := s.now()
	header := receive(resp, arrived)
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		s.renew(e, f, upstream, e.base.Response.Refresh(header, sent, arrived))
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && e.missing:
		// What is stored is not what upstream has any more.
		if !e.gone { // else what is stored by now is something else
			s.store.Delete(e.key)
		}
		resp.Body.Close() //nolint:errcheck // a short text that nobody reads
		s.fetchFrom(ctx, &errand{query: e.query, span: fill.Whole(), born: e.born}, f)
	case resp.StatusCode == http.StatusNotModified, resp.StatusCode == http.StatusPartialContent && e.span == fill.Whole():
		// Nobody asked for that (RFC 9110 sections 15.3.7 and 15.4.5): what it is about is anybody's guess.
		f.Fail(&head{upstream: upstream, err: statusError(resp.StatusCode), suspect: true, shared: true})
	case e.base != nil && !e.missing && serverError(resp.StatusCode) && e.standsIn(arrived, e.base, false):
		f.Fail(&head{upstream: upstream, err: statusError(resp.StatusCode), shared: true})
	default:
		a := &arrival{s: s, errand: e, resp: resp, sent: sent, arrived: arrived, head: &head{
			upstream: upstream, status: resp.StatusCode, header: header, length: resp.ContentLength,
		}}
		a.take(ctx, f)
	}
}

// suspicious reports whether another request might fare better.
func suspicious(err error) bool {
	kind := proxyError(err)
	return kind == "connection_terminated" || kind == "http_protocol_error"
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
	// What says whom a response is for cannot be taken back by a Connection that names it: that is never
	// appropriate (RFC 9110 section 7.6.1), and the next cache would share what is private.
	for _, name := range [...]string{"Cache-Control", "Cdn-Cache-Control", "Vary"} {
		if lines := resp.Header[name]; lines != nil {
			h[name] = lines
		}
	}
	h.Del(hopField)
	h.Del(errorField)
	if _, err := http.ParseTime(h.Get("Date")); err != nil {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	return h
}

// renew puts a validated head in place of the stored one. The origin may have changed its mind:
// if the response must not be stored any more, the stored one goes.
func (s *Server) renew(e *errand, f *fill.Fill[*head], upstream string, r *httpcache.Response) {
	object := *e.base
	object.Response, object.Born, object.Softened, object.Memo = r, e.born, time.Time{}, new(store.Memo)
	verdict := httpcache.Assess(s.now(), e.cacheRequest(), r, e.policyOf(r))
	tags, more := store.TagsOf(r.Header)
	object.Tags = tags
	f.Commit(func() {
		switch {
		case verdict.Store && more:
			s.store.Delete(e.key)
		case verdict.Store && !slices.Equal(tags, e.base.Tags):
			s.store.Put(&object, e.header)
		case verdict.Store:
			s.store.Refresh(e.base, r, e.born)
		case !verdict.Personal:
			s.store.Delete(e.key)
		}
	})
	s.remember(e.sharing(), verdict.Share, verdict.Personal)
	f.Announce(&head{upstream: upstream, renewed: &object, storing: verdict.Store, shared: verdict.Share, reason: verdict.Reason}, verdict.Share)
	f.Finish(io.EOF)
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
