package http1

import (
	"net/http"
	"strings"

	"nearcast/internal/web/grammar"
)

// setLength finds out where the body ends (RFC 9112 section 6). There is exactly one way to
// say it; of two that agree, one may be lost further on.
func (m *message) setLength() *refusal {
	codings, lengths := m.req.Header["Transfer-Encoding"], m.req.Header["Content-Length"]
	switch {
	case len(codings) > 0 && len(lengths) > 0:
		return malformed("cl-and-te", "the request has both Transfer-Encoding and Content-Length")
	case len(codings) > 0:
		return m.setChunked(codings)
	case len(lengths) > 1:
		return malformed("cl-repeated", "the request has more than one Content-Length")
	case len(lengths) == 0:
		return m.setNoLength()
	}
	n, ok := grammar.ParseLength(lengths[0])
	if !ok {
		return malformed("cl", "Content-Length must be 1 to 18 digits")
	}
	m.length, m.req.ContentLength = n, n
	return nil
}

// setNoLength is for a request without a body. HTTP/1.0 has no other way than a length to show that
// there is none where one belongs (RFC 1945 section 7.2.2), and some of its clients take the end of
// the connection for one.
func (m *message) setNoLength() *refusal {
	if m.req.ProtoMinor > 0 {
		return nil
	}
	switch m.req.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return malformed("no-length", "HTTP/1.0 needs a Content-Length with this method")
	}
	return nil
}

func (m *message) setChunked(codings []string) *refusal {
	switch {
	case m.req.ProtoMinor == 0:
		return malformed("te-in-1.0", "Transfer-Encoding is not known in HTTP/1.0")
	case len(codings) > 1 || !strings.EqualFold(codings[0], "chunked"):
		return malformed("te", "Transfer-Encoding must be chunked, once, and nothing else")
	}
	delete(m.req.Header, "Transfer-Encoding")
	m.req.TransferEncoding = []string{"chunked"}
	m.length, m.req.ContentLength = chunkedLength, chunkedLength
	return nil
}
