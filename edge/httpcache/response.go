package httpcache

import (
	"net/http"
	"strconv"
	"time"
	"unsafe"

	"nearcast/internal/heapsize"
)

// Response is the head of a response that is stored, or about to be. It is
// immutable, and so is its Header.
type Response struct {
	// Status is the status code, final in all that is stored.
	Status int
	// Header has the fields that may be reused; see [NewResponse].
	Header http.Header
	// RequestTime and ResponseTime are when the request that brought (or last
	// validated) the response was sent and its answer came, by this node's clock.
	RequestTime, ResponseTime time.Time

	directives Directives
	targeted   bool          // the directives are of a targeted field
	vary       []varyField   // the secondary key, in order of name
	date       time.Time     // see originated
	lifetime   time.Duration // see ownLifetime; all three are asked for on every hit
	initial    time.Duration // see initialAge
}

// NewResponse makes a Response out of what a request was answered with. It leaves
// out of the header what a cache must not store or reuse: the connection's own fields
// (section 3.1), those that no-cache="..." or private="..." name, and what other caches
// and proxies said about their own part (RFC 9211 and RFC 9209 are about one exchange, not
// about the content). The answer to a HEAD has no body to store: for a GET that was made
// to answer a HEAD this is right, for a real HEAD see [Response.RefreshFromHead].
func NewResponse(req Request, status int, h http.Header, requestTime, responseTime time.Time) *Response {
	r := &Response{Status: status, RequestTime: requestTime, ResponseTime: responseTime}
	r.directives, r.targeted = EffectiveDirectives(h)
	r.Header = EndToEnd(h)
	r.vary = varyOf(r.Header, req.Header) // even if Vary is withheld: what it says stays true
	for _, name := range [...]string{"Cache-Status", "Proxy-Status", "X-Cache"} {
		r.Header.Del(name)
	}
	return r.settle()
}

// settle works out what depends on header, directives and times, for a response that nobody
// else has yet.
func (r *Response) settle() *Response {
	for _, name := range r.directives.Withheld {
		r.Header.Del(name)
	}
	r.date = r.originated()
	r.lifetime = r.ownLifetime()
	r.initial = r.initialAge()
	return r
}

// Directives returns the directives that count for this cache. Its list must not be changed.
func (r *Response) Directives() Directives { return r.directives }

// Whole returns a 206's head in the form of the 200 whose part it is, for a cache that
// combines parts (sections 3.3 and 3.4) to store and judge: with that status, without Content-Range, and
// with the size of the whole body as Content-Length, or without it if size is negative,
// which means unknown. For any other status it returns r.
func (r *Response) Whole(size int64) *Response {
	if r.Status != http.StatusPartialContent {
		return r
	}
	whole := *r
	whole.Status = http.StatusOK
	whole.Header = r.Header.Clone()
	whole.Header.Del("Content-Range")
	whole.Header.Del("Content-Length")
	if size >= 0 {
		whole.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	return whole.settle()
}

// Size is the memory that the head takes, in bytes.
func (r *Response) Size() int64 {
	n := heapsize.Pointers(int(unsafe.Sizeof(*r))) + heapsize.Pointers(cap(r.vary)*int(unsafe.Sizeof(varyField{}))) +
		HeaderSize(r.Header)
	for _, f := range r.vary {
		n += heapsize.Of(len(f.name)) + heapsize.Of(len(f.value)) + heapsize.Of(len(f.raw))
	}
	return n
}

// HeaderSize is the memory of a header in bytes, the octets of its fields included.
func HeaderSize(h http.Header) int64 {
	n := heapsize.Map(len(h), int(unsafe.Sizeof("")+unsafe.Sizeof(h[""])))
	lines := 0
	for name, values := range h {
		n += heapsize.Of(len(name))
		lines += len(values)
		for _, v := range values {
			n += heapsize.Of(len(v))
		}
	}
	return n + heapsize.Pointers(lines*int(unsafe.Sizeof("")))
}
