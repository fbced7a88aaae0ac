package edge_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
)

// seconds is a duration of a rule.
func seconds(n int) cdn.Duration { return cdn.Duration(time.Duration(n) * time.Second) }

// asked is an origin that says what it was asked for, fields among those of names included.
func asked(names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s %s %s", req.Method, req.Host, req.RequestURI)
		for _, name := range names {
			fmt.Fprintf(w, " %s=%s", name, strings.Join(req.Header[name], "|"))
		}
	}
}

// TestRedirects are answered here, with nothing asked of anybody.
func TestRedirects(t *testing.T) {
	r := newRig(t, asked(),
		cdn.Route{Match: cdn.Match{PathPrefix: "/secure/"}, ForceHTTPS: true, Redirect: &cdn.Redirect{Regexp: "^", To: "/elsewhere"}},
		cdn.Route{Match: cdn.Match{PathRegexp: "^/blog/([0-9]+)/(.*)$"}, Redirect: &cdn.Redirect{To: "https://blog.example/$1/$2", Status: 301}},
		cdn.Route{Match: cdn.Match{PathPrefix: "/up/"}, Redirect: &cdn.Redirect{Regexp: "^/up/(.*)$", To: "/$1", Status: 307}},
		cdn.Route{Match: cdn.Match{PathPrefix: "/dots/"}, Redirect: &cdn.Redirect{Regexp: "^/dots/(.*)$", To: "/.$1"}},
		cdn.Route{Redirect: &cdn.Redirect{Regexp: "^/old$", To: "/new?from=old"}})
	r.chain(t)
	for _, tt := range []struct {
		method, path string
		status       int
		location     string
	}{
		{"GET", "/secure/a?b=c", 308, "https://" + domain + "/secure/a?b=c"},
		{"POST", "/secure/a", 308, "https://" + domain + "/secure/a"},
		{"GET", "/blog/7/x%20y?z", 301, "https://blog.example/7/x%20y?z"},
		{"HEAD", "/blog/7/", 301, "https://blog.example/7/"},
		{"GET", "/old?a=b", 302, "/new?from=old"},
		{"GET", "/up/a", 307, "/a"},
		{"GET", "/up/%2e%2e/secret", 200, ""},                 // its dot segments are gone before any rule looks
		{"GET", "/up//evil.example/", 307, "//evil.example/"}, // behind the site's own host
		{"GET", "/dots//secret", 400, ""},
		{"GET", "/other", 200, ""},
	} {
		a := r.ask(t, tt.method, r.addr("fra-1"), domain, tt.path)
		if strings.HasPrefix(a.Header.Get("Location"), "//") {
			t.Errorf("%s: Location %s could be taken for another host's", tt.path, a.Header.Get("Location"))
		}
		location := strings.TrimPrefix(a.Header.Get("Location"), "http://"+domain)
		if a.StatusCode != tt.status || location != tt.location {
			t.Errorf("%s %s: %s to %q, want %d to %q", tt.method, tt.path, a.Status, a.Header.Get("Location"), tt.status, tt.location)
		}
		if tt.status >= 300 && a.Header.Get("Cache-Control") == "" {
			t.Errorf("%s: nothing says how long it may be kept", tt.path)
		}
	}
	if n := r.origin.all(); n != 2 {
		t.Errorf("%d origin requests, want those that are not redirected", n)
	}
}

