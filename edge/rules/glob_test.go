package rules_test

import (
	"regexp"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/rules"
)

// globs are patterns of paths with what they match and what they do not.
func globs() []struct {
	pattern, path string
	want          bool
} {
	return []struct {
		pattern, path string
		want          bool
	}{
		{"/a", "/a", true},
		{"/a", "/ab", false},
		{"/*", "/", true},
		{"/*", "/abc", true},
		{"/*", "/a/b", false},
		{"/**", "/a/b", true},
		{"/***", "/a/b", true},
		{"/a?c", "/abc", true},
		{"/a?c", "/a/c", false},
		{"/a?", "/a", false},
		{"/**/x", "/a/b/x", true},
		{"/**/x", "/x", false},
		{"/**x", "/x", true},
		{"/*/**/*.jpg", "/a/b/c/d.jpg", true},
		{"/*.js", "/.js", true},
		{"/*a*a*a", "/aa", false},
		{"/*a*a*a", "/xaaya", true},
		{"/**a/*b", "/a/b/a/xb", true},
		{"/**a/*b", "/a/b/ax/b", false},
		{"/[a]*", "/[a]b", true},
		{"/a.c*", "/abc", false},
		{"/*" + strings.Repeat("b", 100), "/a" + strings.Repeat("b", 100), true},
		{"/*" + strings.Repeat("b", 100), "/a" + strings.Repeat("b", 99), false},
		{"/*" + strings.Repeat("?", 70) + "**x", "/" + strings.Repeat("y", 70) + "/zx", true},
	}
}

func matches(t *testing.T, m cdn.Match, r rules.Request) bool {
	t.Helper()
	return table(t, cdn.Route{Match: m}).Route(r) == 0
}

func TestGlob(t *testing.T) {
	for _, tt := range globs() {
		r := rules.Request{Method: "GET", Target: cdn.Target{Path: tt.path}}
		if got := matches(t, cdn.Match{PathGlob: tt.pattern}, r); got != tt.want {
			t.Errorf("%s on %s: %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}

func TestValuePattern(t *testing.T) {
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"a*b", "a/xb", true},
		{"a?", "a?", true},
		{"a?", "ab", false},
		{"a**b", "ab", true},
	} {
		if got := matches(t, cdn.Match{Header: map[string]string{"A": tt.pattern}}, get(t, "/", "A: "+tt.value)); got != tt.want {
			t.Errorf("%q on %q: %v, want %v", tt.pattern, tt.value, got, tt.want)
		}
	}
}

// oracle writes a glob as a regular expression.
func oracle(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch {
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(`.*`)
			i++
		case pattern[i] == '*':
			b.WriteString(`[^/]*`)
		case pattern[i] == '?':
			b.WriteString(`[^/]`)
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func FuzzGlob(f *testing.F) {
	for _, tt := range globs() {
		f.Add(tt.pattern, tt.path)
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		for _, s := range []string{pattern, path} {
			if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 || r == 0xfffd }) {
				return // octets and runes differ; paths are ASCII
			}
		}
		tab, err := rules.Compile(&cdn.Site{Name: "a", Routes: []cdn.Route{{Match: cdn.Match{PathGlob: pattern}}}})
		if err != nil || pattern == "" {
			return
		}
		got := tab.Route(rules.Request{Target: cdn.Target{Path: path}}) == 0
		if want := oracle(pattern).MatchString(path); got != want {
			t.Errorf("%q on %q: %v, the regular expression says %v", pattern, path, got, want)
		}
	})
}
