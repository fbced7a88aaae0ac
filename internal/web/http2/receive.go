package http2

import (
	"bytes"
	"encoding/binary"
	"slices"

	h2 "golang.org/x/net/http2"
)

// receive does what a frame asks for. A streamError is for the stream, whatever else ends the connection.
func (c *conn) receive(f frame) error {
	c.frames++
	if c.head.open && (f.kind != h2.FrameContinuation || f.id != c.head.id) {
		return violation("continuation-missing") // RFC 9113 section 6.10
	}
	switch f.kind {
	case h2.FrameHeaders:
		return c.receiveHeaders(f)
	case h2.FrameContinuation:
		return c.receiveContinuation(f)
	case h2.FrameData:
		return c.receiveData(f)
	case h2.FrameWindowUpdate:
		return c.receiveWindowUpdate(f)
	case h2.FrameRSTStream:
		return c.receiveReset(f)
	case h2.FrameSettings:
		return c.receiveSettings(f)
	case h2.FramePing:
		return c.receivePing(f)
	case h2.FramePriority:
		return c.receivePriority(f)
	case h2.FramePriorityUpdate:
		return c.receivePriorityUpdate(f)
	case h2.FramePushPromise:
		return violation("push-promise") // RFC 9113 section 8.4
	case h2.FrameGoAway:
		return c.receiveGoAway(f)
	}
	if !c.budgets.others.take(c.readAt) {
		return abuse("unknown-frame-flood")
	}
	return nil // RFC 9113 section 5.5
}

// receiveReset ends a stream that the client does not want any more (RFC 9113 section 6.4). Where it has the whole answer it only gives up the rest of its own
// content, which nobody reads: nothing was in vain, and honest clients do so each time (Go's does).
func (c *conn) receiveReset(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[f.id]
	switch {
	case len(f.payload) != 4:
		return wrongSize("rst-stream")
	case c.isIdle(f.id):
		return violation("rst-stream-idle")
	case st != nil && st.local != nil:
	case !c.budgets.resets.fail(c.readAt):
		return abuse("resets")
	}
	if st != nil {
		c.closeStream(st, errReset)
	}
	return nil
}

// receivePing answers a PING (RFC 9113 section 6.7). The answer to ours says that the client has seen our first GOAWAY.
func (c *conn) receivePing(f frame) error {
	switch {
	case f.id != 0:
		return violation("ping-stream")
	case len(f.payload) != 8:
		return wrongSize("ping")
	case !c.budgets.pings.take(c.readAt):
		return abuse("ping-flood")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.flags.Has(h2.FlagPingAck) {
		if c.draining && bytes.Equal(f.payload, []byte(drainPing)) {
			c.finalGoAway()
		}
		return nil
	}
	out := c.buffer()
	out.b = appendPing(out.b, h2.FlagPingAck, f.payload)
	c.replies++
	return nil
}

// receiveGoAway takes note of nothing: we open no streams that the client could refuse.
func (c *conn) receiveGoAway(f frame) error {
	switch {
	case f.id != 0:
		return violation("goaway-stream")
	case len(f.payload) < 8:
		return wrongSize("goaway")
	case !c.budgets.others.take(c.readAt):
		return abuse("goaway-flood")
	}
	return nil
}

// receiveSettings applies what the client wants, and says so (RFC 9113 section 6.5).
func (c *conn) receiveSettings(f frame) error {
	ack := f.flags.Has(h2.FlagSettingsAck)
	switch {
	case f.id != 0:
		return violation("settings-stream")
	case ack && len(f.payload) > 0, len(f.payload)%6 != 0:
		return wrongSize("settings")
	case !c.budgets.settings.take(c.readAt):
		return abuse("settings-flood")
	case ack:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range slices.Chunk(f.payload, 6) {
		if err := c.apply(h2.SettingID(binary.BigEndian.Uint16(s)), binary.BigEndian.Uint32(s[2:])); err != nil {
			return err
		}
	}
	out := c.buffer()
	out.b = appendFrameHeader(out.b, 0, h2.FrameSettings, h2.FlagSettingsAck, 0)
	c.replies++
	return nil
}

// apply applies one setting. The table size does not matter, because we use no table; nor does MAX_FRAME_SIZE, which is never
// below what we send, nor what is for servers.
func (c *conn) apply(id h2.SettingID, value uint32) error {
	switch id {
	case h2.SettingEnablePush:
		if value > 1 {
			return violation("settings-enable-push")
		}
	case h2.SettingInitialWindowSize:
		return c.resize(int64(value))
	case h2.SettingMaxFrameSize:
		if value < maxFrameSize || value > 1<<24-1 {
			return violation("settings-max-frame-size")
		}
	case h2.SettingNoRFC7540Priorities:
		if value > 1 {
			return violation("settings-priorities") // RFC 9218 section 2.1
		}
	default:
	}
	return nil
}

// isIdle reports whether a stream has not been opened yet. Those with an even number never are: they would be pushes.
func (c *conn) isIdle(id uint32) bool { return id > c.lastID || id%2 == 0 }

// isGone reports whether a stream is one of the last that we have reset.
func (c *conn) isGone(id uint32) bool { return slices.Contains(c.gone[:], id) }