// TestRewrite: the origin is asked for another path; what is stored, and what a purge names, is the visitor's.
func TestRewrite(t *testing.T) {
	r := newRig(t, asked(),
		cdn.Route{Match: cdn.Match{PathPrefix: "/img/"}, Rewrite: &cdn.Rewrite{Regexp: "^/img/(.*)$", To: "/v2/$1"}},
		cdn.Route{Match: cdn.Match{PathPrefix: "/query/"}, Rewrite: &cdn.Rewrite{Regexp: "^/query/(.*)$", To: "/find?q=$1"}})
	l1, l2 := r.chain(t)
	for path, want := range map[string]string{"/img/a.jpg?w=1": "/v2/a.jpg?w=1", "/query/shoes?w=1": "/find?q=shoes", "/other": "/other"} {
		for _, word := range []string{"MISS", "HIT"} {
			if a := r.get(t, r.addr("fra-1"), path); a.word() != word || a.body != "GET "+domain+" "+want {
				t.Errorf("%s: %s %q, want %s of %s", path, a.word(), a.body, word, want)
			}
		}
		if a := r.ask(t, http.MethodPost, r.addr("fra-1"), domain, path); a.body != "POST "+domain+" "+want {
			t.Errorf("POST %s: %q", path, a.body)
		}
	}
	r.get(t, r.addr("fra-1"), "/img/a.jpg?w=1")
	for _, p := range []struct{ path, word string }{{"/v2/a.jpg?w=1", "HIT"}, {"/img/a.jpg?w=1", "MISS"}} {
		purgeAt(target(p.path), l1, l2["ams-1"], l2["ams-2"])
		if a := r.get(t, r.addr("fra-1"), "/img/a.jpg?w=1"); a.word() != p.word {
			t.Errorf("after a purge of %s: %s", p.path, a.status())
		}
	}
}

// TestCacheKey: two requests share an answer if the key takes them for one; what it leaves out does not reach the
// origin.
func TestCacheKey(t *testing.T) {
	phone := "Mozilla/5.0 (iPhone) Mobile/15E148"
	for name, tt := range map[string]struct {
		rule          cdn.KeyRule
		first, second string // path and fields, "|" between them
		same          bool
		body          string // what the first one made of the origin
	}{
		"whole query":     {cdn.KeyRule{}, "/a?x=1&y=2", "/a?y=2&x=1", false, "/a?x=1&y=2"},
		"no query":        {cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}}, "/a?x=1", "/a", true, "/a "},
		"include":         {cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryInclude, Names: []string{"w"}}}, "/a?w=1&evil=1", "/a?w=1", true, "/a?w=1 "},
		"include other":   {cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryInclude, Names: []string{"w"}}}, "/a?w=1", "/a?w=2", false, "/a?w=1 "},
		"cloaked":         {cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryInclude, Names: []string{"w"}}}, "/a?u=1;w=2&w=1", "/a?w=1", true, "/a?w=1 "},
		"exclude":         {cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryExclude, Names: []string{"utm"}}}, "/a?utm=x&w=1", "/a?w=1&utm=y", true, "/a?w=1 "},
		"sorted":          {cdn.KeyRule{Query: cdn.QueryRule{Sorted: true}}, "/a?y=2&x=1", "/a?x=1&y=2", true, "/a?x=1&y=2 "},
		"header":          {cdn.KeyRule{Headers: []string{"X-Plan"}}, "/a|X-Plan: gold", "/a|X-Plan: tin", false, "X-Plan=gold"},
		"same header":     {cdn.KeyRule{Headers: []string{"X-Plan"}}, "/a|X-Plan: gold", "/a|X-Plan: gold", true, "X-Plan=gold"},
		"not the header":  {cdn.KeyRule{}, "/a|X-Plan: gold", "/a|X-Plan: tin", true, ""},
		"cookie":          {cdn.KeyRule{Cookies: []string{"currency"}}, "/a|Cookie: currency=eur; id=7", "/a|Cookie: currency=usd", false, "Cookie=currency=eur "},
		"same cookie":     {cdn.KeyRule{Cookies: []string{"currency"}}, "/a|Cookie: id=7; currency=eur", "/a|Cookie: currency=eur; id=8", true, "Cookie=currency=eur "},
		"no such cookie":  {cdn.KeyRule{Cookies: []string{"currency"}}, "/a|Cookie: id=7", "/a", true, "Cookie= "},
		"device":          {cdn.KeyRule{Device: true}, "/a|User-Agent: " + phone, "/a|User-Agent: X11", false, "Nearcast-Device=mobile"},
		"same device":     {cdn.KeyRule{Device: true}, "/a|User-Agent: " + phone, "/a|User-Agent: BlackBerry", true, "Nearcast-Device=mobile"},
		"claimed device":  {cdn.KeyRule{Device: true}, "/a|User-Agent: X11|Nearcast-Device: tablet", "/a|User-Agent: Y", true, "Nearcast-Device=desktop"},
		"country":         {cdn.KeyRule{Country: true}, "/a|Nearcast-Country: FR", "/a", true, "Nearcast-Country=DE"},
		"case":            {cdn.KeyRule{}, "/A", "/a", false, "/A "},
		"no case":         {cdn.KeyRule{IgnoreCase: true}, "/A/%C3%89?X", "/a/%c3%89?X", true, "/a/%C3%89?X "},
		"domains":         {cdn.KeyRule{}, "/a", "/a|Host: shop.example", false, domain},
		"shared domains":  {cdn.KeyRule{ShareDomains: true}, "/a", "/a|Host: shop.example", true, domain},
		"shared, 2 first": {cdn.KeyRule{ShareDomains: true}, "/a|Host: shop.example", "/a", true, domain},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, asked("X-Plan", "Cookie", "Nearcast-Device", "Nearcast-Country", "X-End"), cdn.Route{CacheKey: tt.rule})
			r.sites[0].Domains = append(r.sites[0].Domains, "shop.example")
			r.fleet.Clients = []cdn.ClientPrefix{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Location: cdn.Location{Country: "DE"}}}
			l1, l2 := r.chain(t)
			first := r.say(t, "fra-1", tt.first)
			if !strings.Contains(first.body, tt.body) || first.word() != "MISS" {
				t.Errorf("first: %s %q, want %q in it", first.word(), first.body, tt.body)
			}
			second := r.say(t, "fra-1", tt.second)
			if same := second.word() == "HIT"; same != tt.same || same && second.body != first.body {
				t.Errorf("second: %s %q after %q", second.word(), second.body, first.body)
			}
			purged := target(strings.Split(tt.second, "|")[0])
			if strings.Contains(tt.second, "Host: ") {
				purged.Domain = "shop.example"
			}
			purgeAt(purged, l1, l2["ams-1"], l2["ams-2"])
			if again := r.say(t, "fra-1", tt.second); again.word() != "MISS" || strings.Contains(again.status(), "; hit") {
				t.Errorf("after a purge of its URL: %s", again.status())
			}
			if again := r.say(t, "fra-1", tt.first); tt.same && again.word() != "HIT" {
				t.Errorf("the first after a purge and the second: %s", again.status())
			}
		})
	}
}

