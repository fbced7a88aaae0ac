package cdn_test

import (
	"net/http"
	"strings"
	"testing"

	"nearcast/cdn"
)

var targets = []struct{ name, in, want string }{ // want "": refused
	{"plain", "http://www.shop.example/a/b.css?v=1", "http://www.shop.example/a/b.css?v=1"},
	{"case", "HTTPS://WWW.Shop.Example/A", "https://www.shop.example/A"},
	{"port", "http://shop.example:8080/a", "http://shop.example/a"},
	{"pathless", "http://shop.example", "http://shop.example/"},
	{"query-only", "http://shop.example?a", "http://shop.example/?a"},
	// RFC 3986 section 6.2.2.1: hexadecimal digits in upper case.
	{"hex", "http://a.example/%c3%a9", "http://a.example/%C3%A9"},
	// Section 6.2.2.2: unreserved octets are not encoded.
	{"unreserved", "http://a.example/%7euser/%61%2D%2e%5F", "http://a.example/~user/a-._"},
	{"reserved", "http://a.example/a%2fb%3f%26", "http://a.example/a%2Fb%3F%26"},
	{"percent", "http://a.example/%2561", "http://a.example/%2561"},
	// Section 6.2.2.3: dot segments.
	{"dot", "http://a.example/./a/./b/.", "http://a.example/a/b/"},
	{"dots", "http://a.example/a/b/../../c", "http://a.example/c"},
	{"above", "http://a.example/../../a", "http://a.example/a"},
	{"up", "http://a.example/a/..", "http://a.example/"},
	{"encoded-dots", "http://a.example/a/%2e%2E/b", "http://a.example/b"},
	{"hidden", "http://a.example/.well-known/..a/...", "http://a.example/.well-known/..a/..."},
	{"slash-dots", "http://a.example/a//../b", "http://a.example/a/b"},
	// RFC 3986 section 5.4.1's example path, and the query that is not a path.
	{"rfc", "http://a.example/a/b/c/./../../g", "http://a.example/a/g"},
	{"query-dots", "http://a.example/a?b/../c", "http://a.example/a?b/../c"},
	// What is the site's business.
	{"slashes", "http://a.example//a//b//", "http://a.example//a//b//"},
	{"semicolon", "http://a.example/a;b?c;d&a&A", "http://a.example/a;b?c;d&a&A"},
	{"empty-query", "http://a.example/a?", "http://a.example/a?"},
	{"question", "http://a.example/a??b", "http://a.example/a??b"},
	{"brackets", "http://a.example/[a]?b[]=1", "http://a.example/[a]?b[]=1"},
	// What browsers send raw.
	{"stray", "http://a.example/a|b{}^`\"<>\\?f={\"a\"|1}", "http://a.example/a%7Cb%7B%7D%5E%60%22%3C%3E%5C?f=%7B%22a%22%7C1%7D"},
	{"ipv4", "http://192.0.2.1/", "http://192.0.2.1/"},
	{"ipv6", "http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]/"},

	{"empty", "", ""},
	{"scheme", "ftp://a.example/", ""},
	{"schemeless", "//a.example/", ""},
	{"relative", "/a", ""},
	{"opaque", "http:a.example", ""},
	{"hostless", "http:///a", ""},
	{"user", "http://user@a.example/", ""},
	{"password", "http://user:80@a.example/", ""},
	{"bad-port", "http://a.example:http/", ""},
	{"long-port", "http://a.example:000080/", ""},
	{"fragment", "http://a.example/a#b", ""},
	{"bare-fragment", "http://a.example#b", ""},
	{"space", "http://a.example/a b", ""},
	{"newline", "http://a.example/a\nb", ""},
	{"nul", "http://a.example/\x00", ""},
	{"utf8", "http://a.example/é", ""},
	{"query-utf8", "http://a.example/?é", ""},
	{"escape", "http://a.example/%", ""},
	{"short-escape", "http://a.example/%4", ""},
	{"bad-escape", "http://a.example/%4g", ""},
	{"query-escape", "http://a.example/?%zz", ""},
	{"loose-ipv6", "http://2001:db8::1/", ""},
	{"zone", "http://[fe80::1%25eth0]/", ""},
	{"bracketed-ipv4", "http://[192.0.2.1]/", ""},
	{"long", "http://a.example/" + strings.Repeat("a", 16<<10), ""},
	{"grown", "http://a.example/" + strings.Repeat("|", 6<<10), ""},
}

