package http2

import (
	"crypto/tls"
	"net/http"

	"golang.org/x/net/http2/hpack"
)

// CheckFields makes a request of fields, as they come out of a header block that has no content after it.
func CheckFields(fields []hpack.HeaderField, limits Limits, state *tls.ConnectionState) (r *http.Request, reason string) {
	limits = limits.withDefaults()
	var b block
	for _, f := range fields {
		if b.add(f, &limits) {
			break
		}
	}
	if why := b.check(&limits, state != nil); why != nil {
		return nil, why.reason
	}
	b.joinCookies()
	r, _, why := b.request(true)
	if why != nil {
		return nil, why.reason
	}
	return r, ""
}

// Lend makes it look as if n more buffers were in use.
func (s *Server) Lend(n int32) { s.lent.Add(n) }

// Occupy makes it look as if n more requests were under way.
func (s *Server) Occupy(n int64) { s.underWay.Add(n) }

// UnderWay returns how many requests are.
func (s *Server) UnderWay() int64 { return s.underWay.Load() }
