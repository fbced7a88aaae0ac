package httpcache

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// Request is what matters of a request to a cache.
type Request struct {
	Method string
	Header http.Header
}

// Response is the head of a response that is stored, or about to be. It is
// immutable, and so is its Header.
type Response struct {
	Status int
	// Header has the fields that may be reused; see [NewResponse].
	Header http.Header
	// RequestTime and ResponseTime are when the request that brought (or last
	// validated) the response was sent and its answer came, by this node's clock.
	RequestTime, ResponseTime time.Time

	directives Directives
	vary       []varyField // the secondary key, in order of name
}

// NewResponse makes a Response out of what a request was answered with. It leaves
// out of the header what a cache must not store or reuse: the connection's own fields
// (section 3.1), those that no-cache="..." or private="..." name, and what other caches
// said about their own part (RFC 9211 is about one exchange, not about the content).
func NewResponse(req Request, status int, h http.Header, requestTime, responseTime time.Time) *Response {
	d := ParseDirectives(h)
	h = EndToEnd(h)
	for _, name := range d.Withheld {
		h.Del(name)
	}
	h.Del("Cache-Status")
	h.Del("X-Cache")
	return &Response{
		Status: status, Header: h, RequestTime: requestTime, ResponseTime: responseTime,
		directives: d, vary: varyOf(h, req.Header),
	}
}

// Refresh returns the response as a 304 leaves it (section 3.2): the new fields
// replace the stored ones, except those that describe the stored body.
func (r *Response) Refresh(notModified http.Header, requestTime, responseTime time.Time) *Response {
	h := maps.Clone(r.Header)
	h.Del("Age") // the validated response is as old as the 304 says, not as the stored one was
	for name, values := range NewResponse(Request{}, http.StatusNotModified, notModified, requestTime, responseTime).Header {
		if !describesBody(name) {
			h[name] = slices.Clone(values)
		}
	}
	d := ParseDirectives(h)
	for _, name := range d.Withheld {
		h.Del(name)
	}
	return &Response{
		Status: r.Status, Header: h, RequestTime: requestTime, ResponseTime: responseTime,
		directives: d, vary: r.vary,
	}
}

// describesBody reports whether a field speaks of the very octets that are
// stored; a 304, which has none, cannot change it. Section 3.2 names Content-Length;
// a change of the others would make the stored octets unreadable. ETag is among them: the
// request asked about one entity tag only, so that whatever the 304 says of another
// is a mistake of the origin.
func describesBody(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Md5", "Content-Range", "Etag", "Vary":
		return true
	}
	return false
}

// Size estimates the memory that the head takes, in bytes.
func (r *Response) Size() int {
	n := 256
	for name, values := range r.Header {
		n += len(name) + 48
		for _, v := range values {
			n += len(v) + 16
		}
	}
	for _, f := range r.vary {
		n += len(f.name) + len(f.value) + 32
	}
	return n
}
