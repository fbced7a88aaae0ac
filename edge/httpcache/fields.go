package httpcache

import (
	"net/http"
	"strings"
)

// EndToEnd returns a copy of h without the fields that are between this hop's two
// ends alone: those that Connection names and those that RFC 9110 section 7.6.1
// and RFC 9111 section 3.1 list.
func EndToEnd(h http.Header) http.Header {
	out := h.Clone()
	if out == nil {
		out = http.Header{}
	}
	for _, line := range h["Connection"] {
		for _, name := range splitList(line) {
			out.Del(name)
		}
	}
	for name := range out {
		if hopByHop(name) {
			delete(out, name)
		}
	}
	return out
}

func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}

// hasMember reports whether a comma-separated field has the member, letter case aside.
func hasMember(lines []string, member string) bool {
	for _, line := range lines {
		for _, m := range splitList(line) {
			if strings.EqualFold(m, member) {
				return true
			}
		}
	}
	return false
}
