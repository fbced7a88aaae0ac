package http1

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"nearcast/internal/web/grammar"
)

// chunkedLength is the length of a body that comes in chunks.
const chunkedLength = -1

// message is a request as its head describes it.
type message struct {
	req       *http.Request // without body and context
	length    int64         // of the body, or chunkedLength
	keepAlive bool          // the client allows another request
	expects   bool          // the client waits for 100 before it sends the body
}

// newMessage makes a request of a head that has been parsed from p. What depends on
// several fields is checked here.
func newMessage(h *head, p []byte) (*message, *refusal) {
	header := makeHeader(h, p)
	req := &http.Request{
		Method: string(h.method.of(p)), RequestURI: string(h.target.of(p)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: h.minor, Header: header,
	}
	if h.minor == 0 {
		req.Proto = "HTTP/1.0"
	}
	m := &message{req: req}
	for _, check := range [...]func(*message) *refusal{(*message).setHost, (*message).setURL, (*message).setConnection, (*message).setLength, (*message).setExpect} {
		if why := check(m); why != nil {
			return nil, why
		}
	}
	m.setTrailer()
	return m, nil
}

// makeHeader copies the fields. Each value is a string of its own, so that whoever keeps one
// does not keep the whole head.
func makeHeader(h *head, p []byte) http.Header {
	header := make(http.Header, len(h.fields))
	values := make([]string, len(h.fields))
	for i, f := range h.fields {
		name := textproto.CanonicalMIMEHeaderKey(string(f.name.of(p)))
		values[i] = string(f.value.of(p))
		if old, ok := header[name]; ok {
			header[name] = append(old, values[i])
			continue
		}
		header[name] = values[i : i+1 : i+1]
	}
	return header
}

// setHost takes the host (RFC 9112 section 3.2).
func (m *message) setHost() *refusal {
	hosts := m.req.Header["Host"]
	delete(m.req.Header, "Host")
	switch {
	case len(hosts) > 1:
		return malformed("host-repeated", "the request has more than one Host field")
	case len(hosts) == 0 && m.req.ProtoMinor > 0:
		return malformed("no-host", "the request has no Host field")
	case len(hosts) == 1 && !grammar.ValidHost(hosts[0]):
		return malformed("host", "the Host field is not a valid host")
	case len(hosts) == 1:
		m.req.Host = hosts[0]
	}
	return nil
}

// setURL parses the target. One in absolute form must agree with Host: RFC 9112 section 3.2.2 would
// have Host ignored, and somebody further on may not.
func (m *message) setURL() *refusal {
	u, err := url.ParseRequestURI(m.req.RequestURI)
	if err != nil {
		return malformed("target", "the request target is not a valid URL")
	}
	m.req.URL = u
	scheme, authority, ok := splitAbsolute(m.req.RequestURI)
	switch {
	case m.req.RequestURI[0] == '/' || !ok:
	case m.req.Host == "":
		m.req.Host = authority // HTTP/1.0
	case !grammar.SameHost(scheme, m.req.Host, authority):
		return malformed("target-host", "the request target and the Host field name different hosts")
	}
	return nil
}

// setConnection finds out whether the connection is to be kept (RFC 9112 section 9.3). Fields
// that frame or route the message cannot be dropped on the way, so nobody may ask for it.
func (m *message) setConnection() *refusal {
	var closes, keeps bool
	for option := range grammar.ListMembers(m.req.Header["Connection"]) {
		switch strings.ToLower(option) {
		case "close":
			closes = true
		case "keep-alive":
			keeps = true
		case "host", "content-length", "transfer-encoding":
			return malformed("connection", "the Connection field names "+option+", which the message cannot do without")
		}
	}
	m.keepAlive = !closes && (keeps || m.req.ProtoMinor > 0)
	return nil
}

// setExpect knows one expectation only (RFC 9110 section 10.1.1), which means nothing
// in HTTP/1.0 or without a body.
func (m *message) setExpect() *refusal {
	values := m.req.Header["Expect"]
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || !strings.EqualFold(values[0], "100-continue") {
		return &refusal{http.StatusExpectationFailed, "expect", "only the expectation 100-continue is known here"}
	}
	m.expects = m.req.ProtoMinor > 0 && m.length != 0
	return nil
}
