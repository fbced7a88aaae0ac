package http1

import (
	"bytes"
	"net/http"

	"nearcast/internal/web/grammar"
)

// parseRequestLine takes method, target and minor version from a request line without its
// CR LF (RFC 9112 section 3). Exactly two single spaces part them.
func parseRequestLine(line []byte, lim *Limits) (method, target []byte, minor int, why *refusal) {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || bytes.IndexByte(version, ' ') >= 0 {
		return nil, nil, 0, malformed("request-line", "the request line must be method, target and version with one space between them")
	}
	if !grammar.IsToken(method) {
		return nil, nil, 0, malformed("method", "the method has a character that is not allowed, or is empty")
	}
	minor, why = parseVersion(version)
	if why != nil {
		return nil, nil, 0, why
	}
	if len(target) > lim.Target {
		return nil, nil, 0, &refusal{http.StatusRequestURITooLong, "target-too-long", "the request target is too long"}
	}
	return method, target, minor, nil
}

// parseVersion returns the minor version to speak: a higher one of HTTP/1 is spoken to as
// 1.1 (RFC 9110 section 2.5).
func parseVersion(p []byte) (minor int, why *refusal) {
	if len(p) != len("HTTP/1.1") || string(p[:5]) != "HTTP/" || !grammar.IsDigit(p[5]) || p[6] != '.' || !grammar.IsDigit(p[7]) {
		return 0, malformed("version", "the version must be HTTP/1.0 or HTTP/1.1")
	}
	if p[5] != '1' {
		return 0, &refusal{http.StatusHTTPVersionNotSupported, "version-unsupported", "only HTTP/1.0 and HTTP/1.1 are spoken here"}
	}
	return min(int(p[7]-'0'), 1), nil
}