func TestParseTarget(t *testing.T) {
	for _, tt := range targets {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cdn.ParseTarget(tt.in)
			wantKind(t, err, tt.want != "")
			if err == nil && got.String() != tt.want {
				t.Errorf("ParseTarget(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestNewTarget(t *testing.T) {
	for _, tt := range []struct {
		name, in, path, query string
		hasQuery              bool
	}{
		{"path", "/a%2db", "/a-b", "", false},
		{"query", "/a?%41=%3d", "/a", "A=%3D", true},
		{"empty-query", "/a?", "/a", "", true},
		{"empty", "", "/", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cdn.NewTarget("https", "a.example", tt.in)
			want := cdn.Target{Scheme: "https", Domain: "a.example", Path: tt.path, Query: tt.query, HasQuery: tt.hasQuery}
			if got != want || err != nil {
				t.Errorf("NewTarget(%q) = %+v, %v; want %+v", tt.in, got, err, want)
			}
		})
	}
	for _, in := range []string{"*", "a", "http://a.example/", "/\x7f"} { // asterisk-form and absolute-form are the caller's business
		if got, err := cdn.NewTarget("http", "a.example", in); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("NewTarget(%q) = %+v, %v; want an error of kind invalid", in, got, err)
		}
	}
}

// FuzzParseTarget holds what routing, cache, log and origin rely on: one normal
// form, sent exactly as it is keyed.
func FuzzParseTarget(f *testing.F) {
	for _, tt := range targets {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := cdn.ParseTarget(in)
		if err != nil {
			wantKind(t, err, false)
			return
		}
		if again, err := cdn.ParseTarget(got.String()); again != got || err != nil {
			t.Errorf("%q normalises to %q, and that to %q, %v", in, got, again, err)
		}
		if uri := got.URL().RequestURI(); uri != got.RequestURI() {
			t.Errorf("%q goes out as %q, want %q", in, uri, got.RequestURI())
		}
		if url := got.URL().String(); url != got.String() {
			t.Errorf("%q as a url.URL is %q, want %q", in, url, got)
		}
		if strings.Contains(got.Path+"/", "/../") || strings.Contains(got.Path+"/", "/./") || got.Path[0] != '/' {
			t.Errorf("%q has path %q", in, got.Path)
		}
		if _, err := http.NewRequestWithContext(t.Context(), http.MethodGet, got.String(), nil); err != nil {
			t.Errorf("%q normalises to %q, which net/http refuses: %v", in, got, err)
		}
	})
}

// FuzzKey: two different targets never share a key.
func FuzzKey(f *testing.F) {
	f.Add("a", "/", "b", "/")
	f.Add("a", "/a?", "a", "/a")
	f.Add("a", "/a%3Fb", "a", "/a?b")
	f.Add("a", "/%61", "a", "/a")
	f.Add("a", "/a%20http://b", "a", "/a")
	f.Fuzz(func(t *testing.T, site1, uri1, site2, uri2 string) {
		name1, err1 := cdn.ParseSiteName(site1)
		name2, err2 := cdn.ParseSiteName(site2)
		t1, err3 := cdn.NewTarget("http", "a.example", uri1)
		t2, err4 := cdn.NewTarget("http", "a.example", uri2)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			return
		}
		if same := name1 == name2 && t1 == t2; same != (t1.Key(name1) == t2.Key(name2)) {
			t.Errorf("keys %q and %q of targets %+v and %+v", t1.Key(name1), t2.Key(name2), t1, t2)
		}
	})
}

var hosts = []struct{ name, in, want string }{ // want "": refused
	{"name", "www.shop.example", "www.shop.example"},
	{"port", "WWW.shop.example:8080", "www.shop.example"},
	{"colon", "shop.example:", "shop.example"}, // RFC 3986 section 3.2.3: the port may be empty
	{"dot", "shop.example.:80", "shop.example"},
	{"ipv4", "192.0.2.1:80", "192.0.2.1"},
	{"ipv6", "[2001:DB8::1]:80", "[2001:db8::1]"},
	{"portless", "[::1]", "[::1]"},
	{"mapped", "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"},
	{"empty", "", ""},
	{"only-port", ":80", ""},
	{"letters", "a.example:http", ""},
	{"sign", "a.example:+80", ""},
	{"two", "a.example:80:80", ""},
	{"loose", "::1", ""},
	{"open", "[::1", ""},
	{"close", "::1]", ""},
	{"bracketed", "[a.example]", ""},
	{"bracketed-ipv4", "[192.0.2.1]", ""},
	{"zone", "[fe80::1%eth0]", ""},
	{"user", "u@a.example", ""},
	{"path", "a.example/b", ""},
	{"list", "a.example, b.example", ""},
}

func TestParseHost(t *testing.T) {
	for _, tt := range hosts {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cdn.ParseHost(tt.in)
			if string(got) != tt.want {
				t.Errorf("ParseHost(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
			wantKind(t, err, tt.want != "")
		})
	}
}

func FuzzParseHost(f *testing.F) {
	for _, tt := range hosts {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		host, err := cdn.ParseHost(in)
		if err != nil {
			wantKind(t, err, false)
			return
		}
		for _, again := range []string{string(host), string(host) + ":443"} {
			if got, err := cdn.ParseHost(again); got != host || err != nil {
				t.Errorf("ParseHost(%q) = %q, but ParseHost(%q) = %q, %v", in, host, again, got, err)
			}
		}
	})
}
