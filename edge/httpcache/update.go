package httpcache

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Refresh returns the response as a 304 leaves it (section 3.2): the new fields
// replace the stored ones, except those that describe the stored body. The origin was asked about this response
// alone, so that the 304 is about it, even if its entity tag is another one: that is a slip of the origin
// then, and the stored tag stays.
func (r *Response) Refresh(notModified http.Header, requestTime, responseTime time.Time) *Response {
	h := maps.Clone(r.Header)
	h.Del("Age")  // the validated response is as old as the 304 says, not as the stored one was
	h.Del("Date") // and without a Date it is of the time of receipt (RFC 9110 section 6.6.1)
	h.Set("Date", responseTime.UTC().Format(http.TimeFormat))
	update := NewResponse(Request{}, http.StatusNotModified, notModified, requestTime, responseTime)
	for name, values := range update.Header {
		if !describesBody(name) {
			h[name] = slices.Clone(values)
		}
	}
	fresh := &Response{
		Status: r.Status, Header: h, RequestTime: requestTime, ResponseTime: responseTime, vary: r.vary,
	}
	fresh.directives, fresh.targeted = EffectiveDirectives(h)
	return fresh.settle()
}

// describesBody reports whether a field speaks of the very octets that are stored; a 304,
// which has none, cannot change it. Section 3.2 names Content-Length, and allows a cache to
// omit what the integrity of the stored response depends on: a change of the coding, the
// digest or the range would make the stored octets unreadable. ETag is among them, since
// ranges of two versions would be mixed by it; and Vary, since the other fields of the
// request that the stored response answered are not kept.
func describesBody(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Md5", "Content-Range", "Etag", "Vary":
		return true
	}
	return false
}

// RefreshFromHead returns the response as a 200 to a HEAD request leaves it (section 4.3.5). If
// the two are not of the same version, ok is false, and the stored response is to be
// considered stale. size is the length of the stored body, -1 if it is not known.
func (r *Response) RefreshFromHead(
	head http.Header, size int64, requestTime, responseTime time.Time,
) (fresh *Response, ok bool) {
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		if v := head[name]; v != nil && !slices.Equal(v, r.Header[name]) {
			return nil, false
		}
	}
	if v := head["Content-Length"]; v != nil {
		own := r.Header["Content-Length"]
		if size >= 0 {
			own = []string{strconv.FormatInt(size, 10)}
		}
		if !slices.Equal(v, own) {
			return nil, false
		}
	}
	return r.Refresh(head, requestTime, responseTime), true
}

// newer reports whether r is more recent than other by Date and, if those are equal, by
// the time of receipt (section 4).
func (r *Response) newer(other *Response) bool {
	if !r.date.Equal(other.date) {
		return r.date.After(other.date)
	}
	return r.ResponseTime.After(other.ResponseTime)
}
