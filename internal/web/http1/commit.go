package http1

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"nearcast/internal/web/grammar"
)

// beginHead puts the head together but for what depends on the framing.
func (w *response) beginHead() {
	w.declared = grammar.DeclaredLength(w.header["Content-Length"])
	w.options = nil
	for option := range grammar.ListMembers(w.header["Connection"]) {
		switch {
		case strings.EqualFold(option, "close"):
			w.close = true
		case grammar.IsToken(option) && !strings.EqualFold(option, "keep-alive"):
			w.options = append(w.options, option)
		}
	}
	w.trailers = slices.Collect(grammar.TrailerNames(w.header["Trailer"]))
	w.c.out.buf = appendStatusLine(w.c.out.buf, w.status)
	if _, has := w.header["Date"]; !has {
		w.c.out.buf = append(w.c.out.buf, "Date: "...)
		w.c.out.buf = w.c.srv.now().UTC().AppendFormat(w.c.out.buf, http.TimeFormat)
		w.c.out.buf = append(w.c.out.buf, "\r\n"...)
	}
	w.appendFields()
}

// appendFields appends the handler's fields in the order of their names, those left out
// that frame the message.
func (w *response) appendFields() {
	names := w.c.scratch.names[:0]
	for name := range w.header {
		if !ownedByServer(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		w.appendField(name, w.header[name])
	}
	w.c.scratch.names = names
}

// appendField appends a field's lines. What could be read as something else than a field is
// left out as a whole: with a part of it changed, it would mean something that nobody said.
func (w *response) appendField(name string, values []string) {
	for _, v := range values {
		if !grammar.IsToken(name) || !grammar.IsFieldValue(v) {
			w.c.log.Debug("a field of a response cannot be sent", "field", strconv.Quote(name))
			continue
		}
		buf := w.c.out.buf
		buf = append(buf, name...)
		buf = append(buf, ": "...)
		buf = append(buf, strings.Trim(v, " \t")...)
		w.c.out.buf = append(buf, "\r\n"...)
	}
}

// ownedByServer reports whether the server writes a field itself.
func ownedByServer(name string) bool {
	if strings.HasPrefix(name, http.TrailerPrefix) {
		return true
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Connection", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// commit decides the framing and completes the head. It is final if the handler has
// returned, so that all its content is known.
func (w *response) commit(final bool) {
	if w.committed {
		return
	}
	w.committed = true
	var length int64
	w.framing, length = w.chooseFraming(final)
	w.close = w.close || w.framing == byConnection || w.expects && !w.continued || w.c.draining.Load()
	buf := w.c.out.buf
	if w.framing == byChunks {
		buf = append(buf, "Transfer-Encoding: chunked\r\n"...)
		if len(w.trailers) > 0 {
			buf = append(buf, "Trailer: "+strings.Join(w.trailers, ", ")+"\r\n"...)
		}
	}
	if length >= 0 {
		buf = append(buf, "Content-Length: "...)
		buf = strconv.AppendInt(buf, length, 10)
		buf = append(buf, "\r\n"...)
	}
	w.c.out.buf = append(w.appendConnection(buf), "\r\n"...)
}

// chooseFraming returns the framing, and the Content-Length to send or -1.
func (w *response) chooseFraming(final bool) (f framing, length int64) {
	switch {
	case w.status == http.StatusNotModified:
		return noContent, w.declared
	case !grammar.BodyAllowed(w.status):
		return noContent, -1
	case w.isHead && w.declared < 0 && final && w.written > 0:
		return noContent, w.written
	case w.isHead:
		return noContent, w.declared
	case w.declared >= 0:
		return byLength, w.declared
	case final && (w.minor == 0 || !w.hasTrailers()):
		w.declared = w.written
		return byLength, w.written
	case w.minor > 0:
		return byChunks, -1
	}
	return byConnection, -1
}

// hasTrailers reports whether the handler has announced or set fields to follow.
func (w *response) hasTrailers() bool {
	if len(w.trailers) > 0 {
		return true
	}
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// appendConnection appends the Connection field, if there is anything to say.
func (w *response) appendConnection(buf []byte) []byte {
	options := w.options
	switch {
	case w.status == http.StatusSwitchingProtocols:
	case w.close:
		options = append(options, "close")
	case w.minor == 0:
		options = append(options, "keep-alive")
	}
	if len(options) == 0 {
		return buf
	}
	return append(buf, "Connection: "+strings.Join(options, ", ")+"\r\n"...)
}

// appendTrailers appends the fields after the last chunk: those that Trailer announced and those
// with [http.TrailerPrefix].
func (w *response) appendTrailers() {
	for _, name := range w.trailers {
		w.appendField(name, w.header[name])
	}
	names := w.c.scratch.names[:0]
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, key := range names {
		name := textproto.CanonicalMIMEHeaderKey(strings.TrimPrefix(key, http.TrailerPrefix))
		if grammar.MayTrail(name) {
			w.appendField(name, w.header[key])
		}
	}
	w.c.scratch.names = names
}

func appendHex(buf []byte, n int) []byte {
	buf = strconv.AppendInt(buf, int64(n), 16)
	return append(buf, "\r\n"...)
}
