package httpfront

import (
	"encoding/base64"
	"net/http"
	"strings"
)

const (
	pathDNS     = "/dns-query"
	pathResolve = "/resolve"
	mediaDNS    = "application/dns-message"

	maxQuery  = 65535 // octets of a DNS message
	maxInLane = 4096  // octets of a query that is answered in the lane
)

// problem is why a request is not answered as it wishes.
type problem struct {
	status int
	text   string
}

// dnsParameter returns the value of the dns parameter of a query string. It must be there once (RFC 8484 section 6).
func dnsParameter(query string) (value string, p *problem) {
	found := false
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		name, v, _ := strings.Cut(part, "=")
		if name != "dns" {
			continue
		}
		if found {
			return "", &problem{http.StatusBadRequest, "there is more than one dns parameter"}
		}
		value, found = v, true
	}
	if value == "" {
		return "", &problem{http.StatusBadRequest, "a dns parameter is missing: the DNS query in base64url without padding (RFC 8484 section 4.1)"}
	}
	return value, nil
}

// appendQuery appends the DNS query that the query string of a GET has.
func appendQuery(dst []byte, query string) ([]byte, *problem) {
	value, p := dnsParameter(query)
	if p != nil {
		return nil, p
	}
	if base64.RawURLEncoding.DecodedLen(len(value)) > maxQuery {
		return nil, &problem{http.StatusRequestEntityTooLarge, "a DNS query has 65,535 octets at most"}
	}
	for i := range len(value) { // the decoder would let line ends pass
		if value[i] == '\n' || value[i] == '\r' {
			return nil, notBase64
		}
	}
	dst, err := strict.AppendDecode(dst, view8(value))
	if err != nil {
		return nil, notBase64
	}
	return dst, nil
}

// strict takes one text for each query only.
var strict = base64.RawURLEncoding.Strict() //nolint:gochecknoglobals // constant

var notBase64 = &problem{http.StatusBadRequest, "the dns parameter is not base64url without padding (RFC 8484 section 4.1)"} //nolint:gochecknoglobals // constant

// isDNSMedia reports whether the value of a Content-Type says that the content is a DNS message.
func isDNSMedia(value string) bool {
	media, _, _ := strings.Cut(value, ";")
	return strings.EqualFold(strings.Trim(media, " \t"), mediaDNS)
}
