package weborigin

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// accessLog writes a line for each request.
type accessLog struct {
	mu  sync.Mutex // guards the following
	out io.Writer
}

// access is a line of the log.
type access struct {
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Path      string    `json:"path"` // with the query, as it was asked
	Status    int       `json:"status"`
	Bytes     int64     `json:"bytes"` // of the body, as announced
	UserAgent string    `json:"user_agent"`
}

func newAccessLog(out io.Writer) *accessLog {
	if out == nil {
		out = io.Discard
	}
	return &accessLog{out: out}
}

// watch returns w, which will log the request when the response begins.
func (l *accessLog) watch(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	return &watched{ResponseWriter: w, log: l, request: r}
}

// watched logs its request just before the response's header leaves: whoever has
// read the response then finds the line, without waiting. The price is that bytes
// is what was announced, not what a client that hung up took.
type watched struct {
	http.ResponseWriter
	log     *accessLog
	request *http.Request
	begun   bool
}

// WriteHeader implements [http.ResponseWriter].
func (w *watched) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.log.write(w.line(status))
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (w *watched) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements [io.ReaderFrom], by which net/http uses sendfile.
func (w *watched) ReadFrom(r io.Reader) (int64, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return io.Copy(w.ResponseWriter, r)
}

func (w *watched) line(status int) access {
	a := access{
		Time: time.Now().UTC(), Method: w.request.Method, Path: w.request.RequestURI,
		Status: status, UserAgent: w.request.UserAgent(),
	}
	if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil && a.Method != http.MethodHead {
		a.Bytes = n
	}
	return a
}

// write appends the line. A log that cannot be written does not stop the server:
// it is the laboratory's, and the reader will miss the line.
func (l *accessLog) write(a access) {
	line, err := json.Marshal(a)
	if err != nil {
		return // cannot be: only strings and numbers
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Write(append(line, '\n')) //nolint:errcheck // see above
}
