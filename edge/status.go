package edge

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"nearcast/edge/httpcache"
)

// Words of X-Cache, of the access record and of the metric: what this node did.
const (
	wordHit         = "HIT"
	wordMiss        = "MISS"
	wordRevalidated = "REVALIDATED"
	wordStale       = "STALE"
	wordPass        = "PASS"
	wordError       = "ERROR"
	wordShed        = "SHED" // the node is overloaded, and has sent the visitor elsewhere or away
)

// cacheStatus is this node's member of Cache-Status (RFC 9211). Zero fields are left out.
type cacheStatus struct {
	hit       bool
	fwd       string // section 2.2: why it was forwarded
	fwdStatus int
	stored    bool
	collapsed bool
	ttl       time.Duration
	hasTTL    bool
	detail    string
}

// format returns the member under the node's name.
func (c cacheStatus) format(name string) string {
	var b strings.Builder
	b.WriteString(sfName(name))
	if c.hit {
		b.WriteString("; hit")
	}
	if c.fwd != "" {
		b.WriteString("; fwd=" + c.fwd)
	}
	if c.fwdStatus != 0 {
		b.WriteString("; fwd-status=" + strconv.Itoa(c.fwdStatus))
	}
	if c.hasTTL {
		b.WriteString("; ttl=" + httpcache.AgeField(c.ttl))
	}
	if c.stored {
		b.WriteString("; stored")
	}
	if c.collapsed {
		b.WriteString("; collapsed")
	}
	if c.detail != "" {
		b.WriteString("; detail=" + sfString(c.detail))
	}
	return b.String()
}

// sfName writes a node's name as a token, or as a string if it starts with a digit,
// which a token must not (RFC 9651 section 3.3.4).
func sfName(name string) string {
	if '0' <= name[0] && name[0] <= '9' {
		return sfString(name)
	}
	return name
}

// sfString writes a string of RFC 9651 section 3.3.3: ASCII without control octets.
func sfString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		default:
			b.WriteByte('?')
		}
	}
	b.WriteByte('"')
	return b.String()
}

// stamp sets the fields that say what this node did.
func (s *Server) stamp(h http.Header, proto, word string, c cacheStatus) {
	appendMember(h, "Via", proto+" "+s.name)
	appendMember(h, "Cache-Status", c.format(s.name))
	h["X-Cache"] = []string{word}
}
