package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
)

// maxResumes bounds how often a broken body is continued.
const maxResumes = 3

// body reads a response's content from upstream. If the connection dies on the way, it asks for the
// rest, so that readers notice nothing; what must not be mixed is not: the rest is taken
// only if it is of the same content.
type body struct {
	*arrival
	ctx    context.Context //nolint:containedctx // that of the fill, which outlives no Read
	slicer *slicer         // gets what is read; nil if it is not stored in slices
	pos    int64           // octets read
	tries  int

	mu      sync.Mutex // guards the following
	current io.ReadCloser
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	for {
		n, err := b.source().Read(p)
		b.pos += int64(n)
		b.slicer.add(p[:n])
		if b.pos == b.head.length {
			b.slicer.flush() // before a reader can know that it has the whole
		}
		switch {
		case err == nil:
			return n, nil
		case b.head.length < 0 || b.pos >= b.head.length:
			if errors.Is(err, io.EOF) {
				t := trailer(b.resp)
				b.head.trailer.Store(&t)
			}
			return n, err
		case n > 0:
			return n, nil // the next Read finds the error again
		case !b.resume():
			return 0, err
		}
	}
}

func (b *body) source() io.Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current
}

// interrupt makes a pending Read fail.
func (b *body) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current.Close() //nolint:errcheck // that it fails a Read is the purpose
}

// close ends reading. What has been read is stored.
func (b *body) close() {
	b.interrupt()
	b.slicer.flush()
}

// resume asks upstream for what is left and reports whether it comes.
func (b *body) resume() bool {
	h := b.head
	if b.tries >= maxResumes || b.ctx.Err() != nil || !h.partial() && !resumable(h.object.Response) {
		return false
	}
	b.tries++
	validator, ok := h.object.Response.StrongValidator()
	if !ok {
		return false
	}
	span := fill.Span{Start: h.from + b.pos, End: h.from + h.length}
	fields := b.outgoing(b.s)
	httpcache.DropConditions(fields)
	fields.Set("Range", rangeField(span))
	fields.Set("If-Range", validator)
	resp, _, err := b.s.ask(b.ctx, b.query, http.MethodGet, fields, nil, 0)
	if err != nil {
		return b.resume()
	}
	if !b.continues(resp, span) {
		resp.Body.Close() //nolint:errcheck // it is of no use
		return false
	}
	b.s.metrics.resumed.Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current.Close() //nolint:errcheck // it is broken
	b.current = resp.Body
	return true
}

// continues reports whether a response is the rest of the content.
func (b *body) continues(resp *http.Response, span fill.Span) bool {
	if resp.StatusCode != http.StatusPartialContent {
		return false
	}
	now := b.s.now()
	part, size, ok := httpcache.ParseContentRange(resp.Header.Get("Content-Range"))
	r := httpcache.NewResponse(b.cacheRequest(), resp.StatusCode, receive(resp, now), now, now)
	return ok && size == b.head.object.Length && part.Start == span.Start && part.Start+part.Length == span.End &&
		httpcache.SameVersion(b.head.object.Response, r)
}