// purgeAt applies a purge of one URL at several nodes.
func purgeAt(url cdn.Target, nodes ...*edge.Server) {
	for _, n := range nodes {
		n.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{url}})
	}
}

// say sends a GET that is written as its path and fields with "|" between them.
func (r *rig) say(t *testing.T, node, request string) answer {
	t.Helper()
	parts, host := strings.Split(request, "|"), domain
	var fields []string
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(p, ": ")
		if name == "Host" {
			host = value
			continue
		}
		fields = append(fields, name, value)
	}
	return r.ask(t, http.MethodGet, r.addr(node), host, parts[0], fields...)
}

// TestHeaderRules: once each, for the origin and for the visitor, through however many nodes; what is stored stays as it
// came.
func TestHeaderRules(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Server", "theirs")
		w.Header().Set("X-Kept", "1")
		asked("X-Set", "X-Add", "X-Gone")(w, req)
	}, cdn.Route{
		RequestHeaders:  cdn.HeaderRule{Set: map[string]string{"X-Set": "ours"}, Add: map[string]string{"X-Add": "ours"}, Delete: []string{"X-Gone"}},
		ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"X-New": "ours"}, Add: map[string]string{"X-Kept": "ours"}, Delete: []string{"Server"}},
	})
	r.chain(t)
	for _, tt := range []struct{ node, method, word string }{
		{"fra-1", "GET", "MISS"}, {"fra-1", "GET", "HIT"}, {"ams-1", "GET", ""}, {"fra-1", "POST", "PASS"}, {"fra-1", "HEAD", "MISS"},
	} {
		a := r.ask(t, tt.method, r.addr(tt.node), domain, "/a", "X-Set", "theirs", "X-Add", "theirs", "X-Gone", "theirs")
		want := tt.method + " " + domain + " /a X-Set=ours X-Add=theirs|ours X-Gone="
		if tt.method != http.MethodHead && a.body != want || tt.word != "" && a.word() != tt.word {
			t.Errorf("%s at %s: %s, the origin saw %q", tt.method, tt.node, a.word(), a.body)
		}
		if got := strings.Join(a.Header["X-Kept"], "|"); got != "1|ours" || a.Header.Get("X-New") != "ours" || a.Header["Server"] != nil {
			t.Errorf("%s at %s: the visitor saw %v", tt.method, tt.node, a.Header)
		}
	}
}

