package http2

import (
	"context"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/lane"
)

// stream is a request under way. All of it is guarded by conn.mu, but for what never changes.
type stream struct {
	c  *conn
	id uint32

	priority priority
	queued   bool // in conn.queue

	window   int64 // how much the client takes
	content  content
	ended    bool      // content is all there will be
	trailers []byte    // header block to follow it; nil if there are none
	moved    time.Time // when some of content was sent last

	remote bool        // the client has ended its side
	local  *time.Timer // ends the client's, now that we have ended ours; nil until then
	closed bool
	err    error // why it was closed, if it had not come to its end

	hit *work // the answer that the lane has given; nil for a handler's, which has all that follows

	body               inbound
	handling           bool // the handler runs
	cancel             context.CancelFunc
	readable, writable chan struct{} // hold something when whoever waits should look again
	readBy, writeBy    time.Time     // the handler's deadlines, or zero
}

// work is a request and its answer, for as long as the lane needs them, and the stream of an answer that has to wait.
type work struct {
	request lane.Request
	answer  lane.Answer
	stream  stream
}

func (s *Server) takeWork() *work {
	if w, ok := s.works.Get().(*work); ok {
		return w
	}
	return new(work)
}

// giveWork takes it back without what it holds of others.
func (s *Server) giveWork(w *work) {
	fields, pieces := w.request.Fields, w.stream.content.pieces
	clear(fields[:cap(fields)])
	clear(pieces[:cap(pieces)])
	w.request = lane.Request{Fields: fields[:0]}
	w.answer.Reset()
	w.stream = stream{content: content{pieces: pieces[:0]}}
	s.works.Put(w)
}

// wake makes whoever waits for ch look again.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// open enters a new stream, which takes a slot.
func (c *conn) open(st *stream) {
	st.c = c
	st.window = c.initialWindow
	st.moved = c.readAt
	c.streams[st.id] = st
}

// advance puts a stream into the queue that has something to send and may, and ends one that has sent all.
func (c *conn) advance(st *stream) {
	switch {
	case st.closed, st.local != nil:
	case st.content.left > 0 && st.window > 0:
		if !st.queued {
			c.queue.push(st)
		}
	case st.content.left == 0 && st.ended:
		c.endLocal(st)
	}
}

// endLocal ends our side of a stream, all of whose content has been sent.
func (c *conn) endLocal(st *stream) {
	out := c.buffer()
	if st.trailers != nil {
		out.b = appendHeaders(out.b, st.id, true, c.firstBlock(st.trailers))
	} else {
		out.b = appendFrameHeader(out.b, 0, h2.FrameData, h2.FlagDataEndStream, st.id)
	}
	c.finishLocal(st)
}

// finishLocal does what is to be done when END_STREAM has been sent. What the client is sending meanwhile gets Limits.Linger to arrive, as far as
// the stream's window lets it: clients that are told at once that they need not send it (RFC 9113 section 8.1) may take that for a failure, and
// lose the answer (curl 7.88 does).
func (c *conn) finishLocal(st *stream) {
	c.replies++
	if st.remote {
		c.closeStream(st, nil)
		return
	}
	c.queue.remove(st)
	st.content.drop()
	c.giveBack(st.body.drop())
	st.cancel()
	wake(st.readable)
	st.local = time.AfterFunc(c.lim.Linger, func() { c.guarded(func() { c.endRest(st) }) })
}

// endRest tells a client whose request has been answered that it need not send the rest.
func (c *conn) endRest(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.closed {
		return
	}
	c.appendReset(st.id, h2.ErrCodeNo)
	c.closeStream(st, nil)
	c.flush()
}

// reset ends a stream for a reason of ours.
func (c *conn) reset(st *stream, code h2.ErrCode) {
	c.appendReset(st.id, code)
	c.closeStream(st, errOurReset)
}

// closeStream ends a stream for both sides. err is nil if all has been sent.
func (c *conn) closeStream(st *stream, err error) {
	if st.closed {
		return
	}
	st.closed, st.err = true, err
	if st.local != nil {
		st.local.Stop()
		st.err = nil // all has been sent
	}
	delete(c.streams, st.id)
	c.queue.remove(st)
	if st.hit != nil {
		c.finished = append(c.finished, st)
		c.release()
		return
	}
	st.content.drop()
	c.giveBack(st.body.drop())
	st.cancel()
	wake(st.readable)
	wake(st.writable)
	if !st.handling {
		c.release()
	}
}

// manyStreams is how many requests may be under way on all connections before each connection may have no more than fewStreams: a
// request whose client takes nothing costs a kilobyte, and a hundred on each of thousands of connections add up.
const (
	manyStreams = 1 << 16
	fewStreams  = 16
)

// full reports whether the connection may have no more requests under way.
func (c *conn) full() bool {
	return c.slots >= c.lim.Streams || c.slots >= fewStreams && c.srv.underWay.Load() >= manyStreams
}

// take takes a slot.
func (c *conn) take() {
	if c.slots++; c.slots == 1 {
		c.seat.Begin(c.readAt)
	}
	c.srv.underWay.Add(1)
}

// release frees a slot. It is taken from when a request comes until its stream is closed and its handler has
// returned.
func (c *conn) release() {
	c.slots--
	c.srv.underWay.Add(-1)
	if c.slots > 0 {
		return
	}
	c.idleSince = time.Now()
	c.seat.End(c.idleSince)
	if c.draining {
		c.wakeReader()
	}
}
