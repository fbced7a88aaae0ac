package edge

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"nearcast/cdn"
)

// record is what is noted of a request while it is served.
type record struct {
	start     time.Time
	firstByte time.Time // zero if there was none
	site      cdn.SiteName
	client    string
	protocol  string
	method    string
	target    cdn.Target // zero if the request has none that is valid
	status    int
	sent      int64 // octets of body
	cache     string
	upstream  string
	userAgent string
	referer   string
	reason    string // why it was refused before it was a request; empty for all others
}

// ownFailure reports whether the request failed by the node's own fault, rather than the visitor's, the origin's, or on purpose.
func (r *record) ownFailure() bool {
	return r.cache == wordError && r.status >= http.StatusInternalServerError && r.status != http.StatusLoopDetected
}

// protocolName is the name of a version of HTTP in records.
func protocolName(major, minor int) string {
	switch {
	case major == 2:
		return "HTTP/2"
	case minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// appendLine appends the record as it is in the access log: one JSON object on a line, whose fields docs/OPERATIONS.md explains. second is
// the time of its start up to the second, as text.
func (r *record) appendLine(b []byte, node, second string, end time.Time) []byte {
	first := r.firstByte
	if first.IsZero() {
		first = end
	}
	upstream := r.upstream
	if upstream == "" {
		upstream = "none"
	}
	b = append(b, `{"time":"`...)
	b = append(b, second...)
	b = appendFraction(b, r.start.Nanosecond())
	b = append(b, `Z","node":`...)
	b = appendText(b, node)
	b = append(b, `,"site":`...)
	b = appendText(b, string(r.site))
	b = append(b, `,"client":`...)
	b = appendText(b, r.client)
	b = append(b, `,"protocol":`...)
	b = appendText(b, r.protocol)
	b = append(b, `,"method":`...)
	b = appendText(b, r.method)
	b = append(b, `,"url":"`...)
	b = r.appendURL(b)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, r.sent, 10)
	b = append(b, `,"duration_ms":`...)
	b = appendMilliseconds(b, end.Sub(r.start))
	b = append(b, `,"ttfb_ms":`...)
	b = appendMilliseconds(b, first.Sub(r.start))
	b = append(b, `,"cache":"`...)
	b = append(b, r.cache...)
	b = append(b, `","upstream":`...)
	b = appendText(b, upstream)
	b = append(b, `,"user_agent":`...)
	b = appendText(b, r.userAgent)
	b = append(b, `,"referer":`...)
	b = appendText(b, r.referer)
	if r.reason != "" {
		b = append(b, `,"rejected":`...)
		b = appendText(b, r.reason)
	}
	return append(b, "}\n"...)
}

// appendURL appends the target in absolute form. It has nothing that JSON would escape: see [cdn.Target].
func (r *record) appendURL(b []byte) []byte {
	t := &r.target
	if t.Scheme == "" {
		return b
	}
	b = append(b, t.Scheme...)
	b = append(b, "://"...)
	b = append(b, t.Domain...)
	b = append(b, t.Path...)
	if t.HasQuery {
		b = append(b, '?')
		b = append(b, t.Query...)
	}
	return b
}

// appendText appends a string of JSON.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == 0x7f {
			return appendOddText(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendOddText is appendText for what has to be escaped.
func appendOddText(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // cannot be: a string always has a form
		return append(b, `""`...)
	}
	return append(b, quoted...)
}

// appendFraction appends nanoseconds as nine digits behind a point.
func appendFraction(b []byte, ns int) []byte {
	b = append(b, ".000000000"...)
	for i := len(b) - 1; ns > 0; i-- {
		b[i] += byte(ns % 10)
		ns /= 10
	}
	return b
}

// appendMilliseconds appends a time in milliseconds with three decimals.
func appendMilliseconds(b []byte, d time.Duration) []byte {
	us := max(0, d.Microseconds())
	b = strconv.AppendInt(b, us/1000, 10)
	us %= 1000
	return append(b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}