// shares is a rig whose routes have different views of scripts of other origins.
func shares(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://theirs.example")
		w.Header().Set("Access-Control-Max-Age", "1")
		asked()(w, req)
	},
		cdn.Route{Match: cdn.Match{PathPrefix: "/all"}, CORS: &cdn.CORS{Origins: []string{"*"}}},
		cdn.Route{Match: cdn.Match{Methods: []string{"DELETE"}}, CORS: &cdn.CORS{Origins: []string{"https://app.example"}, Methods: []string{"DELETE"}, MaxAge: seconds(60)}},
		cdn.Route{Match: cdn.Match{PathPrefix: "/none"}},
		cdn.Route{CORS: &cdn.CORS{Origins: []string{"https://app.example", "https://*.shop.example"}, Credentials: true, Headers: []string{"X-A"}, Expose: []string{"X-B"}}})
}

// TestCORS: the node's fields take the place of the origin's, and are those of whoever asks, also from the store.
func TestCORS(t *testing.T) {
	r := shares(t)
	r.chain(t)
	for _, tt := range []struct{ method, path, origin, announced, allowed string }{
		{"GET", "/a", "https://app.example", "", "https://app.example"},
		{"GET", "/a", "https://www.shop.example", "", "https://www.shop.example"},
		{"GET", "/a", "https://evil.example", "", ""},
		{"GET", "/a", "https://evilshop.example", "", ""},
		{"GET", "/a", "null", "", ""},
		{"GET", "/a", "", "", ""},
		{"POST", "/a", "https://app.example", "", "https://app.example"},
		{"GET", "/all", "https://evil.example", "", "*"},
		{"OPTIONS", "/a", "https://app.example", "PUT", "https://app.example"},
		{"OPTIONS", "/a", "https://app.example", "DELETE", "https://app.example"},
		{"OPTIONS", "/a", "https://evil.example", "DELETE", ""},
		{"OPTIONS", "/a", "https://app.example", "", "https://app.example"}, // no preflight: for the origin
		{"GET", "/none", "https://evil.example", "", "https://theirs.example"},
		{"OPTIONS", "/none", "https://app.example", "PUT", "https://theirs.example"},
	} {
		for range 2 {
			before := r.origin.all()
			var fields []string
			if tt.origin != "" {
				fields = []string{"Origin", tt.origin}
			}
			if tt.announced != "" {
				fields = append(fields, "Access-Control-Request-Method", tt.announced)
			}
			a := r.ask(t, tt.method, r.addr("fra-1"), domain, tt.path, fields...)
			what := tt.method + " " + tt.announced + " " + tt.path + " from " + tt.origin
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != tt.allowed {
				t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", what, got, tt.allowed)
			}
			if tt.path == "/none" {
				continue
			}
			if varies := a.Header.Get("Vary") == "Origin"; varies != (tt.path == "/a") || a.Header.Get("Access-Control-Max-Age") == "1" {
				t.Errorf("%s: %v", what, a.Header)
			}
			if preflight := tt.announced != ""; preflight && (a.StatusCode != http.StatusNoContent || r.origin.all() != before) {
				t.Errorf("%s: %s, %d origin requests", what, a.Status, r.origin.all()-before)
			}
		}
	}
}

