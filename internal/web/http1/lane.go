package http1

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unsafe"

	"nearcast/internal/rawtcp"
	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// maxJoined is the largest content that is copied behind its head, to go with it and with the answers that wait in
// one buffer, in octets.
const maxJoined = 8 << 10

// answerHit has the lane answer a request whose head was read from p, if it can. What it has no room to send
// at once waits in c.out, which is sent before anything else is read.
func (c *conn) answerHit(h *head, p []byte) (answered, again bool) {
	if c.srv.Lane == nil {
		return false, false
	}
	r, a := &c.scratch.request, &c.scratch.answer
	keep, ok := c.qualify(h, p, r)
	if !ok {
		return false, false
	}
	a.Reset()
	if !c.srv.Lane.Take(&c.peer, r, a) {
		return false, false
	}
	keep = keep && !c.draining.Load()
	c.out.buf = a.AppendHTTP1(c.out.buf)
	switch {
	case !keep:
		c.out.buf = append(c.out.buf, "Connection: close\r\n\r\n"...)
	case r.Minor == 0:
		c.out.buf = append(c.out.buf, "Connection: keep-alive\r\n\r\n"...)
	default:
		c.out.buf = append(c.out.buf, "\r\n"...)
	}
	if !keep {
		c.out.cork() // the answer goes with the alert that ends the connection
	}
	sent, err := c.sendHit(a, keep)
	c.clock = time.Now()
	c.srv.Lane.Sent(&c.peer, r, a, lane.End{At: c.clock, Sent: sent, Err: err})
	c.in.skip(h.next)
	if !keep && err == nil {
		c.linger()
	}
	return true, keep && err == nil
}

// qualify fills r and reports whether the request may be a hit: a GET or HEAD without content that wants nothing
// unusual of the connection. What it has said nothing about is checked by newMessage; what it lets pass, newMessage would let
// pass as well.
func (c *conn) qualify(h *head, p []byte, r *lane.Request) (keep, ok bool) {
	r.Reset()
	r.Method, r.Target, r.Major, r.Minor = view(h.method.of(p)), view(h.target.of(p)), 1, h.minor
	r.At, r.Files = c.clock, c.out.files != nil
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Target[0] != '/' {
		return false, false
	}
	for i := range h.fields {
		f := &h.fields[i]
		name, value := view(f.name.of(p)), view(f.value.of(p))
		if lane.KindOf(name) != lane.Host {
			r.Add(name, value)
			continue
		}
		if r.Kinds&lane.Host != 0 {
			return false, false
		}
		r.Host, r.Kinds = value, r.Kinds|lane.Host
	}
	if r.Kinds&lane.Framing != 0 || r.Kinds&lane.Host == 0 || !c.knowsHost(r.Host) {
		return false, false
	}
	if r.Kinds&lane.Connection == 0 {
		return r.Minor > 0, true
	}
	option, single := r.Value(lane.Connection)
	switch {
	case !single:
		return false, false
	case strings.EqualFold(option, "close"):
		return false, true
	case strings.EqualFold(option, "keep-alive"):
		return true, true
	}
	return false, false
}

// knowsHost is [grammar.ValidHost] with a memory for the host that is asked for again and again.
func (c *conn) knowsHost(host string) bool {
	if host == c.host {
		return host != ""
	}
	if !grammar.ValidHost(host) {
		return false
	}
	c.host = strings.Clone(host)
	return true
}

// sendHit sends what waits and the content, or lets both wait for the answers to requests that have come already.
func (c *conn) sendHit(a *lane.Answer, keep bool) (sent int64, err error) {
	if a.File != nil {
		defer a.File.Release()
		sent, err = c.out.file(a.File, a.Offset, a.Length)
		if errors.Is(err, rawtcp.ErrGone) {
			more, err := c.out.copied(a.File, a.Offset+sent, a.Length-sent)
			c.out.err = err // the head has promised it all
			return sent + more, err
		}
		return sent, err
	}
	if a.Length > maxJoined || len(c.out.buf)+int(a.Length) > maxWaiting {
		sent = c.out.content(a.Content)
		return sent, c.out.err
	}
	for _, piece := range a.Content {
		c.out.buf = append(c.out.buf, piece...)
	}
	if more := len(c.in.unread()) > c.scratch.head.next; !keep || !more {
		c.out.flush()
	}
	if c.out.err != nil {
		return 0, c.out.err
	}
	return a.Length, nil
}

// view is p as a string that holds as long as p does not change.
func view(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }
