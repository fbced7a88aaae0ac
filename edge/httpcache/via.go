package httpcache

import "strings"

// Hop is one member of a Via field (RFC 9110 section 7.6.3).
type Hop struct {
	// Protocol is what the message came by, such as "1.1" or "HTTP/2".
	Protocol string
	// By is the host, with or without a port, or the pseudonym of who received it.
	By string
	// Comment is what follows, with its parentheses; mostly empty.
	Comment string
}

// ParseVia returns the hops that a message has come by, the first one first. ok is false if
// a member is malformed; it is left out. A comma in a comment is taken for the end of the member.
func ParseVia(lines []string) (hops []Hop, ok bool) {
	ok = true
	for m := range members(lines) {
		protocol, rest, _ := strings.Cut(m, " ")
		by, comment, _ := strings.Cut(strings.Trim(rest, " \t"), " ")
		if !isProtocol(protocol) || !isCDNID(by) {
			ok = false
			continue
		}
		hops = append(hops, Hop{Protocol: protocol, By: by, Comment: strings.Trim(comment, " \t")})
	}
	return hops, ok
}

// isProtocol reports whether s is [ protocol-name "/" ] protocol-version.
func isProtocol(s string) bool {
	name, version, ok := strings.Cut(s, "/")
	return isToken(name) && (!ok || isToken(version))
}