// TestCORSOfTheRoute: a preflight is ruled by the route of the request that it announces, all others by their own.
func TestCORSOfTheRoute(t *testing.T) {
	r := shares(t)
	r.chain(t)
	preflight := r.ask(t, http.MethodOptions, r.addr("fra-1"), domain, "/a", "Origin", "https://app.example", "Access-Control-Request-Method", "DELETE").Header
	if preflight.Get("Access-Control-Allow-Methods") != "DELETE" || preflight.Get("Access-Control-Max-Age") != "60" || preflight.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("by the route of the announced method: %v", preflight)
	}
	r.get(t, r.addr("fra-1"), "/a", "Origin", "https://www.shop.example")
	plain := r.get(t, r.addr("fra-1"), "/a", "Origin", "https://app.example").Header
	if plain.Get("Access-Control-Allow-Credentials") != "true" || plain.Get("Access-Control-Expose-Headers") != "X-B" || plain.Get("X-Cache") != "HIT" {
		t.Errorf("by its own route: %v", plain)
	}
}

// TestFollowRedirects: those of the origin to itself, as many as the route says; all others are the visitor's.
func TestFollowRedirects(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if to := req.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		asked()(w, req)
	}, cdn.Route{Match: cdn.Match{PathPrefix: "/no"}}, cdn.Route{FollowRedirects: 2})
	r.chain(t)
	for name, tt := range map[string]struct {
		method, path string
		status       int
		end          string // of the body or of Location
	}{
		"one":          {"GET", "/1?to=/end", 200, "/end"},
		"relative":     {"GET", "/2/x?to=end", 200, "/2/end"},
		"two":          {"GET", "/3?to=/m%3Fto=/end", 200, "/end"},
		"three":        {"GET", "/4?to=/m%3Fto=/n%253Fto=/end", 302, "/end"},
		"absolute":     {"GET", "/5?to=http://" + domain + "/end", 200, "/end"},
		"another host": {"GET", "/6?to=http://evil.example/end", 302, "http://evil.example/end"},
		"another way":  {"GET", "/7?to=//evil.example/end", 302, "//evil.example/end"},
		"no URL":       {"GET", "/8?to=ftp://" + domain + "/end", 302, "/end"},
		"HEAD":         {"HEAD", "/9?to=/end", 200, ""},
		"not wanted":   {"GET", "/no?to=/end", 302, "/end"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.ask(t, tt.method, r.addr("fra-1"), domain, tt.path)
			got := a.Header.Get("Location")
			if a.StatusCode == http.StatusOK {
				got = a.body
			}
			if a.StatusCode != tt.status || !strings.HasSuffix(got, tt.end) || tt.status == 200 && a.Header.Get("Location") != "" {
				t.Errorf("%s: %q, want %d and %s", a.Status, got, tt.status, tt.end)
			}
		})
	}
	if n := r.origin.requests("/4") + r.origin.requests("/m"); n != 3 {
		t.Errorf("%d requests for two chains", n)
	}
}

// controlled is an origin whose Cache-Control is the query of what it is asked for, and whose status is the path's first
// segment while nothing else is said.
type controlled struct{ status atomic.Int64 }

func (o *controlled) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if c := req.URL.Query().Get("c"); c != "" {
		w.Header().Set("Cache-Control", c)
	}
	if req.URL.Query().Has("cookie") {
		w.Header().Set("Set-Cookie", "id=7")
	}
	w.Header().Set("Etag", `"1"`)
	status, err := strconv.Atoi(strings.Split(req.URL.Path, "/")[1])
	if err != nil {
		status = http.StatusOK
	}
	if n := o.status.Load(); n != 0 {
		status = int(n)
	}
	if req.Header.Get("If-None-Match") == `"1"` && status == http.StatusOK {
		status = http.StatusNotModified
	}
	w.WriteHeader(status)
}

