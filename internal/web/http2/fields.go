package http2

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"nearcast/internal/web/grammar"
)

// beginHead puts the head together but for what depends on the length of the content.
func (w *response) beginHead() {
	w.declared = grammar.DeclaredLength(w.header["Content-Length"])
	for option := range grammar.ListMembers(w.header["Connection"]) {
		w.closes = w.closes || strings.EqualFold(option, "close")
	}
	w.trailers = slices.Collect(grammar.TrailerNames(w.header["Trailer"]))
	e := w.c.srv.takeCoder()
	e.field(":status", strconv.Itoa(w.status))
	if _, has := w.header["Date"]; !has {
		e.field("date", w.c.srv.now().UTC().Format(http.TimeFormat))
	}
	w.addFields(e)
	w.fields = e
}

// addFields adds the handler's fields in the order of their names, those left out that frame the message.
func (w *response) addFields(e *coder) {
	names := make([]string, 0, len(w.header))
	for name := range w.header {
		if !ownedByServer(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		w.addField(e, name, w.header[name])
	}
}

// addField adds a field's lines. What could be read as something else than a field is left out as a whole: with a
// part of it changed, it would mean something that nobody said.
func (w *response) addField(e *coder, name string, values []string) {
	for _, v := range values {
		if !grammar.IsToken(name) || !grammar.IsFieldValue(v) {
			w.c.log.Debug("a field of a response cannot be sent", "field", strconv.Quote(name))
			continue
		}
		e.field(strings.ToLower(name), strings.Trim(v, " \t"))
	}
}

// ownedByServer reports whether the server writes a field itself, or never does because it is about an
// HTTP/1 connection (RFC 9113 section 8.2.2).
func ownedByServer(name string) bool {
	if strings.HasPrefix(name, http.TrailerPrefix) {
		return true
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// commit completes the head and returns its header block, or nil if that has been done before. It is final if the handler has
// returned, so that all its content is known.
func (w *response) commit(final bool) []byte {
	if w.committed {
		return nil
	}
	w.committed = true
	e := w.fields
	w.fields = nil
	if grammar.BodyAllowed(w.status) && !w.isHead && len(w.trailers) > 0 {
		e.field("trailer", strings.Join(w.trailers, ", "))
	}
	if n := w.length(final); n >= 0 {
		e.field("content-length", strconv.FormatInt(n, 10))
	}
	return w.c.srv.done(e)
}

// length returns the Content-Length to send, or grammar.NoLength.
func (w *response) length(final bool) int64 {
	switch {
	case w.status == http.StatusNotModified:
		return w.declared
	case !grammar.BodyAllowed(w.status):
		return grammar.NoLength
	case w.declared >= 0 || !final:
		return w.declared
	case w.isHead && w.written == 0 || !w.isHead && w.hasTrailers():
		return grammar.NoLength
	}
	return w.written
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

// trailerBlock returns the fields after the content: those that Trailer announced and those with
// [http.TrailerPrefix]; or nil if there are none.
func (w *response) trailerBlock() []byte {
	if w.isHead || !grammar.BodyAllowed(w.status) || !w.hasTrailers() {
		return nil
	}
	e := w.c.srv.takeCoder()
	for _, name := range w.trailers {
		w.addField(e, name, w.header[name])
	}
	var names []string
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, key := range names {
		name := textproto.CanonicalMIMEHeaderKey(strings.TrimPrefix(key, http.TrailerPrefix))
		if grammar.MayTrail(name) {
			w.addField(e, name, w.header[key])
		}
	}
	if block := w.c.srv.done(e); len(block) > 0 {
		return block
	}
	return nil
}
