package http1

import (
	"io"
	"net/http"
)

// ParseHead parses the head that p begins with, which arrives in two parts. A head that
// is not complete has neither a request nor a reason.
func ParseHead(p []byte, split int, limits Limits) (r *http.Request, size int, reason string) {
	var h head
	limits = limits.withDefaults()
	for _, part := range [][]byte{p[:split], p} {
		done, why := h.parse(part, &limits)
		if why != nil {
			return nil, 0, why.reason
		}
		if !done {
			continue
		}
		m, why := newMessage(&h, part[:h.next])
		if why != nil {
			return nil, 0, why.reason
		}
		return m.req, h.next, ""
	}
	return nil, 0, ""
}

// NewChunkedReader reads a body in chunks from src, through a buffer. Its trailers go to
// trailer.
func NewChunkedReader(src io.Reader, limits Limits, trailer http.Header) io.Reader {
	limits = limits.withDefaults()
	return &chunked{in: &input{src: src}, lim: &limits, trailer: trailer}
}

// Draining reports whether the connection of a response has heard that the server is to stop.
func Draining(w http.ResponseWriter) bool {
	r, ok := w.(*response)
	return ok && r.c.draining.Load()
}
