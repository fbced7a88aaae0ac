package edge

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"nearcast/cdn"
)

// copySize is the buffer for a body that is only passed on, in bytes.
const copySize = 32 << 10

// pass sends the visitor's request upstream as it is and the response back, with
// nothing used or stored. fwd is why, in the words of RFC 9211 section 2.2.
func (x *exchange) pass(fwd string) {
	c := cacheStatus{fwd: fwd}
	var body io.ReadCloser
	if x.r.Body != nil && x.r.Body != http.NoBody {
		visitor := &visitorBody{ReadCloser: x.r.Body, rc: x.rc}
		defer visitor.release()
		body = visitor
	}
	resp, upstream, err := x.s.ask(x.r.Context(), x.query, x.method, x.outgoing(x.s), body, x.r.ContentLength)
	x.rec.upstream = upstream
	if err != nil {
		if x.r.Context().Err() != nil {
			x.abort(err)
		}
		var status int
		c.detail, status = failure(err)
		x.failUpstream(err, status, c)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	x.invalidate(resp)
	h := receive(resp, x.s.now())
	if resp.ContentLength >= 0 && bodyAllowed(resp.StatusCode) {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	c.fwdStatus = resp.StatusCode
	word := wordPass
	if fwd == "miss" {
		word = wordMiss
	}
	x.stamp(h, word, c)
	maps.Copy(x.w.Header(), h)
	x.head(resp.StatusCode)
	if x.method != http.MethodHead {
		x.relay(resp)
	}
}

// relay copies a response's body. A body of unknown length may be a stream of events, so
// neither it nor the head before it is held back.
func (x *exchange) relay(resp *http.Response) {
	if resp.ContentLength < 0 {
		x.flush()
	}
	watchdog := time.AfterFunc(bodyStall, func() { resp.Body.Close() }) //nolint:errcheck // it makes the pending read fail
	defer watchdog.Stop()
	buf := make([]byte, copySize)
	for {
		n, err := resp.Body.Read(buf)
		watchdog.Reset(bodyStall)
		if n > 0 {
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

// invalidate forgets what a successful unsafe request has made untrue: the target and, on
// the same host, what the response points to (RFC 9111 section 4.4).
func (x *exchange) invalidate(resp *http.Response) {
	switch x.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 400 {
		return
	}
	x.s.forget(x.key)
	for _, name := range [...]string{"Location", "Content-Location"} {
		if u, err := x.target.URL().Parse(resp.Header.Get(name)); err == nil && resp.Header.Get(name) != "" {
			u.Fragment = ""
			other, err := cdn.ParseTarget(u.String())
			if err == nil && other.Domain == x.target.Domain && other.Scheme == x.target.Scheme {
				x.s.forget(other.Key(x.site.Name))
			}
		}
	}
}

// visitorBody is a request's body that may come slowly but not stall.
type visitorBody struct {
	io.ReadCloser
	rc *http.ResponseController

	mu       sync.Mutex // guards the following
	released bool       // the handler is over; the connection's deadline belongs to net/http again
}

// Read implements io.Reader.
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
