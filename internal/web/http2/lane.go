package http2

import (
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// maxDirect is the largest content of an answer that does not go through the queue.
const maxDirect int64 = 64 << 10

// tryLane offers the request whose head has just come to the lane, and reports whether it was taken. What fits into the
// windows is put behind what waits already, and is done with; else the answer becomes a stream.
func (c *conn) tryLane() bool {
	h := &c.head
	b := &h.block
	if c.srv.Lane == nil || b.path[0] != '/' {
		return false
	}
	w := c.work
	r := &w.request
	frame := 0 // with the content
	switch {
	case !h.ended:
		if r.Content, frame = c.content(); frame == 0 {
			return false
		}
	case b.special > 0:
		return false
	}
	r.Method, r.Host, r.Target, r.Major = b.method, b.authority, b.path, 2
	r.Kinds, r.At = b.kinds, c.readAt
	w.answer.Reset()
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	taken := c.srv.Lane.Take(&c.peer, r, &w.answer)
	if !taken {
		r.Content = nil
		return false
	}
	if frame > 0 {
		c.passContent(frame)
	}
	if done, sent, err := c.answer(w); done {
		c.srv.Lane.Sent(&c.peer, r, &w.answer, lane.End{At: time.Now(), Sent: sent, Err: err})
	}
	return true
}

// content returns the content of the request whose head has just come, and the length of its frame, if that is what comes next and is all of it.
// It takes nothing: whatever is out of the ordinary is for receiveData to judge.
func (c *conn) content() (content []byte, frame int) {
	h, p := &c.head, c.in.unread()
	if c.srv.LaneContent == 0 || len(p) < frameHeaderLen {
		return nil, 0
	}
	f, length := parseHeader(p)
	if f.kind != h2.FrameData || f.id != h.id || f.flags != h2.FlagDataEndStream || length > c.srv.LaneContent || len(p) < frameHeaderLen+length {
		return nil, 0
	}
	allowed := 0
	if said, one := c.work.request.Value(lane.Framing); said != "" && one {
		n, ok := grammar.ParseLength(said)
		if !ok || n != int64(length) || !h.block.sized {
			return nil, 0
		}
		allowed = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.block.special != allowed || int64(length) > c.recv {
		return nil, 0
	}
	return p[frameHeaderLen : frameHeaderLen+length], frameHeaderLen + length
}

// passContent goes on behind the frame of content that the lane has taken.
func (c *conn) passContent(frame int) {
	c.frames++
	c.in.skip(frame)
	size := int64(frame - frameHeaderLen)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recv -= size
	c.giveBack(size)
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
	c.goes += q.left
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
