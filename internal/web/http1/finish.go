package http1

import "net/http"

// finish completes the answer when the handler is gone. returned says that it did not panic, intact
// that nobody had to be stopped from reading the body. It reports whether the
// connection may serve another request, or else how it is to end.
func (w *response) finish(returned, intact bool) (again bool, kind ending) {
	left, kind := w.complete(returned, intact)
	switch {
	case kind != endPolitely || w.close || w.c.out.err != nil:
		return false, kind
	case left == bodyLeft:
		return w.body.drop(w.c.lim.Unread, w.c.lim.Linger), endPolitely
	}
	return true, endPolitely
}

// complete sends what is still to be sent.
func (w *response) complete(returned, intact bool) (left bodyEnd, kind ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.returned = true }()
	switch {
	case w.hijacked:
		return left, endHijacked
	case !returned:
		return left, w.abortion()
	}
	left = w.bodyLeft(intact)
	w.close = w.close || left == bodyUnfit || left == bodyBroken
	if w.status == 0 && left == bodyBroken {
		w.c.writeRefusal(malformed("body", w.body.err.Error()))
		return left, endPolitely
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	w.commit(true)
	w.sendWith(nil)
	if w.framing == byChunks {
		w.c.out.write([]byte("0\r\n"))
		w.appendTrailers()
		w.c.out.write([]byte("\r\n"))
	}
	w.c.out.flush()
	switch {
	case w.status == http.StatusSwitchingProtocols:
		w.close = true // to what, if nobody took the connection over?
	case w.framing == byLength && w.written < w.declared:
		w.close = true // the client sees that octets are missing
	}
	return left, endPolitely
}

// bodyLeft says what is left of the request's body.
func (w *response) bodyLeft(intact bool) bodyEnd {
	switch {
	case w.body == nil:
		return bodyRead
	case !intact || w.expects && !w.continued:
		return bodyUnfit // nobody can tell whether the rest will come
	}
	return w.body.end(w.c.lim.Unread)
}

// abortion is how an answer that the handler broke off ends: what has not been sent is not
// sent, and the last chunk above all.
func (w *response) abortion() ending {
	w.c.out.buf = w.c.out.buf[:0]
	w.c.scratch.held = w.c.scratch.held[:0]
	if w.framing == byConnection {
		return endByReset
	}
	return endAtOnce
}
