package http1

import (
	"bytes"
	"strings"

	"nearcast/internal/web/grammar"
)

// checkTarget refuses a request target whose form is not one that goes with the method
// (RFC 9112 section 3.2).
func checkTarget(method, target []byte) *refusal {
	for _, c := range target {
		if !grammar.IsTargetOctet(c) {
			return malformed("target", "the request target has a character that is not allowed in it")
		}
	}
	switch {
	case string(method) == "CONNECT":
		return malformed("connect", "tunnels are not served here")
	case bytes.HasPrefix(target, []byte("/")):
		return nil
	case string(target) == "*":
		if string(method) != "OPTIONS" {
			return malformed("target", "the target * is for OPTIONS only")
		}
		return nil
	}
	scheme, authority, ok := splitAbsolute(string(target))
	switch {
	case !ok:
		return malformed("target", "the request target must begin with / or be an http URL")
	case !grammar.ValidHost(authority):
		return malformed("target-host", "the host in the request target is not valid")
	case grammar.DefaultPort(scheme) == "":
		return malformed("target", "the request target's scheme must be http or https")
	}
	return nil
}

// splitAbsolute takes scheme and authority from a target in absolute form.
func splitAbsolute(target string) (scheme, authority string, ok bool) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok {
		return "", "", false
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest = rest[:i]
	}
	return strings.ToLower(scheme), rest, true
}
