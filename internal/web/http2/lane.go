package http2

import (
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/lane"
)

// maxDirect is the largest content of an answer that does not go through the queue.
const maxDirect int64 = 64 << 10

// tryLane offers the request whose head has just come to the lane, and reports whether it was taken. What fits into the
// windows is put behind what waits already, and is done with; else the answer becomes a stream.
func (c *conn) tryLane() bool {
	h := &c.head
	b := &h.block
	if c.srv.Lane == nil || !h.ended || b.special > 0 || b.path[0] != '/' {
		return false
	}
	w := c.work
	r := &w.request
	r.Method, r.Host, r.Target, r.Major = b.method, b.authority, b.path, 2
	r.Kinds, r.At = b.kinds, c.readAt
	w.answer.Reset()
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	if !c.srv.Lane.Take(&c.peer, r, &w.answer) {
		return false
	}
	if done, sent, err := c.answer(w); done {
		c.srv.Lane.Sent(&c.peer, r, &w.answer, lane.End{At: time.Now(), Sent: sent, Err: err})
	}
	return true
}

// answer puts an answer behind what waits, and is done with it; or enters its stream into the queue.
func (c *conn) answer(w *work) (done bool, sent int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return true, 0, errClosed
	}
	a, id := &w.answer, c.head.id
	direct := a.Length <= min(maxDirect, c.window, c.initialWindow) && c.queue.n == 0 && c.waiting() < c.batch()
	c.appendAnswerHead(w, id)
	if a.Length == 0 {
		c.replies++
		return true, 0, nil
	}
	if direct {
		c.appendAnswerContent(id, a)
		return true, a.Length, nil
	}
	st := &w.stream
	st.id, st.hit, st.remote, st.ended = id, w, true, true
	st.priority = c.takeEarly(id, priorityOf(w.request.Fields))
	c.open(st)
	c.take()
	for _, p := range a.Content {
		st.content.add(p)
	}
	c.advance(st)
	c.work = c.srv.takeWork()
	return false, 0, nil
}

// appendAnswerHead appends the HEADERS frame of an answer.
func (c *conn) appendAnswerHead(w *work, id uint32) {
	out := c.buffer()
	at := len(out.b)
	out.b = appendFrameHeader(out.b, 0, h2.FrameHeaders, 0, id)
	from := len(out.b)
	out.b = w.answer.AppendHPACK(c.appendFirst(out.b))
	n := len(out.b) - from
	if n > maxFrameSize {
		block := append([]byte(nil), out.b[from:]...)
		out.b = appendHeaders(out.b[:at], id, w.answer.Length == 0, block)
		return
	}
	flags := h2.FlagHeadersEndHeaders
	if w.answer.Length == 0 {
		flags |= h2.FlagHeadersEndStream
	}
	appendFrameHeader(out.b[:at], n, h2.FrameHeaders, flags, id)
}

// appendAnswerContent appends all content of an answer, which fits into the windows.
func (c *conn) appendAnswerContent(id uint32, a *lane.Answer) {
	out, q := c.buffer(), &c.direct
	for _, p := range a.Content {
		q.add(p)
	}
	c.window -= q.left
	c.budgets.updates.grant(float64(q.left) / octetsPerUpdate)
	for q.left > 0 {
		n := min(q.left, maxPayload)
		var flags h2.Flags
		if n == q.left {
			flags = h2.FlagDataEndStream
		}
		out.b = appendFrameHeader(out.b, int(n), h2.FrameData, flags, id)
		out.b = q.take(out.b, int(n))
	}
}