// TestLifetimesByRule: how long an answer is used without a question, by route and status.
func TestLifetimesByRule(t *testing.T) {
	r := newRig(t, new(controlled).ServeHTTP,
		cdn.Route{Match: cdn.Match{Status: []cdn.StatusPattern{"410"}}, TTL: seconds(30)},
		cdn.Route{Match: cdn.Match{Query: map[string]string{"force": "*"}}, TTL: seconds(100), ForceCache: true},
		cdn.Route{TTL: seconds(100), NegativeTTL: map[cdn.StatusPattern]cdn.Duration{"404": seconds(10), "4xx": seconds(5), "5xx": seconds(1), "503": 0}})
	r.chain(t)
	for _, tt := range []struct {
		path   string
		fresh  int // seconds; 0: never used again without a question
		fields []string
	}{
		{"/200/a", 100, nil},
		{"/200/b?c=max-age=7", 100, nil},
		{"/404/a", 10, nil},
		{"/404/b?c=max-age=70", 10, nil},
		{"/403/a", 5, nil},
		{"/410/a", 30, nil},
		{"/500/a", 1, nil},
		{"/503/a", 0, nil},
		{"/503/b?c=max-age=70", 0, nil},
		{"/200/c?c=no-store", 0, nil},
		{"/200/d?c=private", 0, nil},
		{"/200/e?c=no-cache", 0, nil},
		{"/200/f?cookie", 0, nil},
		{"/200/g?force&c=no-store", 100, nil},
		{"/200/h?force&c=private,no-cache", 100, nil},
		{"/200/i?force&c=no-store&cookie", 0, nil},
		{"/200/j?force&cookie", 0, nil},
		{"/200/k?force&c=no-store", 0, []string{"Authorization", "Basic x"}},
	} {
		r.get(t, r.addr("fra-1"), tt.path, tt.fields...)
		for _, step := range []struct {
			advance int
			hit     bool
		}{{0, tt.fresh > 0}, {tt.fresh - 2, tt.fresh > 2}, {3, false}} {
			r.clock.advance(time.Duration(max(step.advance, 0)) * time.Second)
			if step.advance < 0 {
				continue
			}
			if a := r.get(t, r.addr("fra-1"), tt.path, tt.fields...); (a.word() == "HIT") != step.hit {
				t.Errorf("%s after %d more seconds of %d: %s", tt.path, step.advance, tt.fresh, a.status())
			}
		}
	}
}

// TestBrowserTTL: what visitors are told is another thing than what the node does, and on a hit counts on from the age.
func TestBrowserTTL(t *testing.T) {
	minute, none := seconds(60), seconds(0)
	r := newRig(t, new(controlled).ServeHTTP,
		cdn.Route{Match: cdn.Match{Status: []cdn.StatusPattern{"410"}}, TTL: seconds(1000), BrowserTTL: &minute},
		cdn.Route{Match: cdn.Match{PathPrefix: "/200/none"}, TTL: seconds(1000), BrowserTTL: &none},
		cdn.Route{Match: cdn.Match{PathPrefix: "/200/force"}, TTL: seconds(1000), ForceCache: true, BrowserTTL: &minute},
		cdn.Route{TTL: seconds(1000), BrowserTTL: &minute})
	r.chain(t)
	for _, tt := range []struct{ path, first, later string }{
		{"/200/a?c=max-age=5", "max-age=60", "max-age=160"},
		{"/200/none?c=max-age=5", "no-cache", "no-cache"},
		{"/200/b?c=private,max-age=5", "private,max-age=5", "private,max-age=5"},
		{"/200/force?c=no-store", "max-age=60", "max-age=160"},
		{"/404/a?c=max-age=5", "max-age=5", "max-age=5"},
		{"/410/a", "max-age=60", "max-age=160"},
	} {
		if a := r.get(t, r.addr("fra-1"), tt.path); a.Header.Get("Cache-Control") != tt.first {
			t.Errorf("%s: %q, want %q", tt.path, a.Header.Get("Cache-Control"), tt.first)
		}
		r.clock.advance(100 * time.Second)
		a := r.get(t, r.addr("fra-1"), tt.path)
		age, _ := strconv.Atoi(a.Header.Get("Age")) // whole seconds: it may be one more
		want := strings.Replace(tt.later, "160", strconv.Itoa(60+age), 1)
		if a.Header.Get("Cache-Control") != want || tt.later == "max-age=160" && (age < 100 || age > 101) {
			t.Errorf("%s from the store: %q with Age %d, want %q", tt.path, a.Header.Get("Cache-Control"), age, tt.later)
		}
	}
}

