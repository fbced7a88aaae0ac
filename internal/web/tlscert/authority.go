package tlscert

import (
	"crypto/tls"
	"strings"
)

// Authority reports whether a request for a host may come on a connection, as far as
// TLS is concerned: the host is the name that the client asked for when it connected, or it asked for none,
// or the certificate that it got is for the host as well, so that it may take the connection
// for both (RFC 9113 section 9.1.1). Otherwise the answer is 421 (RFC 9110 section 15.5.20), and a
// client then connects anew. The host is without a port; state is nil on a connection without TLS.
//
// What it cannot know is whether both hosts belong to the same site, or to sites that agree.
// That is for the caller to ask, if the host is not the name.
func (k *Keeper) Authority(state *tls.ConnectionState, host string) bool {
	if state == nil || state.ServerName == "" {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	name := strings.TrimSuffix(state.ServerName, ".")
	if host == name || equalFold(host, name) {
		return true
	}
	return k.Set().together(fold(name), fold(host))
}

// together reports whether every certificate for a name is for the host too: which of them the
// connection got is not known any more, and one 421 too many costs a handshake.
func (s *Set) together(name, host string) bool {
	c := s.lookup(name)
	if c == nil {
		c = s.first
	}
	for _, h := range c.certs {
		if !h.names.covers(host) {
			return false
		}
	}
	return true
}

// equalFold compares without regard to the case of ASCII letters. strings.EqualFold would also
// take the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
