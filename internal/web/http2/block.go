package http2

import (
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// fieldOverhead is what a field counts beside its octets (RFC 9113 section 6.5.2).
const fieldOverhead = 32

// block is a field section as it is being decoded. Each field is checked as soon as it is there, and what exceeds a
// limit is not kept; but the decoder sees everything, because its table is the connection's.
type block struct {
	method, scheme, authority, path string

	bomb    bool // it is far larger than any that is served
	pseudo  int  // which pseudo-header fields there are, as bits
	trailer bool // there must be none
	regular bool // a field without a colon has come
	size    int  // of the field section
	host    int  // number of host fields
	hostIs  string
	cookies int  // number of cookie fields
	sized   bool // there is a content-length
	special int  // fields that keep a request from the lane
	fields  []lane.Field
	kinds   lane.Kind // of all fields
	why     *refusal  // the first thing that is wrong
}

// The pseudo-header fields of a request (RFC 9113 section 8.3.1), as bits.
const (
	hasMethod = 1 << iota
	hasScheme
	hasAuthority
	hasPath
)

// reset makes b ready for the next field section, whose fields go to memory.
func (b *block) reset(memory []lane.Field) { *b = block{fields: memory[:0]} }

// refuse keeps the first reason.
func (b *block) refuse(why *refusal) {
	if b.why == nil {
		b.why = why
	}
}

// add takes a field. It reports whether the field section has become a bomb: so much larger than any that is served
// that not even its table is worth decoding it to the end.
func (b *block) add(f hpack.HeaderField, lim *Limits) (bomb bool) {
	b.size += len(f.Name) + len(f.Value) + fieldOverhead
	switch {
	case b.size > lim.HeaderBytes:
		b.why = tooLarge("head-too-large") // the answer is the same whatever else is wrong
		return b.size > bombFactor*lim.HeaderBytes
	case len(b.fields) >= lim.Fields:
		b.why = tooLarge("too-many-fields")
		return false
	case b.why != nil:
		return false
	case len(f.Name) > 0 && f.Name[0] == ':':
		b.addPseudo(f)
		return false
	}
	b.regular = true
	switch {
	case !validName(f.Name):
		b.refuse(malformed("field-name"))
	case !validValue(f.Value):
		b.refuse(malformed("field-value"))
	default:
		b.addRegular(f)
	}
	return false
}

// addPseudo takes a pseudo-header field: one that is known, once, and before all others (RFC 9113 section 8.3).
func (b *block) addPseudo(f hpack.HeaderField) {
	var bit int
	var where *string
	switch f.Name {
	case ":method":
		bit, where = hasMethod, &b.method
	case ":scheme":
		bit, where = hasScheme, &b.scheme
	case ":authority":
		bit, where = hasAuthority, &b.authority
	case ":path":
		bit, where = hasPath, &b.path
	}
	switch {
	case b.trailer:
		b.refuse(malformed("pseudo-in-trailer"))
	case b.regular:
		b.refuse(malformed("pseudo-late"))
	case bit == 0:
		b.refuse(malformed("pseudo-unknown"))
	case b.pseudo&bit != 0:
		b.refuse(malformed("pseudo-repeated"))
	default:
		b.pseudo |= bit
		*where = f.Value
	}
}

// addRegular takes a field whose name and value are valid.
func (b *block) addRegular(f hpack.HeaderField) {
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		b.refuse(malformed("connection-field")) // RFC 9113 section 8.2.2
		return
	case "te":
		if f.Value != "trailers" {
			b.refuse(malformed("te"))
		}
		b.special++
	case "host":
		b.host++
		b.hostIs = f.Value
		if !b.trailer {
			return
		}
	case "cookie":
		b.cookies++
	case "content-length":
		b.sized = true
		b.special++
	case "expect", "trailer":
		b.special++
	}
	kind := lane.KindOf(f.Name)
	b.kinds |= kind
	b.fields = append(b.fields, lane.Field{Name: f.Name, Value: f.Value, Kind: kind})
}

// validName reports whether s may be a field's name: a token without upper case (RFC 9113 section 8.2.1).
func validName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !grammar.IsTokenOctet(c) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

// validValue reports whether s may be a field's value: one without control characters, and without white
// space around it (RFC 9113 section 8.2.1).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	return !isSpace(s[0]) && !isSpace(s[len(s)-1]) && grammar.IsFieldValue(s)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
