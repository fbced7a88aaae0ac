package httpcache

// Multipart is a body of type multipart/byteranges (RFC 9110 section 14.6) whose
// parts are ranges of one content.
type Multipart struct {
	boundary    string
	contentType string // of the content; empty if not known
	ranges      []Range
	size        int64
}

// NewMultipart describes the body that has these ranges of a content of size octets and of a media type. The
// boundary must not occur in the content: a random one of enough octets does not.
func NewMultipart(boundary, contentType string, ranges []Range, size int64) *Multipart {
	return &Multipart{boundary: boundary, contentType: contentType, ranges: ranges, size: size}
}

// ContentType is the Content-Type of the whole body.
func (m *Multipart) ContentType() string { return "multipart/byteranges; boundary=" + m.boundary }

// Length is the number of octets of the whole body.
func (m *Multipart) Length() int64 {
	n := int64(len(m.Tail()))
	for i, r := range m.ranges {
		n += int64(len(m.Head(i))) + r.Length
	}
	return n
}

// Head returns what comes before the octets of range i.
func (m *Multipart) Head(i int) []byte {
	b := make([]byte, 0, 128)
	if i > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(b, "--"+m.boundary+"\r\n"...)
	if m.contentType != "" {
		b = append(b, "Content-Type: "+m.contentType+"\r\n"...)
	}
	return append(b, "Content-Range: "+m.ranges[i].ContentRange(m.size)+"\r\n\r\n"...)
}

// Tail returns what comes after the octets of the last range.
func (m *Multipart) Tail() []byte { return []byte("\r\n--" + m.boundary + "--\r\n") }
