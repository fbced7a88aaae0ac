package httpcache

import "net/http"

// EndToEnd returns a copy of h, of a request or of a response, without the fields that
// are between this hop's two ends alone: those that Connection names and those that RFC
// 9110 section 7.6.1 and RFC 9111 section 3.1 list.
func EndToEnd(h http.Header) http.Header {
	out := h.Clone()
	if out == nil {
		out = http.Header{}
	}
	for name := range members(h["Connection"]) {
		out.Del(name)
	}
	for name := range out {
		if HopByHop(name) {
			delete(out, name)
		}
	}
	return out
}

// HopByHop reports whether a field, under its canonical name, is of a connection whatever Connection says.
func HopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}
