package compile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/compile"
)

const ruledSite = `# every key that a route can have
site: shop
domains: [www.shop.example, img.shop.example]
origin: {urls: ["http://o.example"]}
routes:
- match:
    path_prefix: /static/
    path_glob: "/static/*/v?/**"
    path_regexp: "^/static/([a-z]+)/"
    extensions: [.js]
    methods: [GET, OPTIONS]
    header: {x-beta: "1"}
    cookie: {tier: gold*}
    query: {debug: "*", q: ""}
    country: [DE, NO]
  ttl: 7d
  force_cache: true
  browser_ttl: 0s
  stale_while_revalidate: 1m
  stale_if_error: 1h
  negative_ttl: {404: 10s, 5xx: 0s}
  cache_key:
    query: {mode: include, names: [a, b], sorted: true}
    headers: [x-tenant]
    cookies: [lang]
    device: true
    country: true
    share_domains: true
    ignore_case: true
  rewrite: {to: "/$1/x?y=$$"}
  request_headers: {add: {X-A: "1"}, set: {x-b: "2"}, delete: [X-C]}
  response_headers: {set: {Strict-Transport-Security: max-age=1}, delete: [Server]}
  follow_redirects: 3
  cors: {origins: ["https://app.example", "https://*.b.example:8443"], methods: [PUT], headers: [X-A], expose: [X-B], credentials: true, max_age: 1h}
  force_https: true
  compress: {codings: [zstd, br], min_size: 2KiB, types: ["text/*", application/json]}
  obey_request_cache_control: true
  priority: low
- match: {status: [404, 5xx]}
  ttl: 1s
- match: {path_prefix: /old/}
  redirect: {regexp: "^/old/(.*)$", to: "https://WWW.shop.example/$1", status: 301}
- match: {path_prefix: /cart}
  bypass: true
  compress: true
- cors: {origins: ["*"]}
  compress: false
`

func ruledRoutes() []cdn.Route {
	zero := cdn.Duration(0)
	return []cdn.Route{
		{
			Match: cdn.Match{
				PathPrefix: "/static/", PathGlob: "/static/*/v?/**", PathRegexp: "^/static/([a-z]+)/", Extensions: []string{".js"},
				Methods: []string{"GET", "OPTIONS"}, Header: map[string]string{"X-Beta": "1"}, Cookie: map[string]string{"tier": "gold*"},
				Query: map[string]string{"debug": "*", "q": ""}, Country: []string{"DE", "NO"},
			},
			TTL: cdn.Duration(7 * 24 * time.Hour), ForceCache: true, BrowserTTL: &zero,
			StaleWhileRevalidate: cdn.Duration(time.Minute), StaleIfError: cdn.Duration(time.Hour),
			NegativeTTL: map[cdn.StatusPattern]cdn.Duration{"404": cdn.Duration(10 * time.Second), "5xx": 0},
			CacheKey: cdn.KeyRule{
				Query:   cdn.QueryRule{Mode: cdn.QueryInclude, Names: []string{"a", "b"}, Sorted: true},
				Headers: []string{"X-Tenant"}, Cookies: []string{"lang"}, Device: true, Country: true, ShareDomains: true, IgnoreCase: true,
			},
			Rewrite:         &cdn.Rewrite{To: "/$1/x?y=$$"},
			RequestHeaders:  cdn.HeaderRule{Add: map[string]string{"X-A": "1"}, Set: map[string]string{"X-B": "2"}, Delete: []string{"X-C"}},
			ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"Strict-Transport-Security": "max-age=1"}, Delete: []string{"Server"}},
			FollowRedirects: 3,
			CORS: &cdn.CORS{
				Origins: []string{"https://app.example", "https://*.b.example:8443"}, Methods: []string{"PUT"}, Headers: []string{"X-A"},
				Expose: []string{"X-B"}, Credentials: true, MaxAge: cdn.Duration(time.Hour),
			},
			ForceHTTPS:              true,
			Compress:                &cdn.Compress{Codings: []string{"zstd", "br"}, MinSize: 2 << 10, Types: []string{"text/*", "application/json"}},
			ObeyRequestCacheControl: true,
			Priority:                cdn.PriorityLow,
		},
		{Match: cdn.Match{Status: []cdn.StatusPattern{"404", "5xx"}}, TTL: cdn.Duration(time.Second)},
		{
			Match:    cdn.Match{PathPrefix: "/old/"},
			Redirect: &cdn.Redirect{Regexp: "^/old/(.*)$", To: "https://www.shop.example/$1", Status: 301},
		},
		{Match: cdn.Match{PathPrefix: "/cart"}, Bypass: true, Compress: &cdn.Compress{}},
		{CORS: &cdn.CORS{Origins: []string{"*"}}},
	}
}

