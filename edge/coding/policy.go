package coding

import (
	"net/http"
	"strings"
)

// DefaultMinSize is the length in octets under which coding gains nothing: the response fits into one packet
// anyway.
const DefaultMinSize = 1024

// Policy says which responses a site wants coded. The zero value codes nothing. It is immutable
// once in use, and then safe for concurrent use.
type Policy struct {
	// Codings are those offered, the preferred one first; empty is off.
	Codings []Coding
	// MinSize is the least length in octets of what is coded. Responses of unknown length are
	// coded whatever it is.
	MinSize int64
	// Types are the media types to code, in lower case and without parameters: "text/html", or with one "*" for
	// any run of octets, "text/*", "application/*+json"; "*/*" is all. Empty is none; DefaultTypes is a good list.
	Types []string
}

// DefaultTypes returns the media types that coding makes smaller. Streams of events or of lines are not
// among them: a coder holds octets back.
func DefaultTypes() []string {
	return []string{
		"text/*",
		"application/json", "application/*+json",
		"application/xml", "application/*+xml",
		"application/javascript", "application/x-javascript", "application/ecmascript",
		"application/wasm", "application/rtf",
		"application/vnd.apple.mpegurl", "application/x-mpegurl",
		"application/vnd.ms-fontobject", "font/ttf", "font/otf", "font/collection",
		"image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon",
	}
}

// Eligible reports whether a response may be coded: a complete 200 without any coding yet, of a listed
// type, long enough, and not protected by no-transform (RFC 9110 section 7.7). length is of
// the body in octets, -1 if it is not known. A no-transform of the request (RFC 9111 section 5.2.1.6) is
// the caller's to look at.
func (p Policy) Eligible(status int, h http.Header, length int64) bool {
	switch {
	case len(p.Codings) == 0 || status != http.StatusOK:
		return false
	case length == 0 || length > 0 && length < p.MinSize:
		return false
	case len(h["Content-Encoding"]) > 0 || len(h["Content-Range"]) > 0:
		return false
	}
	return !NoTransform(h) && p.listed(mediaType(h["Content-Type"]))
}

// NoTransform reports whether a response must not be changed on its way (RFC 9111 section 5.2.2.6). Quoted strings are not told apart: a false alarm costs
// a coding, nothing else.
func NoTransform(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(directive, "=")
			if strings.EqualFold(trim(name), "no-transform") {
				return true
			}
		}
	}
	return false
}

// mediaType returns the type in lower case without its parameters, "" if there is not exactly one.
func mediaType(lines []string) string {
	if len(lines) != 1 {
		return ""
	}
	name, _, _ := strings.Cut(lines[0], ";")
	return strings.ToLower(trim(name))
}

// listed reports whether a type is to be coded. Two kinds never are, whatever the list says:
// events must not wait in a coder, and the parts of a multipart have heads of their own.
func (p Policy) listed(name string) bool {
	if name == "" || name == "text/event-stream" || strings.HasPrefix(name, "multipart/") {
		return false
	}
	for _, pattern := range p.Types {
		prefix, suffix, wild := strings.Cut(pattern, "*")
		switch {
		case pattern == "*/*", !wild && name == pattern:
			return true
		case wild && len(name) > len(prefix)+len(suffix) && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix):
			return true
		}
	}
	return false
}
