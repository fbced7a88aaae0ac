package httpcache

import (
	"iter"
	"strings"
)

// tags goes through the entity tags of an If-None-Match. Unlike a quoted-string an entity tag
// has no escapes: a backslash is an octet like any other, and the next quote ends
// the tag (RFC 9110 section 8.8.3).
func tags(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for line != "" {
				var tag string
				if tag, line = cutTag(line); tag != "" && !yield(tag) {
					return
				}
			}
		}
	}
}

// cutTag cuts the first member off a list of entity tags.
func cutTag(s string) (tag, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return strings.Trim(s[:i], " \t"), s[i+1:]
		}
	}
	return strings.Trim(s, " \t"), ""
}