func TestRoutes(t *testing.T) {
	sites, err := compile.Sites("f", []byte(ruledSite))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ruledRoutes(), sites[0].Routes); diff != "" {
		t.Errorf("routes differ (-want +got):\n%s", diff)
	}
	text, err := compile.FormatSites(sites...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := compile.Sites("formatted", text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if diff := cmp.Diff(sites, again); diff != "" {
		t.Errorf("formatting changed the site (-want +got):\n%s\nin:\n%s", diff, text)
	}
}

// What a snapshot carries between processes is JSON.
func TestRoutesAsJSON(t *testing.T) {
	text, err := json.Marshal(ruledRoutes())
	if err != nil {
		t.Fatal(err)
	}
	var got []cdn.Route
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ruledRoutes(), got); diff != "" {
		t.Errorf("routes differ (-want +got):\n%s\nin:\n%s", diff, text)
	}
}

// routeMistakes are texts that follow the line "routes:", the first of which is line 5.
func routeMistakes() []siteMistake {
	tests := []siteMistake{
		{"zero", "- ttl: 0s\n", `f:5:8: routes[0].ttl: duration "0s": want more than zero; leave the key out for what the origin says, write bypass: true to store nothing`},
		{"force", "- force_cache: true\n", `f:5:16: routes[0].force_cache: force_cache needs the key "ttl" (say for how long)`},
		{"negative", "- negative_ttl: {302: 1s}\n", `f:5:18: routes[0].negative_ttl.302: status "302" is not an error; for others write a route with match.status and ttl`},
		{"entries", "- negative_ttl: {}\n", "f:5:17: routes[0].negative_ttl: has 0 entries, from 1 to 200 are allowed (leave the key out if there is nothing)"},
		{"glob", "- match: {path_glob: a*}\n", `f:5:22: routes[0].match.path_glob: path glob "a*" does not start with "/"`},
		{"longglob", "- match: {path_glob: /" + strings.Repeat("a", 255) + "}\n", fmt.Sprintf(`f:5:22: routes[0].match.path_glob: path glob %q has 256 octets, at most 255 are allowed`, "/"+strings.Repeat("a", 79)+"...")},
		{"regexp", "- match: {path_regexp: \"(\"}\n", "f:5:24: routes[0].match.path_regexp: regular expression \"(\": error parsing regexp: missing closing ): `(`"},
		{"longregexp", "- match: {path_regexp: " + strings.Repeat("a", 513) + "}\n", fmt.Sprintf(`f:5:24: routes[0].match.path_regexp: regular expression %q: want 1 to 512 octets`, strings.Repeat("a", 80)+"...")},
		{"bigregexp", "- match: {path_regexp: \"(a{50}){20}b{200}\"}\n", `f:5:24: routes[0].match.path_regexp: regular expression "(a{50}){20}b{200}" is too large: it compiles to 1242 steps, at most 1000 are allowed`},
		{"method", "- match: {methods: [get]}\n", `f:5:21: routes[0].match.methods[0]: method "get": want a method in upper case, such as GET`},
		{"head", "- match: {methods: [HEAD]}\n", "f:5:21: routes[0].match.methods[0]: HEAD is answered from what a GET has left; write GET, which includes it"},
		{"nomethod", "- match: {methods: []}\n", "f:5:20: routes[0].match.methods: needs at least one item (leave the key out for the default)"},
		{"status", "- match: {status: [99]}\n", `f:5:20: routes[0].match.status[0]: status "99": want a code from 200 to 599 or a class, such as "404" or "5xx"`},
		{"hop", "- match: {header: {te: x}}\n", "f:5:20: routes[0].match.header.te: field Te is not for routes to change or look at here: the CDN keeps it"},
		{"field", "- match: {header: {\"a b\": x}}\n", `f:5:20: routes[0].match.header.a b: "a b" is not the name of a header field`},
		{"samefield", "- match: {header: {x-a: x, X-A: y}}\n", "f:5:28: routes[0].match.header.X-A: X-A is already set in line 5 (keep one)"},
		{"cookie", "- match: {cookie: {\"a;b\": x}}\n", `f:5:20: routes[0].match.cookie.a;b: "a;b" is not the name of a cookie`},
		{"query", "- match: {query: {a: \"%7e\"}}\n", `f:5:22: routes[0].match.query.a: pattern "%7e" is not in normal form; write "~"`},
		{"parameter", "- match: {query: {\"a=b\": x}}\n", `f:5:19: routes[0].match.query.a=b: parameter "a=b": want the name of a parameter, 1 to 255 octets without & and =`},
		{"country", "- match: {country: [de]}\n", `f:5:21: routes[0].match.country[0]: country "de": want two upper-case letters, such as DE`},
		{"key", "- cache_key: {headers: [cookie]}\n", "f:5:25: routes[0].cache_key.headers[0]: field Cookie is not for routes to change or look at here: the CDN keeps it; see cache_key.cookies"},
		{"keytwice", "- cache_key: {cookies: [a, a]}\n", "f:5:28: routes[0].cache_key.cookies[1]: cookie a is already item [0] (remove one)"},
		{"mode", "- cache_key: {query: {mode: sorted}}\n", `f:5:29: routes[0].cache_key.query.mode: "sorted" is not one of all, none, include, exclude`},
		{"names", "- cache_key: {query: {mode: include}}\n", `f:5:23: routes[0].cache_key.query: mode include needs the key "names"`},
		{"nonames", "- cache_key: {query: {names: [a]}}\n", "f:5:30: routes[0].cache_key.query.names: only the modes include and exclude have names (write mode: include or mode: exclude)"},
		{"nosort", "- cache_key: {query: {mode: none, sorted: true}}\n", "f:5:43: routes[0].cache_key.query.sorted: under mode none there is nothing to sort (remove it)"},
		{"rewrite", "- rewrite: {to: new}\n", `f:5:17: routes[0].rewrite.to: "new" does not start with "/"`},
		{"groupfirst", "- rewrite: {regexp: ^(.*)$, to: $1}\n", `f:5:33: routes[0].rewrite.to: "$1" does not start with "/"`},
		{"dollar", "- rewrite: {to: /$x}\n", `f:5:17: routes[0].rewrite.to: "/$x" has a "$" without a digit; write $1 for a group and $$ for a dollar`},
		{"dots", "- rewrite: {to: /a/../b}\n", `f:5:17: routes[0].rewrite.to: "/a/../b" is not in normal form: with x for each group it reads "/a/../b" and not "/b"`},
		{"group", "- rewrite: {regexp: ^/(a)$, to: /$2}\n", "f:5:33: routes[0].rewrite.to: uses $2, and the regular expression has 1 groups"},
		{"noexpr", "- rewrite: {to: /$1}\n", `f:5:17: routes[0].rewrite.to: uses $1, and there is no regular expression (add the key "regexp")`},
		{"openhost", "- redirect: {regexp: (.*), to: https://$1/}\n", `f:5:32: routes[0].redirect.to: "https://$1/": the host must be literal, and a path must follow it before any "$" or "?": want a path, such as "/new/$1", or a URL, such as "https://www.shop.example/$1"`},
		{"opensuffix", "- redirect: {regexp: (.*), to: https://shop.example$1}\n", `f:5:32: routes[0].redirect.to: "https://shop.example$1": the host must be literal, and a path must follow it before any "$" or "?": want a path, such as "/new/$1", or a URL, such as "https://www.shop.example/$1"`},
		{"openslashes", "- redirect: {to: //shop.example/}\n", `f:5:18: routes[0].redirect.to: "//shop.example/" names a host without a scheme: want a path, such as "/new/$1", or a URL, such as "https://www.shop.example/$1"`},
		{"script", "- redirect: {to: \"javascript:x\"}\n", `f:5:18: routes[0].redirect.to: "javascript:x": want a path, such as "/new/$1", or a URL, such as "https://www.shop.example/$1"`},
		{"code", "- redirect: {to: /a, status: 304}\n", `f:5:30: routes[0].redirect.status: "304" is not one of 301, 302, 303, 307, 308`},
		{"reserved", "- request_headers: {set: {Host: x}}\n", "f:5:27: routes[0].request_headers.set.Host: field Host is not for routes to change or look at here: the CDN keeps it; see origin.host and cache_key.share_domains"},
		{"own", "- response_headers: {delete: [nearcast-hop]}\n", "f:5:31: routes[0].response_headers.delete[0]: field Nearcast-Hop is not for routes to change or look at here: the CDN keeps it"},
		{"length", "- response_headers: {add: {content-length: 1}}\n", "f:5:28: routes[0].response_headers.add.content-length: field Content-Length is not for routes to change or look at here: the CDN keeps it"},
		{"control", "- response_headers: {add: {X-A: \"a\\nb\"}}\n", `f:5:33: routes[0].response_headers.add.X-A: "a\nb" has an octet that is not printable ASCII`},
		{"contradiction", "- response_headers: {set: {X-A: b}, delete: [x-a]}\n", "f:5:46: routes[0].response_headers.delete[0]: field X-A is both deleted and set or added (set takes the place of what there is)"},
		{"setadd", "- response_headers: {set: {X-A: b}, add: {x-a: b}}\n", "f:5:28: routes[0].response_headers.set: field X-A is both set and added (keep one)"},
		{"nochange", "- request_headers: {}\n", "f:5:20: routes[0].request_headers: has none of add, set and delete (leave the key out if there is nothing)"},
		{"followed", "- follow_redirects: 11\n", `f:5:21: routes[0].follow_redirects: "11" is not a whole number from 1 to 10`},
		{"origin", "- cors: {origins: [app.example]}\n", `f:5:20: routes[0].cors.origins[0]: origin "app.example": want "https://app.example", "https://*.app.example" or "*"`},
		{"ownport", "- cors: {origins: [\"https://app.example:443\"]}\n", `f:5:20: routes[0].cors.origins[0]: origin "https://app.example:443" is not what browsers send: lower case, without the scheme's own port; want "https://app.example", "https://*.app.example" or "*"`},
		{"everybody", "- cors: {origins: [\"*\"], credentials: true}\n", `f:5:39: routes[0].cors.credentials: everybody ("*") cannot be trusted with visitors' cookies (list the origins)`},
		{"alone", "- cors: {origins: [\"https://a.example\", \"*\"]}\n", `f:5:41: routes[0].cors.origins[1]: "*" is everybody and stands alone (remove the others)`},
		{"twicecors", "- cors: {origins: [\"*\"]}\n  response_headers: {set: {Access-Control-Allow-Origin: x}}\n", "f:6:22: routes[0].response_headers: field Access-Control-Allow-Origin is for cors to set (keep one)"},
		{"coding", "- compress: {codings: [deflate]}\n", `f:5:24: routes[0].compress.codings[0]: "deflate" is not one of br, zstd, gzip`},
		{"type", "- compress: {types: [html]}\n", `f:5:22: routes[0].compress.types[0]: type "html": want a media type in lower case, such as "application/json" or "text/*"`},
		{"maybe", "- compress: maybe\n", `f:5:13: routes[0].compress: "maybe" is not true or false`},
		{"bypass", "- bypass: true\n  ttl: 1h\n  cache_key: {device: true}\n", "f:5:11: routes[0].bypass: nothing is stored under bypass, so that ttl and cache_key mean nothing (remove one)"},
		{"redirect", "- redirect: {to: /a}\n  rewrite: {to: /b}\n", "f:5:14: routes[0].redirect: the origin is not asked under redirect, so that rewrite means nothing (remove one)"},
		{"phase", "- match: {status: [404]}\n  ttl: 1s\n  bypass: true\n", `f:7:11: routes[0].bypass: nothing is stored under bypass, so that ttl means nothing (remove one)
f:7:11: routes[0].bypass: acts before the response is known, so that a route with match.status cannot have it (put it on a route without a status)`},
	}
	for _, key := range []string{"cache_key: {device: true}", "rewrite: {to: /a}", "redirect: {to: /a}", "request_headers: {delete: [X-A]}", "follow_redirects: 1", `cors: {origins: ["*"]}`, "force_https: true", "compress: true", "obey_request_cache_control: true", "priority: low"} {
		name, value, _ := strings.Cut(key, ": ")
		column := len(name) + 5
		if value[0] == '{' {
			column++ // a mapping is where its first key is
		}
		tests = append(tests, siteMistake{
			"phase" + name, "- match: {status: [404]}\n  " + key + "\n",
			fmt.Sprintf("f:6:%d: routes[0].%s: acts before the response is known, so that a route with match.status cannot have it (put it on a route without a status)", column, name),
		})
	}
	return tests
}

