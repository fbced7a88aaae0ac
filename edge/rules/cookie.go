package rules

import (
	"iter"
	"strings"
)

// cookieValues returns the values of every cookie of the name, in order (RFC 6265 section
// 4.2.1). A pair without "=" is no cookie of any name.
func cookieValues(lines []string, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for more := line != ""; more; {
				var pair string
				pair, line, more = strings.Cut(line, ";")
				n, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
				if ok && n == name && !yield(value) {
					return
				}
			}
		}
	}
}

// onlyCookies returns a Cookie field with the named cookies alone, in the order of
// the names, so that the same part of a key always looks the same to the origin. It is empty if there are
// none.
func onlyCookies(lines, names []string) string {
	var b strings.Builder
	for _, name := range names {
		for value := range cookieValues(lines, name) {
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(name + "=" + value)
		}
	}
	return b.String()
}
