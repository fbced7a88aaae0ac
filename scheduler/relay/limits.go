package relay

import (
	"io"
	"net/http"
	"time"
)

// stall is how long nothing may move, from or to a visitor.
const stall = 60 * time.Second

// moving is a visitor's connection whose deadlines move with what is moved. Those of the server are for short answers.
type moving struct {
	http.ResponseWriter
	rc   *http.ResponseController
	from io.ReadCloser
	now  func() time.Time
}

func movingOf(w http.ResponseWriter, req *http.Request, limit int64, now func() time.Time) *moving {
	m := &moving{ResponseWriter: w, rc: http.NewResponseController(w), now: now}
	m.extendWrite()
	if req.Body != nil && req.Body != http.NoBody {
		m.from = http.MaxBytesReader(w, req.Body, limit)
	}
	return m
}

func (m *moving) extendWrite() {
	m.rc.SetWriteDeadline(m.now().Add(stall)) //nolint:errcheck // a server without deadlines has its own bounds
}

// Unwrap is for [http.ResponseController].
func (m *moving) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// Write implements [http.ResponseWriter].
func (m *moving) Write(p []byte) (int, error) {
	m.extendWrite()
	return m.ResponseWriter.Write(p)
}

// body is the content of the visitor's request.
func (m *moving) body() io.ReadCloser {
	if m.from == nil {
		return http.NoBody
	}
	return (*incoming)(m)
}

// incoming is a moving's other direction.
type incoming moving

// Read implements [io.Reader].
func (m *incoming) Read(p []byte) (int, error) {
	m.rc.SetReadDeadline(m.now().Add(stall)) //nolint:errcheck // as for writing
	return m.from.Read(p)
}

// Close implements [io.Closer].
func (m *incoming) Close() error { return m.from.Close() }
