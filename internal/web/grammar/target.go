package grammar

import "strings"

// PathAndQuery cuts scheme and authority off a request target in absolute form (RFC 9112 section 3.2.2); whoever reads the request has made its Host
// of them. A target in origin form stays as it is, and so do "*" and what is none: they do not begin with "/".
func PathAndQuery(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return "/"
}
