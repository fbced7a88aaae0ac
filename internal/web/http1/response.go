package http1

import (
	"errors"
	"net/http"
	"sync"

	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// maxPiece is how much is sent under one deadline.
const maxPiece = 256 << 10

// maxFile is maxPiece for what is in a file.
const maxFile = 1 << 20

var errReturned = errors.New("http1: writing a response after the handler has returned")

// framing is how the end of a response's content is shown.
type framing int

const (
	noContent    framing = iota // there is none
	byLength                    // Content-Length
	byChunks                    // Transfer-Encoding: chunked
	byConnection                // the end of the connection, for HTTP/1.0
)

// response is the answer to one request. It is the handler's ResponseWriter.
//
// Its head is put together when the handler calls WriteHeader, and committed (which decides the
// framing) when content has to be sent. An answer that is small and complete by then can
// say its length.
type response struct {
	c       *conn
	header  http.Header
	body    *body // of the request; nil if there is none
	isHead  bool  // the request's method is HEAD
	minor   int   // version of the request
	expects bool  // the client waits for 100 (Continue)

	mu        sync.Mutex // guards what follows, and c.out and c.scratch while the handler runs
	status    int        // 0 until WriteHeader
	declared  int64      // Content-Length, or -1
	written   int64      // octets of content from the handler
	options   []string   // members of Connection other than close and keep-alive
	trailers  []string   // names in Trailer
	framing   framing    // once committed
	committed bool
	continued bool // 100 has been sent
	close     bool // the connection is to end
	hijacked  bool
	returned  bool // the handler is gone
}

func newResponse(c *conn, m *message) *response {
	return &response{
		c: c, header: make(http.Header), isHead: m.req.Method == http.MethodHead, minor: m.req.ProtoMinor,
		expects: m.expects, declared: -1, close: !m.keepAlive,
	}
}

// setBody gives r its body.
func (w *response) setBody(r *http.Request) {
	if r.ContentLength == 0 {
		r.Body = http.NoBody
		return
	}
	w.body = &body{c: w.c}
	if r.ContentLength == chunkedLength {
		w.body.src = &chunked{in: &w.c.in, lim: &w.c.lim, trailer: r.Trailer}
	} else {
		w.body.src = &counted{in: &w.c.in, left: r.ContentLength}
	}
	if w.expects {
		w.body.ask = w.sendContinue
	}
	r.Body = w.body
}

// Header returns the fields that WriteHeader sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader sends an interim response at once, or puts the head of the final one
// together.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *response) writeHeader(status int) {
	switch {
	case w.usable() != nil || w.status != 0:
		w.c.log.Debug("a handler wrote a second head", "status", status)
		return
	case status < 100 || status > 999:
		w.c.log.Error("a handler answered with a status that cannot be", "status", status)
		status = http.StatusInternalServerError
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.interim(status)
		return
	}
	w.status = status
	w.beginHead()
}

// interim sends an interim response. HTTP/1.0 knows none (RFC 9110 section 15.2).
func (w *response) interim(status int) {
	if w.minor == 0 {
		return
	}
	if status == http.StatusContinue {
		w.continued = true
	}
	w.c.out.buf = appendStatusLine(w.c.out.buf, status)
	w.appendFields()
	w.c.out.buf = append(w.c.out.buf, "\r\n"...)
	w.c.out.flush()
}

// sendContinue asks for the body, unless the answer has begun already.
func (w *response) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 || w.continued || w.usable() != nil {
		return
	}
	w.continued = true
	w.c.out.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	w.c.out.flush()
}

// usable returns why nothing may be written any more, or nil.
func (w *response) usable() error {
	switch {
	case w.hijacked:
		return http.ErrHijacked
	case w.returned:
		return errReturned
	}
	return nil
}

// Write sends content, after a head with status 200 if there has been none. It returns
// [http.ErrBodyNotAllowed], [http.ErrContentLength], [http.ErrHijacked] or the
// connection's error.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, err
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	switch {
	case !grammar.BodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.declared >= 0 && int64(len(p)) > w.declared-w.written:
		return 0, http.ErrContentLength
	case w.isHead:
		w.written += int64(len(p))
		return len(p), nil
	}
	for n := 0; n < len(p); {
		piece := p[n:min(n+maxPiece, len(p))]
		if err := w.send(piece); err != nil {
			return n, err
		}
		n += len(piece)
		w.written += int64(len(piece))
	}
	return len(p), nil
}

// SendFile sends content out of a file, as Write does. It may be called only if CanSendFile is true, with a length that Content-Length
// leaves room for. If the file is given up on the way the error is [rawtcp.ErrGone], and the rest may be written.
func (w *response) SendFile(from lane.File, offset, length int64) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, err
	}
	if !w.sendsFiles() || length > w.declared-w.written {
		return 0, http.ErrContentLength
	}
	w.commit(false)
	w.sendWith(nil)
	n, err := w.c.out.file(from, offset, length)
	w.written += n
	return n, err
}

// CanSendFile reports whether the response can take content out of a file: its head says how long it is, and the connection has no TLS.
func (w *response) CanSendFile() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.usable() == nil && w.sendsFiles()
}

func (w *response) sendsFiles() bool {
	return w.c.out.files != nil && w.status != 0 && grammar.BodyAllowed(w.status) && w.declared >= 0 && !w.isHead
}

// send sends some content, or holds it until there is more.
func (w *response) send(p []byte) error {
	held := &w.c.scratch.held
	if len(*held)+len(p) <= smallBuffer {
		*held = append(*held, p...)
		return w.c.out.err
	}
	w.commit(false)
	w.sendWith(p)
	return w.c.out.err
}

// sendWith sends what is held and p.
func (w *response) sendWith(p []byte) {
	held := &w.c.scratch.held
	if size := len(*held) + len(p); w.framing == byChunks && size > 0 {
		w.c.out.buf = appendHex(w.c.out.buf, size)
		w.c.out.write(*held, p, []byte("\r\n"))
	} else {
		w.c.out.write(*held, p)
	}
	*held = (*held)[:0]
}