// TestStaleByRule: within the windows that the route gives, and not behind them.
func TestStaleByRule(t *testing.T) {
	o := new(controlled)
	r := newRig(t, o.ServeHTTP,
		cdn.Route{Match: cdn.Match{PathPrefix: "/200/swr"}, TTL: seconds(10), StaleWhileRevalidate: seconds(20)},
		cdn.Route{Match: cdn.Match{PathPrefix: "/200/sie"}, TTL: seconds(10), StaleIfError: seconds(20)})
	r.start(t, "ams-1")
	addr := r.addr("ams-1")
	for _, tt := range []struct {
		path   string
		after  int // seconds
		origin int // what it says then
		status int
		word   string
	}{
		{"/200/swr/a", 15, 0, 200, "STALE"},
		{"/200/swr/b", 31, 0, 200, "REVALIDATED"},
		{"/200/swr/c?c=must-revalidate", 15, 0, 200, "REVALIDATED"},
		{"/200/sie/a", 15, 503, 200, "STALE"},
		{"/200/sie/b", 31, 503, 503, "MISS"},
		{"/200/sie/c", 15, 404, 404, "MISS"},
		{"/200/sie/d?c=must-revalidate", 15, 503, 503, "MISS"},
		{"/200/sie/e", 15, 0, 200, "REVALIDATED"},
	} {
		o.status.Store(0)
		r.get(t, addr, tt.path)
		r.clock.advance(time.Duration(tt.after) * time.Second)
		o.status.Store(int64(tt.origin))
		if a := r.get(t, addr, tt.path); a.StatusCode != tt.status || a.word() != tt.word {
			t.Errorf("%s after %d s when the origin says %d: %s %s", tt.path, tt.after, tt.origin, a.Status, a.word())
		}
		if tt.word == "STALE" && tt.origin == 0 {
			eventually(t, "it is renewed behind it", func() bool { return r.get(t, addr, tt.path).word() == "HIT" })
		}
	}
}

// TestRequestCacheControl counts only where the route says so (RFC 9111 section 5.2.1).
func TestRequestCacheControl(t *testing.T) {
	r := newRig(t, new(controlled).ServeHTTP,
		cdn.Route{Match: cdn.Match{PathPrefix: "/200/obey"}, ObeyRequestCacheControl: true, TTL: seconds(100)}, cdn.Route{TTL: seconds(100)})
	r.start(t, "ams-1")
	addr := r.addr("ams-1")
	for _, tt := range []struct{ control, obeyed string }{
		{"no-cache", "200 REVALIDATED"}, {"max-age=10", "200 REVALIDATED"}, {"max-age=50", "200 HIT"}, {"min-fresh=90", "200 REVALIDATED"}, {"only-if-cached", "200 HIT"},
	} {
		for path, want := range map[string]string{"/200/obey?": tt.obeyed, "/200/not?": "200 HIT"} {
			path += tt.control
			r.get(t, addr, path)
			r.clock.advance(20 * time.Second)
			a := r.get(t, addr, path, "Cache-Control", tt.control)
			if got := a.Status[:3] + " " + a.word(); got != want {
				t.Errorf("%s of %s: %s, want %s", tt.control, path, got, want)
			}
		}
	}
	for path, want := range map[string]int{"/200/obey?nothing": http.StatusGatewayTimeout, "/200/not?nothing": http.StatusOK} {
		if a := r.get(t, addr, path, "Cache-Control", "only-if-cached"); a.StatusCode != want {
			t.Errorf("only-if-cached of %s: %s", path, a.Status)
		}
	}
	if a := r.get(t, addr, "/200/not?nothing", "Pragma", "no-cache"); a.word() != "HIT" {
		t.Errorf("Pragma: %s", a.status())
	}
}
