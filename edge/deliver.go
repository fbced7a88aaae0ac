package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/internal/rawtcp"
	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// errInterimFlood is that an upstream says much and answers nothing.
var errInterimFlood = errors.New("too many interim responses")

// begin sends the head of an answer and reports whether a body is to follow. h is the exchange's to change.
func (x *exchange) begin(src *source, sel *selection, h http.Header) (body bool) {
	o := src.object
	delete(h, "Content-Length")
	switch {
	case sel.status == http.StatusNotModified:
		// Those that describe a body that is not sent stay behind (RFC 9110 section 15.4.5).
		for _, name := range [...]string{"Content-Type", "Content-Encoding", "Content-Range", "Content-Language"} {
			h.Del(name)
		}
	case sel.unsatisfiable(o):
		h.Set("Content-Range", httpcache.Unsatisfied(o.Length))
		h.Set("Content-Length", "0")
		h.Del("Content-Type")
	case len(sel.ranges) == 1:
		h.Set("Content-Range", contentRange(sel.ranges[0], o.Length, o.Doubtful))
		h.Set("Content-Length", strconv.FormatInt(sel.ranges[0].Length, 10))
	case sel.ranges != nil:
		sel.parts = httpcache.NewMultipart(sel.ranges, o.Length, h.Get("Content-Type"), rand.Text())
		sel.parts.SetHeader(h)
	case o.Length >= 0 && grammar.BodyAllowed(sel.status):
		h.Set("Content-Length", strconv.FormatInt(o.Length, 10))
	}
	x.shape(o.Response.Status, sel.status, h)
	maps.Copy(x.w.Header(), h)
	x.head(sel.status)
	return x.method != http.MethodHead && grammar.BodyAllowed(sel.status) && !sel.unsatisfiable(o)
}

// shape makes a response what the site wants its visitors to see. Another node gets it as it is, and does
// the same. status is that by which the route is chosen, sent what the visitor gets.
func (x *exchange) shape(status, sent int, h http.Header) {
	if x.hop.node != "" {
		return
	}
	if !x.tables.standalone {
		dropTags(h)
	}
	rule, _ := x.plan.Response(status)
	rules.BrowserTTL(rule, sent, h)
	rules.ResponseHeader(rule, h)
	_, fields := rules.CORS(x.plan.Rule, x.header, x.method)
	rules.SetCORS(h, fields)
}

// dropTags takes out what is between the origin and the CDN: by what tags a response is purged.
func dropTags(h http.Header) {
	delete(h, "Surrogate-Key")
	delete(h, "Cache-Tag")
}

// contentRange writes a Content-Range, without the length if that is in doubt.
func contentRange(r httpcache.Range, length int64, doubtful bool) string {
	if doubtful {
		return "bytes " + strconv.FormatInt(r.Start, 10) + "-" + strconv.FormatInt(r.Start+r.Length-1, 10) + "/*"
	}
	return r.ContentRange(length)
}

// send sends the selected octets.
func (x *exchange) send(src *source, sel *selection) {
	switch len(sel.ranges) {
	case 0:
		x.sendSpan(src, 0, src.object.Length)
	case 1:
		x.sendSpan(src, sel.ranges[0].Start, sel.ranges[0].Start+sel.ranges[0].Length)
	default:
		for i, r := range sel.ranges {
			x.write([]byte(sel.parts.Head(i)))
			x.sendSpan(src, r.Start, r.Start+r.Length)
		}
		x.write([]byte(sel.parts.Tail()))
	}
}

// sendSpan sends the octets from start up to end, all there are if end is negative, as they arrive.
func (x *exchange) sendSpan(src *source, start, end int64) {
	if o := src.object; src.reader == nil && !o.Sliced {
		for p := range o.Body.Slice(start, end-start) {
			x.write(p)
		}
		return
	}
	if end < 0 && !src.pending() {
		x.flush() // it may be a stream of events, the first of which is far away
	}
	for pos := start; end < 0 || pos < end; {
		if n := x.sendFile(src, pos, end); n > 0 {
			pos += n
			continue
		}
		p, err := src.at(pos, end)
		if errors.Is(err, io.EOF) && end < 0 {
			return
		}
		if err != nil {
			x.s.metrics.broken.Inc()
			x.abort(err)
		}
		if end >= 0 {
			p = p[:min(int64(len(p)), end-pos)]
		}
		x.write(p)
		if pos += int64(len(p)); pos != end && !src.pending() {
			x.flush()
		}
	}
}

