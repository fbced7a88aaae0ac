package grammar

import (
	"iter"
	"net/textproto"
	"strings"
)

// TrailerNames yields the fields that the lines of Trailer announce (RFC 9110 section 6.6.2), under their canonical names and without
// those that may not come.
func TrailerNames(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range ListMembers(lines) {
			name = textproto.CanonicalMIMEHeaderKey(name)
			if IsToken(name) && MayTrail(name) && !yield(name) {
				return
			}
		}
	}
}

// MayTrail reports whether a field may come after the body: not if it is needed to frame, route,
// authorise or understand the message (RFC 9110 section 6.5.1). Its name is in canonical
// form.
func MayTrail(name string) bool {
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
