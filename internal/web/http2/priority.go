package http2

import (
	"strings"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/lane"
)

const (
	maxUrgency     = 7
	defaultUrgency = 3
	// maxEarly is how many priorities are kept of streams that are not open yet (RFC 9218 section 7.1).
	maxEarly = 16
)

// priority is what a client says about the order of responses (RFC 9218 section 4).
type priority struct {
	urgency     uint8
	incremental bool
}

// parsePriority parses the value of a priority field. What it does not know or understand it takes for the
// default.
func parsePriority(s string) priority {
	p := priority{urgency: defaultUrgency}
	for s != "" {
		var member string
		member, s, _ = strings.Cut(s, ",")
		member, _, _ = strings.Cut(member, ";")
		switch member = strings.Trim(member, " \t"); {
		case len(member) == 3 && member[:2] == "u=" && '0' <= member[2] && member[2] <= '0'+maxUrgency:
			p.urgency = member[2] - '0'
		case member == "i" || member == "i=?1":
			p.incremental = true
		case member == "i=?0":
			p.incremental = false
		}
	}
	return p
}

// priorityOf returns what the priority field of a request says, or the default.
func priorityOf(fields []lane.Field) priority {
	for _, f := range fields {
		if f.Name == "priority" {
			return parsePriority(f.Value)
		}
	}
	return priority{urgency: defaultUrgency}
}

// early is a priority that came before its stream.
type early struct {
	id       uint32
	priority priority
}

// receivePriority checks a frame that RFC 9113 section 5.3.2 has deprecated: it says nothing any more.
func (c *conn) receivePriority(f frame) error {
	switch {
	case f.id == 0:
		return violation("priority-stream-0")
	case !c.budgets.priorities.take(c.readAt):
		return abuse("priority-flood")
	case len(f.payload) != 5:
		return &streamError{f.id, h2.ErrCodeFrameSize, "priority"}
	case uint31(f.payload) == f.id:
		return &streamError{f.id, h2.ErrCodeProtocol, "self-dependency"}
	}
	return nil
}

// receivePriorityUpdate changes the order of a response (RFC 9218 section 7.1).
func (c *conn) receivePriorityUpdate(f frame) error {
	switch {
	case f.id != 0:
		return violation("priority-update-stream")
	case !c.budgets.priorities.take(c.readAt):
		return abuse("priority-flood")
	case len(f.payload) < 4:
		return wrongSize("priority-update")
	}
	id := uint31(f.payload)
	if id == 0 || id%2 == 0 {
		return violation("priority-update-stream")
	}
	p := parsePriority(string(f.payload[4:]))
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.lastID {
		c.keepEarly(early{id, p})
		return nil
	}
	if st := c.streams[id]; st != nil {
		queued := st.queued
		c.queue.remove(st)
		st.priority = p
		if queued {
			c.queue.push(st)
		}
	}
	return nil
}

// keepEarly keeps a priority until its stream opens, in the place of the oldest if there are too many.
func (c *conn) keepEarly(e early) {
	for i := range c.early {
		if c.early[i].id == e.id {
			c.early[i] = e
			return
		}
	}
	if len(c.early) == maxEarly {
		c.early = append(c.early[:0], c.early[1:]...)
	}
	c.early = append(c.early, e)
}

// takeEarly returns what was said about a stream before it opened, which counts more than its field.
func (c *conn) takeEarly(id uint32, otherwise priority) priority {
	for i, e := range c.early {
		if e.id == id {
			c.early = append(c.early[:i], c.early[i+1:]...)
			return e.priority
		}
	}
	return otherwise
}
