package http2

import (
	"net/http"
	"strconv"
	"sync"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/grammar"
)

const (
	// holdSize is how much content is held until there is more, so that an answer that is small can say its length.
	holdSize = 4 << 10
	// maxInterim is how much may wait to be sent before interim responses are left out.
	maxInterim = 2 * batchSize
)

// response is the answer to one request. It is the handler's ResponseWriter.
//
// Its head is put together when the handler calls WriteHeader, and committed when content has to be sent.
// An answer that is small and complete by then can say its length.
type response struct {
	c       *conn
	st      *stream
	header  http.Header
	isHead  bool // the request's method is HEAD
	expects bool // the client waits for 100 (Continue)

	mu        sync.Mutex // guards what follows; taken before conn.mu
	status    int        // 0 until WriteHeader
	fields    *coder     // the head's, until committed
	declared  int64      // Content-Length, or grammar.NoLength
	written   int64      // octets of content from the handler
	held      []byte     // content that is not sent yet
	trailers  []string   // names in Trailer
	committed bool
	continued bool // 100 has been sent
	returned  bool // the handler is gone
	closes    bool // the connection is to end after this
}

// Header returns the fields that WriteHeader sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader sends an interim response at once, or puts the head of the final one together.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *response) writeHeader(status int) {
	switch {
	case w.returned || w.status != 0:
		w.c.log.Debug("a handler wrote a second head", "status", status)
		return
	case status < 100 || status > 999 || status == http.StatusSwitchingProtocols: // RFC 9113 section 8.6
		w.c.log.Error("a handler answered with a status that cannot be", "status", status)
		status = http.StatusInternalServerError
	case status < 200:
		w.interim(status)
		return
	}
	w.status = status
	w.beginHead()
}

// interim sends an interim response, if the client takes what we send.
func (w *response) interim(status int) {
	e := w.c.srv.takeCoder()
	e.field(":status", strconv.Itoa(status))
	w.addFields(e)
	block := w.c.srv.done(e)
	if status == http.StatusContinue {
		w.continued = true
	}
	c := w.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if status != http.StatusContinue && c.waiting() > maxInterim {
		return
	}
	w.sendHead(block, false)
	c.flush()
}

// sendHead appends a header block. It holds conn.mu.
func (w *response) sendHead(block []byte, end bool) {
	c := w.c
	if w.st.closed || c.dead {
		return
	}
	out := c.buffer()
	out.b = appendHeaders(out.b, w.st.id, end, c.firstBlock(block))
}

// sendContinue asks for the content, unless the answer has begun already.
func (w *response) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.expects || w.status != 0 || w.continued || w.returned {
		return
	}
	w.continued = true
	block := w.c.srv.encode(http.StatusContinue, nil)
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.sendHead(block, false)
	w.c.flush()
}

// Write sends content, after a head with status 200 if there has been none. It returns [http.ErrBodyNotAllowed],
// [http.ErrContentLength], [os.ErrDeadlineExceeded], or why the stream is closed.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.returned {
		return 0, errReturned
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
	w.written += int64(len(p))
	if len(w.held)+len(p) <= holdSize {
		w.held = append(w.held, p...)
		return len(p), w.closedErr()
	}
	if err := w.sendAll(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// closedErr returns why the stream is closed, or nil.
func (w *response) closedErr() error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.st.err
}

// sendAll sends what is held and p.
func (w *response) sendAll(p []byte) error {
	block := w.commit(false)
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if block != nil {
		w.sendHead(block, false)
	}
	held := w.held
	w.held = w.held[:0]
	return w.st.send(held, p)
}

// finish completes the answer when the handler is gone. returned says that it did not panic.
func (w *response) finish(returned bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.returned = true }()
	if !returned {
		w.abandon(h2.ErrCodeInternal)
		return
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if !w.isHead && grammar.BodyAllowed(w.status) && w.written < w.declared {
		w.abandon(h2.ErrCodeInternal) // octets are missing
		return
	}
	block := w.commit(true)
	trailers := w.trailerBlock()
	w.complete(block, trailers)
}

func (w *response) abandon(code h2.ErrCode) {
	if w.fields != nil {
		w.c.srv.done(w.fields)
		w.fields = nil
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.st.abort(code)
}

// complete sends what is still to be sent. It does not wait: what the windows do not let through is the
// stream's, which lives on without its handler.
func (w *response) complete(block, trailers []byte) {
	c, st := w.c, w.st
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.closed {
		return
	}
	end := block != nil && len(w.held) == 0 && trailers == nil
	if block != nil {
		w.sendHead(block, end)
	}
	if end {
		c.finishLocal(st)
		return
	}
	st.content.add(w.held)
	st.trailers, st.ended = trailers, true
	c.advance(st)
}