func TestRouteMistakes(t *testing.T) {
	for _, tt := range routeMistakes() {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compile.Sites("f", []byte(good+"routes:\n"+tt.src))
			if err == nil {
				t.Fatal("no mistake")
			}
			got := strings.Split(err.Error(), "\n")
			for line := range strings.SplitSeq(tt.want, "\n") {
				if !slices.Contains(got, line) {
					t.Errorf("got  %s\nwant %s", err, line)
				}
			}
			if len(got) != len(strings.Split(tt.want, "\n")) {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestReach(t *testing.T) {
	const special = "put the more special route first"
	for _, tt := range []struct{ name, first, second, want string }{
		{"all", "{}", "{path_prefix: /a}", "routes[1]: can never match: routes[0] matches every request (" + special + ")"},
		{"root", "{path_prefix: /}", "{status: [404]}", "routes[1]: can never match: routes[0] matches every request (" + special + ")"},
		{"prefix", "{path_prefix: /a}", "{path_prefix: /ab, methods: [GET]}", "routes[1]: can never match: routes[0] matches every path under /a (" + special + ")"},
		{"glob", "{path_prefix: /a/}", "{path_glob: /a/*.js}", "routes[1]: can never match: routes[0] matches every path under /a/ (" + special + ")"},
		{"same", "{country: [DE], methods: [GET]}", "{methods: [GET], country: [DE]}", "routes[1]: can never match: routes[0] has the same match (make one route of both)"},
		{"status", "{status: [404]}", "{}", ""},
		{"condition", "{methods: [GET]}", "{}", ""},
		{"shorter", "{path_prefix: /ab}", "{path_prefix: /a}", ""},
		{"wild", "{path_prefix: /a/b}", "{path_glob: /a/*}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compile.Sites("f", fmt.Appendf(nil, "%sroutes:\n- {match: %s, ttl: 1s}\n- {match: %s, ttl: 1s}\n", good, tt.first, tt.second))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if want := tt.want; want != "" && got != "f:6:4: "+want || want == "" && got != "" {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Conditions that could not be read are not conditions that are not there.
func TestReachOfMistakes(t *testing.T) {
	_, err := compile.Sites("f", []byte(good+"routes:\n- {match: {country: x}}\n- {match: {path_glob: x}}\n- ttl: 1s\n"))
	if n := len(compile.MistakesOf(err)); n != 2 || strings.Contains(err.Error(), "never match") {
		t.Errorf("got %v, want the two mistakes", err)
	}
}

// Together the expressions of a site must not cost a request much either.
func TestRegexpBudget(t *testing.T) {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, "- {match: {path_regexp: \"a{900}%d\"}, ttl: 1s}\n", i)
	}
	_, err := compile.Sites("f", []byte(good+"routes:\n"+b.String()))
	if err == nil || !strings.Contains(err.Error(), "routes[11]: the regular expressions of the site up to here compile to") {
		t.Errorf("got %v, want the budget to be spent", err)
	}
}
