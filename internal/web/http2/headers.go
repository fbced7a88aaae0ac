package http2

import (
	"net/http"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/web/lane"
)

// head is a header block that is coming in (RFC 9113 section 4.3).
type head struct {
	open   bool // CONTINUATION is to follow
	id     uint32
	ended  bool  // END_STREAM
	octets int   // so far
	frames int   // of CONTINUATION
	err    error // what is wrong with the frames, to be said when the decoder has seen all
	block  block
}

// receiveHeaders begins a header block (RFC 9113 section 6.2).
func (c *conn) receiveHeaders(f frame) error {
	if f.id%2 == 0 {
		return violation("headers-stream")
	}
	p, err := f.unpad()
	if err != nil {
		return err
	}
	h := &c.head
	h.open, h.id, h.ended, h.octets, h.frames, h.err = true, f.id, f.flags.Has(h2.FlagHeadersEndStream), 0, 0, nil
	h.block.reset(c.work.request.Fields)
	h.block.trailer = f.id <= c.lastID
	if f.flags.Has(h2.FlagHeadersPriority) {
		if len(p) < 5 {
			return wrongSize("headers-priority")
		}
		if uint31(p) == f.id {
			h.err = &streamError{f.id, h2.ErrCodeProtocol, "self-dependency"}
		}
		p = p[5:]
	}
	return c.addFragment(p, f.flags.Has(h2.FlagHeadersEndHeaders))
}

// receiveContinuation goes on with a header block. There is a bound for frames, octets and time, because none of
// them shows anywhere until the last one has come (CVE-2024-27316).
func (c *conn) receiveContinuation(f frame) error {
	h := &c.head
	if !h.open {
		return violation("continuation")
	}
	h.frames++
	if h.frames > c.lim.Continuations {
		return abuse("continuation-flood")
	}
	return c.addFragment(f.payload, f.flags.Has(h2.FlagContinuationEndHeaders))
}

// addFragment decodes a part of a header block, in steps: an octet may stand for a field as large as the table, so that
// one that is too large is noticed before all of it has been decoded (CVE-2016-6581, RFC 7541 section 7.3).
func (c *conn) addFragment(p []byte, last bool) error {
	h := &c.head
	h.octets += len(p)
	if h.octets > 2*c.lim.HeaderBytes {
		return abuse("continuation-flood")
	}
	for len(p) > 0 {
		piece := p[:min(len(p), decodeStep)]
		p = p[len(piece):]
		if _, err := c.decoder.Write(piece); err != nil {
			return &connError{code: h2.ErrCodeCompression, reason: "hpack"}
		}
		if h.block.bomb {
			return abuse("header-bomb")
		}
	}
	if !last {
		return nil
	}
	h.open = false
	if err := c.decoder.Close(); err != nil {
		return &connError{code: h2.ErrCodeCompression, reason: "hpack"}
	}
	defer c.forgetHead()
	return c.endHead()
}

// forgetHead lets go of the fields: the next header block may be long in coming.
func (c *conn) forgetHead() {
	r := &c.work.request
	clear(r.Fields[:cap(r.Fields)])
	*r = lane.Request{Fields: r.Fields[:0]}
	c.head.block = block{}
}

// emit takes a field from the decoder.
func (c *conn) emit(f hpack.HeaderField) {
	if b := &c.head.block; b.add(f, &c.lim) {
		b.bomb = true
		c.decoder.SetEmitEnabled(false) // for the rest of the step; the connection ends after it
	}
}

// endHead does what a complete header block asks for: it opens a stream, or ends one.
func (c *conn) endHead() error {
	h := &c.head
	c.work.request.Fields = h.block.fields
	c.mu.Lock()
	if h.id <= c.lastID {
		defer c.mu.Unlock()
		return c.endTrailers()
	}
	c.lastID, c.idleSince = h.id, c.readAt
	c.seat.Begin(c.readAt)
	c.seat.End(c.readAt)
	final, full := c.final, c.full()
	if final {
		c.forget(h.id) // it is beyond the last one that GOAWAY named (RFC 9113 section 6.8)
	}
	c.budgets.resets.open(c.readAt)
	c.budgets.updates.grant(updatesPerStream)
	c.mu.Unlock()
	c.budgets.priorities.grant(updatesPerStream)
	switch {
	case final:
		return nil
	case h.err != nil:
		return c.refuse(malformed("self-dependency"))
	case full:
		return c.refuseStream()
	}
	if why := h.block.check(&c.lim, c.tls != nil); why != nil {
		return c.refuse(why)
	}
	h.block.joinCookies()
	c.work.request.Fields = h.block.fields
	if c.tryLane() {
		return nil
	}
	return c.begin()
}

// endTrailers is for a second header block of a stream (RFC 9113 section 8.1).
func (c *conn) endTrailers() error {
	h := &c.head
	st := c.streams[h.id]
	switch {
	case st == nil && c.isGone(h.id):
		return nil
	case st == nil:
		return &connError{code: h2.ErrCodeStreamClosed, reason: "headers-closed"}
	case st.remote:
		return &streamError{h.id, h2.ErrCodeStreamClosed, "headers-closed"}
	case h.err != nil:
		return h.err
	}
	return c.receiveTrailers(st, &h.block, h.ended)
}

// refuseStream refuses a request that may be sent again (RFC 9113 section 5.1.2). The client is to blame only if it knows the
// limit: the one for when very many requests are under way it has not been told.
func (c *conn) refuseStream() error {
	if c.srv.Rejected != nil {
		c.srv.Rejected(c.nc.RemoteAddr(), http.StatusServiceUnavailable, "too-many-streams")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots >= c.lim.Streams && !c.budgets.resets.fail(c.readAt) {
		return abuse("resets")
	}
	c.appendReset(c.head.id, h2.ErrCodeRefusedStream)
	return nil
}

// refuse answers a request that is not for the handler.
func (c *conn) refuse(why *refusal) error {
	if c.srv.Rejected != nil {
		c.srv.Rejected(c.nc.RemoteAddr(), why.status, why.reason)
	}
	id := c.head.id
	if why.status == http.StatusBadRequest {
		return &streamError{id, h2.ErrCodeProtocol, why.reason}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.budgets.resets.fail(c.readAt) { // it costs as much as a stream that is reset
		return abuse("resets")
	}
	out := c.buffer()
	out.b = appendHeaders(out.b, id, true, c.firstBlock(c.srv.encode(why.status, []lane.Field{
		{Name: "date", Value: c.srv.now().UTC().Format(http.TimeFormat)},
		{Name: "cache-control", Value: "no-store"},
		{Name: "content-length", Value: "0"},
	})))
	c.replies++
	if !c.head.ended {
		c.appendReset(id, h2.ErrCodeNo)
	}
	return nil
}
