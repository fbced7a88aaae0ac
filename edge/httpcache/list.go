package httpcache

import (
	"iter"
	"strings"
)

// members goes through the members of a list-based field's lines, in order; empty ones are
// left out (RFC 9110 section 5.6.1.2).
func members(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for line != "" {
				var m string
				if m, line = cutMember(line, ','); m != "" && !yield(m) {
					return
				}
			}
		}
	}
}

// splitList splits a comma-separated list and drops empty members.
func splitList(s string) []string {
	var list []string
	for m := range members([]string{s}) {
		list = append(list, m)
	}
	return list
}

// cutMember cuts the first member off a list in which quoted strings may hold the
// separator (RFC 9110 section 5.6.1).
func cutMember(s string, separator byte) (member, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return strings.Trim(s[:i], " \t"), s[i+1:]
		}
	}
	return strings.Trim(s, " \t"), ""
}

// hasMember reports whether a comma-separated field has the member, letter case aside.
func hasMember(lines []string, member string) bool {
	for m := range members(lines) {
		if strings.EqualFold(m, member) {
			return true
		}
	}
	return false
}

// unquote takes the quotes and backslashes off a quoted-string (RFC 9110 section
// 5.6.4); anything else is returned as it is.
func unquote(s string) (value string, quoted bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s, false
	}
	s = s[1 : len(s)-1]
	if !strings.ContainsAny(s, `\"`) {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return s, false // it ends before its end
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !tchar(s[i]) {
			return false
		}
	}
	return s != ""
}

func tchar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
