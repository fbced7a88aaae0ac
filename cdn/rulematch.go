package cdn

import (
	"strconv"
	"strings"
)

// Match selects requests. Every field that is set must match; of a list, any item;
// of a map, every entry.
//
// Values of Header, Cookie and Query are patterns: text in which "*" stands for any
// run of octets, so that "*" alone asks only that there is one. A field, cookie or
// parameter that is there several times matches if one of them does.
type Match struct {
	// PathPrefix is compared with the normalised path; it starts with "/".
	PathPrefix string `json:"path_prefix,omitempty"`
	// PathGlob matches the whole normalised path: "*" is any run within a segment, "**"
	// any run, "?" one octet other than "/".
	PathGlob string `json:"path_glob,omitempty"`
	// PathRegexp matches somewhere in the normalised path, see [CompileRegexp].
	PathRegexp string `json:"path_regexp,omitempty"`
	// Extensions are file name endings with their dot, such as ".js"; any one matches.
	Extensions []string `json:"extensions,omitempty"`
	// Methods are request methods; GET includes HEAD, which is answered from what a GET
	// has left.
	Methods []string `json:"methods,omitempty"`
	// Status makes the route one for responses only.
	Status []StatusPattern `json:"status,omitempty"`
	// Header maps field names, in canonical case, to patterns.
	Header map[string]string `json:"header,omitempty"`
	// Cookie maps cookie names to patterns.
	Cookie map[string]string `json:"cookie,omitempty"`
	// Query maps names of parameters to patterns, both in the normal form of a [Target].
	Query map[string]string `json:"query,omitempty"`
	// Country is the visitor's country, as ISO 3166-1 alpha-2 codes in upper case.
	Country []string `json:"country,omitempty"`
}

// Matches reports whether a request for the normalised path is selected, whatever
// else it is. It knows prefix and extensions only: with any other condition it is false.
func (m Match) Matches(path string) bool {
	if !m.plain() || !strings.HasPrefix(path, m.PathPrefix) {
		return false
	}
	if len(m.Extensions) == 0 {
		return true
	}
	for _, ext := range m.Extensions {
		if strings.HasSuffix(path, ext) {
			return true
		}
	}
	return false
}

// plain reports whether there is no condition beside prefix and extensions.
func (m *Match) plain() bool {
	return m.PathGlob == "" && m.PathRegexp == "" && len(m.Methods) == 0 && len(m.Status) == 0 &&
		len(m.Header) == 0 && len(m.Cookie) == 0 && len(m.Query) == 0 && len(m.Country) == 0
}

// StatusPattern is a final status code from 200 to 599, "404", or a class of them, "5xx".
type StatusPattern string

// ParseStatusPattern parses a status code or a class.
func ParseStatusPattern(s string) (StatusPattern, error) {
	ok := len(s) == 3 && '2' <= s[0] && s[0] <= '5'
	ok = ok && (s[1:] == "xx" || strings.Trim(s[1:], "0123456789") == "")
	if !ok {
		return "", Errorf(Invalid, "", `status %q: want a code from 200 to 599 or a class, such as "404" or "5xx"`, clip(s))
	}
	return StatusPattern(s), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseStatusPattern].
func (p *StatusPattern) UnmarshalText(text []byte) error {
	return setName(p, text, ParseStatusPattern)
}

// Matches reports whether the pattern covers a status code.
func (p StatusPattern) Matches(status int) bool {
	return p == exactStatus(status) || p == statusClass(status)
}

func exactStatus(status int) StatusPattern { return StatusPattern(strconv.Itoa(status)) }

func statusClass(status int) StatusPattern {
	return StatusPattern(strconv.Itoa(status/100) + "xx")
}
