package httpcache

import (
	"net/http"
	"strconv"
	"strings"
)

// Multipart is a body of type multipart/byteranges (RFC 9110 section 14.6) whose parts are
// ranges of one content: for each part its head and its octets, and then the tail. Its
// length is known before any octet is sent. It is immutable.
type Multipart struct {
	contentType string
	heads       []string
	tail        string
	length      int64
}

// NewMultipart describes the body that has these ranges of a content of size octets and of
// a media type, which may be empty if it is not known. The boundary must not occur in the
// content: random text does.
func NewMultipart(ranges []Range, size int64, contentType, boundary string) *Multipart {
	m := &Multipart{
		contentType: "multipart/byteranges; boundary=" + boundary,
		tail:        "\r\n--" + boundary + "--\r\n",
	}
	m.length = int64(len(m.tail))
	for i, r := range ranges {
		var b strings.Builder
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("--" + boundary + "\r\n")
		if contentType != "" {
			b.WriteString("Content-Type: " + contentType + "\r\n")
		}
		b.WriteString("Content-Range: " + r.ContentRange(size) + "\r\n\r\n")
		m.heads = append(m.heads, b.String())
		m.length += int64(b.Len()) + r.Length
	}
	return m
}

// ContentType is the Content-Type of the whole body.
func (m *Multipart) ContentType() string { return m.contentType }

// ContentLength is the number of octets of the whole body.
func (m *Multipart) ContentLength() int64 { return m.length }

// Head returns what comes before the octets of range i.
func (m *Multipart) Head(i int) string { return m.heads[i] }

// Tail returns what comes after the octets of the last range.
func (m *Multipart) Tail() string { return m.tail }

// SetHeader sets the fields of the 206. It must have no Content-Range (RFC 9110 section
// 15.3.7.2).
func (m *Multipart) SetHeader(h http.Header) {
	h.Set("Content-Type", m.contentType)
	h.Set("Content-Length", strconv.FormatInt(m.length, 10))
	h.Del("Content-Range")
}
