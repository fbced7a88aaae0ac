package grammar

import (
	"net/netip"
	"strconv"
	"strings"
)

// ValidHost reports whether s is a host with an optional port, as in Host and in the
// authority of a target (RFC 9110 section 7.2, RFC 3986 section 3.2.2). It has no user name, and is not
// empty. A comma, which the grammar of names would allow, is not accepted: it is what is
// left of two Host lines that somebody joined.
func ValidHost(s string) bool {
	host, port := splitPort(s)
	if !validPort(port) {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == ""
	}
	return validName(host)
}

// splitPort cuts at the colon of the port; port keeps it.
func splitPort(s string) (host, port string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		return s[:i], s[i:]
	}
	return s, ""
}

// validPort reports whether s is empty, a colon, or a colon and a port.
func validPort(s string) bool {
	if len(s) <= 1 {
		return true
	}
	for i := 1; i < len(s); i++ {
		if !IsDigit(s[i]) {
			return false
		}
	}
	_, err := strconv.ParseUint(s[1:], 10, 16)
	return err == nil
}

// validName reports whether s is a reg-name that is not empty.
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case IsAlpha(c) || IsDigit(c) || strings.IndexByte("-._~!$&'()*+;=", c) >= 0:
		case c == '%' && i+2 < len(s) && IsHex(s[i+1]) && IsHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return s != ""
}

// SameHost reports whether two authorities of a scheme are the same: in any case, and with or
// without the scheme's own port (RFC 9110 section 4.2.3).
func SameHost(scheme, a, b string) bool {
	return strings.EqualFold(withoutDefaultPort(scheme, a), withoutDefaultPort(scheme, b))
}

func withoutDefaultPort(scheme, s string) string {
	host, port := splitPort(s)
	if port == ":" || port == ":"+DefaultPort(scheme) {
		return host
	}
	return s
}

// DefaultPort is the port of a scheme that is http or https, else nothing.
func DefaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}
