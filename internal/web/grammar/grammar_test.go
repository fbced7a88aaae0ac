package grammar_test

import (
	"slices"
	"testing"

	"nearcast/internal/web/grammar"
)

func TestValidHost(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "a.example:8443": true, "[::1]:443": true, "a:": true, "1.2.3.4": true, "%41": true,
		"": false, ":80": false, "a:65536": false, "a:x": false, "u@a": false, "a,b": false, "[::1": false, "[fe80::1%25x]": false, "%4": false, "a b": false,
	} {
		if got := grammar.ValidHost(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func TestPathAndQuery(t *testing.T) {
	for target, want := range map[string]string{
		"/a?b": "/a?b", "//b.example/a": "//b.example/a", "http://a.example/p?q": "/p?q", "http://a.example": "/", "http://u@a.example?q": "?q",
		"/a?http://b.example/c": "/a?http://b.example/c", "*": "*", "a.example:443": "a.example:443", "": "",
	} {
		if got := grammar.PathAndQuery(target); got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
}

func TestSameHost(t *testing.T) {
	for _, row := range []struct {
		scheme, a, b string
		want         bool
	}{
		{"https", "A.example", "a.EXAMPLE:443", true}, {"http", "a:80", "a:", true}, {"http", "a:443", "a", false}, {"https", "a:8443", "a", false},
	} {
		if got := grammar.SameHost(row.scheme, row.a, row.b); got != row.want {
			t.Errorf("%v: %v", row, got)
		}
	}
}

func TestParseLength(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "007": 7, "999999999999999999": 999999999999999999} {
		if n, ok := grammar.ParseLength(s); n != want || !ok {
			t.Errorf("%q: %d %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "+1", "-1", " 1", "1,1", "0x1", "1000000000000000000"} {
		if n, ok := grammar.ParseLength(s); ok {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestDeclaredLength(t *testing.T) {
	for _, row := range []struct {
		lines []string
		want  int64
	}{{nil, grammar.NoLength}, {[]string{"5"}, 5}, {[]string{"0"}, 0}, {[]string{"5", "5"}, grammar.NoLength}, {[]string{"+5"}, grammar.NoLength}} {
		if got := grammar.DeclaredLength(row.lines); got != row.want {
			t.Errorf("%q: %d, want %d", row.lines, got, row.want)
		}
	}
}

func TestBodyAllowed(t *testing.T) {
	for status, want := range map[int]bool{100: false, 101: false, 200: true, 204: false, 206: true, 304: false, 404: true, 500: true} {
		if got := grammar.BodyAllowed(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}

func TestTrailerNames(t *testing.T) {
	got := slices.Collect(grammar.TrailerNames([]string{"x-checksum, Content-Length", "a b, Server-Timing"}))
	if want := []string{"X-Checksum", "Server-Timing"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestListMembers(t *testing.T) {
	got := slices.Collect(grammar.ListMembers([]string{" a ,, b\t", "", "c"}))
	if want := []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
