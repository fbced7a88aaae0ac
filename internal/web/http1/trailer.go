package http1

import (
	"net/http"

	"nearcast/internal/web/grammar"
)

// setTrailer gives the request the names of the trailers that are announced, as net/http
// does. A body in chunks may bring others as well.
func (m *message) setTrailer() {
	announced := m.req.Header["Trailer"]
	delete(m.req.Header, "Trailer")
	if m.length != chunkedLength {
		return
	}
	m.req.Trailer = make(http.Header)
	for name := range grammar.TrailerNames(announced) {
		m.req.Trailer[name] = nil
	}
}
