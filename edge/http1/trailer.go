package http1

import (
	"iter"
	"net/http"
	"net/textproto"
	"strings"
)

// listMembers yields the members of a list that may be spread over several lines
// (RFC 9110 section 5.6.1), empty ones left out.
func listMembers(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for member := range strings.SplitSeq(line, ",") {
				member = strings.Trim(member, " \t")
				if member != "" && !yield(member) {
					return
				}
			}
		}
	}
}

// mayTrail reports whether a field may come after the body: not if it is needed to frame, route,
// authorise or understand the message (RFC 9110 section 6.5.1). Its name is in canonical
// form.
func mayTrail(name string) bool {
	switch name {
	case "Age", "Authorization", "Cache-Control", "Connection", "Cookie", "Date", "Expect", "Expires", "Host",
		"Keep-Alive", "Location", "Max-Forwards", "Pragma", "Range", "Retry-After", "Set-Cookie", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Via", "Warning", "Www-Authenticate",
		"Cdn-Loop", "Forwarded":
		return false
	}
	for _, prefix := range [...]string{"Content-", "If-", "Proxy-", "X-Forwarded-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// setTrailer gives the request the names of the trailers that are announced, as net/http
// does. A body in chunks may bring others as well.
func (m *message) setTrailer() {
	announced := m.req.Header["Trailer"]
	delete(m.req.Header, "Trailer")
	if m.length != chunkedLength {
		return
	}
	m.req.Trailer = make(http.Header)
	for name := range listMembers(announced) {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if isToken(name) && mayTrail(name) {
			m.req.Trailer[name] = nil
		}
	}
}