// filer is a writer that sends what is in a file without a copy of it.
type filer interface {
	CanSendFile() bool
	SendFile(from lane.File, offset, length int64) (int64, error)
}

// sendFile sends octets of a slice that is in a file, if they are at hand there and the connection can do that. It returns how
// many went.
func (x *exchange) sendFile(src *source, pos, end int64) int64 {
	w, ok := x.w.(filer)
	if !ok || src.reader != nil || !src.object.Sliced || end < 0 || !w.CanSendFile() {
		return 0
	}
	body := x.s.sliceAt(src.object, pos, true)
	file, at := body.Extent()
	if file == nil {
		src.held, src.heldAt = body, pos // it is in memory
		return 0
	}
	x.extendWrite()
	n, err := w.SendFile(file, at, min(body.Len(), end-pos))
	x.gave(n)
	if err != nil && !errors.Is(err, rawtcp.ErrGone) {
		x.abort(err)
	}
	return n
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

// write sends octets, or breaks off if the visitor does not take them.
func (x *exchange) write(p []byte) {
	x.extendWrite()
	n, err := x.w.Write(p)
	x.gave(int64(n))
	if err != nil {
		x.abort(err)
	}
}

// gave counts octets that went to the visitor, as they go: an answer may take hours.
func (x *exchange) gave(octets int64) {
	x.rec.sent += octets
	x.s.metrics.octets.Add(uint64(max(octets, 0)))
	x.visitor.Sent(x.rec.site, octets, x.s.now())
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

// sendInterim passes an interim response on (RFC 9110 section 15.2), unless the final one has begun or
// the visitor speaks HTTP/1.0, which has none.
func (x *exchange) sendInterim(status int, h http.Header) {
	if x.rec.status != 0 || !x.r.ProtoAtLeast(1, 1) {
		return
	}
	own := x.w.Header()
	before := maps.Clone(own)
	for name, values := range httpcache.EndToEnd(h) {
		if !strings.HasPrefix(name, "Nearcast-") {
			own[name] = values
		}
	}
	x.w.WriteHeader(status)
	clear(own)
	maps.Copy(own, before)
}

// maxInterim bounds the interim responses to one request.
const maxInterim = 16

// withInterim returns a context under which said is called for each interim response to a request, but
// 100, which is between two connections, and 101, which is final. It is called before the request's RoundTrip
// returns. A request that gets too many of them fails.
func withInterim(ctx context.Context, said func(status int, h http.Header)) context.Context {
	var count atomic.Int64 // one request may be tried at several upstreams
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if count.Add(1) > maxInterim {
				return errInterimFlood
			}
			if code > http.StatusSwitchingProtocols {
				said(code, http.Header(header).Clone())
			}
			return nil
		},
	})
}

// sendTrailer sends the trailer fields of a response whose body has ended, if its framing allows for some.
func (x *exchange) sendTrailer(t http.Header) {
	for name, values := range t {
		x.w.Header()[http.TrailerPrefix+name] = values
	}
}

// trailer returns the trailer fields of a response whose body has been read to its end, without those that
// belong to the head alone (RFC 9110 section 6.5.1) or to the connection.
func trailer(resp *http.Response) http.Header {
	if len(resp.Trailer) == 0 {
		return nil
	}
	t := httpcache.EndToEnd(resp.Trailer)
	for name := range t {
		if headOnly(name) || strings.HasPrefix(name, "Nearcast-") {
			delete(t, name)
		}
	}
	return t
}

// headOnly reports whether a field must not be in a trailer (RFC 9110 section 6.5.1): those that
// frame or route a message, say how to handle it, or describe its content.
func headOnly(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Cache-Control", "Expect", "Max-Forwards",
		"Pragma", "Range", "Authorization", "Set-Cookie", "Cookie", "Www-Authenticate", "Age", "Date", "Expires", "Location",
		"Retry-After", "Vary", "Warning", "Etag", "Last-Modified", "If-Match", "If-None-Match", "If-Modified-Since",
		"If-Unmodified-Since", "If-Range", "Via", "Cache-Status", "Cdn-Cache-Control", "Cdn-Loop", "X-Cache":
		return true
	}
	return false
}
