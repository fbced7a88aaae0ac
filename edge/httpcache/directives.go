package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxDelta is what a number of seconds too large to hold means: RFC 9111 section
// 1.2.2 asks for 2^31 or the largest that can be held.
const maxDelta = (1 << 31) * time.Second

// Delta is a directive's argument in seconds.
type Delta struct {
	Present bool          // the directive was there
	Valid   bool          // its argument was a number; false also if it had none
	Value   time.Duration // the argument, zero unless Valid
}

// Directives are the members of a response's Cache-Control field (RFC 9111 section
// 5.2.2, RFC 5861). Unknown ones are ignored.
type Directives struct {
	NoStore         bool // section 5.2.2.5
	NoCache         bool // section 5.2.2.4, without a list of fields
	Private         bool // section 5.2.2.7, without a list of fields
	Public          bool // section 5.2.2.9
	MustRevalidate  bool // section 5.2.2.2
	ProxyRevalidate bool // section 5.2.2.8
	MustUnderstand  bool // section 5.2.2.3

	MaxAge               Delta // section 5.2.2.1
	SMaxAge              Delta // section 5.2.2.10
	StaleWhileRevalidate Delta // RFC 5861 section 3
	StaleIfError         Delta // RFC 5861 section 4

	// Withheld are the canonical names of the fields listed in no-cache="..." and
	// private="...": they must not be reused from a shared cache as they are.
	Withheld []string
}

// ParseDirectives parses all Cache-Control lines of a response. It accepts
// everything: a malformed member is skipped, and a malformed number is kept as
// present but not valid, which readers take for the most careful value. Of a
// directive that is repeated the first counts (section 4.2.1).
func ParseDirectives(h http.Header) Directives {
	var d Directives
	for _, line := range h["Cache-Control"] {
		for rest := line; rest != ""; {
			var member string
			member, rest = cutMember(rest)
			name, arg, hasArg := strings.Cut(member, "=")
			d.set(strings.ToLower(name), unquote(arg), hasArg)
		}
	}
	return d
}

func (d *Directives) set(name, arg string, hasArg bool) {
	switch name {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		d.withhold(&d.NoCache, arg, hasArg)
	case "private":
		d.withhold(&d.Private, arg, hasArg)
	case "public":
		d.Public = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "must-understand":
		d.MustUnderstand = true
	default:
		if delta := d.delta(strings.TrimRight(name, " \t")); delta != nil && !delta.Present {
			*delta = parseDelta(arg)
		}
	}
}

// delta returns the number that a directive sets, or nil for an unknown one.
func (d *Directives) delta(name string) *Delta {
	switch name {
	case "max-age":
		return &d.MaxAge
	case "s-maxage":
		return &d.SMaxAge
	case "stale-while-revalidate":
		return &d.StaleWhileRevalidate
	case "stale-if-error":
		return &d.StaleIfError
	}
	return nil
}

// withhold notes a directive that is either for the whole message or for the
// fields of its argument. An empty list is taken for the whole message.
func (d *Directives) withhold(whole *bool, arg string, hasArg bool) {
	fields := splitList(arg)
	if !hasArg || len(fields) == 0 {
		*whole = true
		return
	}
	for _, f := range fields {
		d.Withheld = append(d.Withheld, http.CanonicalHeaderKey(f))
	}
}

// parseDelta parses delta-seconds (section 1.2.2).
func parseDelta(s string) Delta {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return Delta{Present: true}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > int64(maxDelta/time.Second) {
		return Delta{Present: true, Valid: true, Value: maxDelta}
	}
	return Delta{Present: true, Valid: true, Value: time.Duration(n) * time.Second}
}

// cutMember cuts the first member off a comma-separated list in which quoted
// strings may hold commas (RFC 9110 section 5.6.1).
func cutMember(s string) (member, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return strings.Trim(s[:i], " \t"), s[i+1:]
		}
	}
	return strings.Trim(s, " \t"), ""
}

// splitList splits a comma-separated list and drops empty members.
func splitList(s string) []string {
	var members []string
	for s != "" {
		var m string
		if m, s = cutMember(s); m != "" {
			members = append(members, m)
		}
	}
	return members
}

// unquote takes the quotes and backslashes off a quoted-string (RFC 9110 section
// 5.6.4); anything else is returned as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
