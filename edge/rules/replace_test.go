package rules_test

import (
	"strings"
	"testing"

	"nearcast/cdn"
)

func TestRewrite(t *testing.T) {
	for _, tt := range []struct {
		name, regexp, to, path, want string // an empty want is an error
	}{
		{"groups", "^/old/(.*)$", "/new/$1", "/old/a/b", "/new/a/b"},
		{"query", "^/old/(.*)$", "/new/$1", "/old/a?x=1", "/new/a?x=1"},
		{"ownquery", "^/p/([0-9]+)$", "/p?id=$1", "/p/12?x=1", "/p?id=12"},
		{"elsewhere", "^/old/(.*)$", "/new/$1", "/a?x", "/a?x"},
		{"constant", "", "/index.html", "/a/b", "/index.html"},
		{"whole", "b", "/x$0", "/a/b/c", "/xb"},
		{"dollar", "", "/$$", "/a", "/$"},
		{"unmatched", "^/(a)?(.*)$", "/x$1$2", "/b", "/xb"},
		{"escape", "^/old/(.*)$", "/new/$1", "/old/%2e%2e%2Fa", "/new/..%2Fa"}, // no dot segment (RFC 3986 section 5.2.4)
		{"escapedslash", "^/old/(.*)$", "/new/$1", "/old/a%2f..%2fb", "/new/a%2F..%2Fb"},
		{"traversal", "^/f/?(.*)$", "/files/$1", "/f..", ""},
		{"cut", "^/(.).*$", "/$1", "/%C3", ""},
		{"joined", "^/x(.*)$", "/%$1", "/x7E", ""},
		{"long", "^(.*)$", "/$1$1", "/" + strings.Repeat("a", 9000), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get(t, tt.path)
			p := table(t, cdn.Route{Rewrite: &cdn.Rewrite{Regexp: tt.regexp, To: tt.to}}).Request(r)
			if tt.want == "" {
				if cdn.KindOf(p.Err) != cdn.Invalid {
					t.Errorf("got %v, %v, want an invalid request", p.Origin, p.Err)
				}
				return
			}
			if got := p.Origin.RequestURI(); p.Err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, p.Err, tt.want)
			}
			if p.Key != r.Target.Key("shop") {
				t.Errorf("the key is %q, want the visitor's URL", p.Key)
			}
		})
	}
}

// The groups of the route's own expression serve, too.
func TestRewriteByMatch(t *testing.T) {
	p := table(t, cdn.Route{Match: cdn.Match{PathRegexp: "^/v([0-9]+)/"}, Rewrite: &cdn.Rewrite{To: "/version-$1"}}).Request(get(t, "/v12/a"))
	if got := p.Origin.RequestURI(); got != "/version-12" {
		t.Errorf("got %s", got)
	}
}

func TestRedirect(t *testing.T) {
	for _, tt := range []struct {
		name  string
		route cdn.Route
		url   string
		want  string
		code  int
	}{
		{"path", cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/old/(.*)$", To: "/new/$1"}}, "http://www.shop.example/old/a?x", "/new/a?x", 302},
		{"url", cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/(.*)$", To: "https://shop.example:8443/$1", Status: 301}}, "http://www.shop.example/a", "https://shop.example:8443/a", 301},
		{"hostonly", cdn.Route{Redirect: &cdn.Redirect{To: "https://shop.example"}}, "http://www.shop.example/a", "https://shop.example/", 302},
		{"noquery", cdn.Route{Redirect: &cdn.Redirect{To: "/b?y"}}, "http://www.shop.example/a?x", "/b?y", 302},
		{"slashes", cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/go(.*)$", To: "/$1"}}, "http://www.shop.example/go/evil.example/", "http://www.shop.example//evil.example/", 302},
		{"backslash", cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/go(.*)$", To: "/$1"}}, `http://www.shop.example/go\evil.example/`, "/%5Cevil.example/", 302},
		{"elsewhere", cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/old/", To: "/new/"}}, "http://www.shop.example/a", "", 0},
		{"https", cdn.Route{ForceHTTPS: true}, "http://www.shop.example/a?b", "https://www.shop.example/a?b", 308},
		{"already", cdn.Route{ForceHTTPS: true}, "https://www.shop.example/a", "", 0},
		{"httpsfirst", cdn.Route{ForceHTTPS: true, Redirect: &cdn.Redirect{To: "/b"}}, "http://www.shop.example/a", "https://www.shop.example/a", 308},
		{"thenredirect", cdn.Route{ForceHTTPS: true, Redirect: &cdn.Redirect{To: "/b"}}, "https://www.shop.example/a", "/b", 302},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := table(t, tt.route).Request(request(t, "GET", tt.url))
			if p.Redirect != tt.want || p.RedirectStatus != tt.code || p.Err != nil {
				t.Errorf("got %q, %d, %v, want %q, %d", p.Redirect, p.RedirectStatus, p.Err, tt.want, tt.code)
			}
		})
	}
	p := table(t, cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/f(.*)$", To: "/files/$1"}}).Request(get(t, "/f.."))
	if p.Redirect != "" || cdn.KindOf(p.Err) != cdn.Invalid {
		t.Errorf("got %q, %v, want an invalid request", p.Redirect, p.Err)
	}
}
