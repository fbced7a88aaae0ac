package http1

import (
	"bytes"
	"net/http"

	"nearcast/internal/web/grammar"
)

// maxBlankLines is how many empty lines before a request line are passed over: some clients
// end a body with one that they do not count (RFC 9112 section 2.2).
const maxBlankLines = 2

// span is a part of the octets that a head is parsed from. Positions stay right when
// the octets move to a larger buffer.
type span struct{ from, to int }

func (s span) of(p []byte) []byte { return p[s.from:s.to] }

// fieldSpan is one field line.
type fieldSpan struct{ name, value span }

// head is a request head as it is being parsed. Each line is checked once, as soon as it
// is complete, so that a client is refused for what it has sent and not for what it holds
// back, and a head that trickles in costs no more than one that comes at once.
type head struct {
	method, target span
	minor          int // of the version: 0 or 1
	fields         []fieldSpan

	next     int // where the first line begins that is not parsed yet
	searched int // up to where there is no LF after next
	blank    int // empty lines passed over
	started  bool
}

// reset makes h ready for the next head. It keeps the memory of the fields.
func (h *head) reset() { *h = head{fields: h.fields[:0]} }

// parse goes on parsing p, which begins with what it was called with before. It
// reports done when the head is complete; h.next is its length then.
func (h *head) parse(p []byte, lim *Limits) (done bool, why *refusal) {
	for {
		i := bytes.IndexByte(p[h.searched:], '\n')
		if i < 0 {
			h.searched = len(p)
			return false, h.checkPart(p, lim)
		}
		from, end := h.next, h.searched+i
		h.next, h.searched = end+1, end+1
		if end+1 > lim.HeaderBytes {
			return false, tooLarge()
		}
		line, why := trimLineEnd(p[from:end])
		if why != nil {
			return false, why
		}
		done, why = h.line(line, from, lim)
		if done || why != nil {
			return done, why
		}
	}
}

// checkPart refuses a line that is not complete yet, but wrong already.
func (h *head) checkPart(p []byte, lim *Limits) *refusal {
	part := p[h.next:]
	switch {
	case !h.started && len(part) > 0 && part[0] != '\r' && !grammar.IsTokenOctet(part[0]):
		return malformed("method", "the request does not begin with a method")
	case !h.started && len(part) >= lim.RequestLine:
		return lineTooLong(part)
	case len(p) >= lim.HeaderBytes:
		return tooLarge()
	}
	return nil
}

// line parses one line, which begins at from.
func (h *head) line(line []byte, from int, lim *Limits) (done bool, why *refusal) {
	switch {
	case len(line) > 0 && !h.started:
		return false, h.requestLine(line, from, lim)
	case len(line) > 0:
		return false, h.field(line, from, lim)
	case h.started:
		return true, nil
	}
	h.blank++
	if h.blank > maxBlankLines {
		return false, malformed("blank-lines", "too many empty lines before the request line")
	}
	return false, nil
}

func (h *head) requestLine(line []byte, from int, lim *Limits) *refusal {
	if len(line)+len("\r\n") > lim.RequestLine {
		return lineTooLong(line)
	}
	method, target, minor, why := parseRequestLine(line, lim)
	if why != nil {
		return why
	}
	h.started, h.minor = true, minor
	h.method = span{from, from + len(method)}
	h.target = span{h.method.to + 1, h.method.to + 1 + len(target)}
	return checkTarget(method, target)
}

func (h *head) field(line []byte, from int, lim *Limits) *refusal {
	name, value, why := parseField(line)
	if why != nil {
		return why
	}
	if len(h.fields) == lim.Fields {
		return &refusal{http.StatusRequestHeaderFieldsTooLarge, "too-many-fields", "the request has too many fields"}
	}
	f := fieldSpan{name: span{from, from + len(name)}}
	if len(value) > 0 {
		at := from + cap(line) - cap(value) // value is a part of line
		f.value = span{at, at + len(value)}
	}
	h.fields = append(h.fields, f)
	return nil
}

// lineTooLong is the refusal of a request line that goes on and on: what is too long is the
// target, unless there is no sign of one.
func lineTooLong(line []byte) *refusal {
	if bytes.IndexByte(line, ' ') < 0 {
		return malformed("request-line", "the request line has no target")
	}
	return &refusal{http.StatusRequestURITooLong, "target-too-long", "the request line is too long"}
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestHeaderFieldsTooLarge, "head-too-large", "the request's head is too large"}
}
