package rules_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge/rules"
)

func changes() cdn.HeaderRule {
	return cdn.HeaderRule{
		Delete: []string{"X-Gone"},
		Set:    map[string]string{"X-Set": "new", "X-Fresh": "1"},
		Add:    map[string]string{"X-Add": "two"},
	}
}

func TestHeaderRule(t *testing.T) {
	before := []string{"X-Gone: 1", "X-Gone: 2", "X-Set: a", "X-Set: b", "X-Add: one", "X-Stays: x"}
	want := header("X-Set: new", "X-Fresh: 1", "X-Add: one", "X-Add: two", "X-Stays: x")
	rule := cdn.Route{RequestHeaders: changes(), ResponseHeaders: changes()}

	h := header(before...)
	table(t, rule).Request(get(t, "/")).RequestHeader(h)
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("request fields differ (-want +got):\n%s", diff)
	}
	h = header(before...)
	rules.ResponseHeader(&rule, h)
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("response fields differ (-want +got):\n%s", diff)
	}
}

// A header that is about to be sent may share its lines with what is stored.
func TestAddKeepsSharedLines(t *testing.T) {
	stored := make([]string, 1, 4)
	stored[0] = "one"
	h := http.Header{"X-Add": stored}
	rules.ResponseHeader(&cdn.Route{ResponseHeaders: changes()}, h)
	if got := stored[:2]; got[1] != "" {
		t.Errorf("the stored lines have become %q", got)
	}
}

func TestVisitorFieldsForOrigin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rule   cdn.KeyRule
		fields []string
		want   http.Header
	}{
		{"forged", cdn.KeyRule{}, []string{"Nearcast-Device: x", "Nearcast-Country: x", "Cookie: a=1"}, header("Cookie: a=1")},
		{"country", cdn.KeyRule{Country: true}, []string{"Nearcast-Country: x"}, header("Nearcast-Country: DE")},
		{"cookies", cdn.KeyRule{Cookies: []string{"b", "a"}}, []string{"Cookie: a=1; s=secret; b=2", "Cookie: b=3"}, header("Cookie: b=2; b=3; a=1")},
		{"nocookies", cdn.KeyRule{Cookies: []string{"b"}}, []string{"Cookie: s=secret"}, http.Header{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get(t, "/", tt.fields...)
			r.Country = "DE"
			h := r.Header.Clone()
			table(t, cdn.Route{CacheKey: tt.rule}).Request(r).RequestHeader(h)
			if diff := cmp.Diff(tt.want, h); diff != "" {
				t.Errorf("fields differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrowserTTL(t *testing.T) {
	hour, zero := cdn.Duration(time.Hour), cdn.Duration(0)
	errors := cdn.Match{Status: []cdn.StatusPattern{"404"}}
	for _, tt := range []struct {
		name   string
		route  cdn.Route
		status int
		fields []string
		want   http.Header
	}{
		{"unset", cdn.Route{}, 200, []string{"Cache-Control: max-age=1"}, header("Cache-Control: max-age=1")},
		{"set", cdn.Route{BrowserTTL: &hour}, 200, []string{"Cache-Control: s-maxage=9", "Expires: 0", "Pragma: x"}, header("Cache-Control: max-age=3600")},
		{"zero", cdn.Route{BrowserTTL: &zero}, 200, nil, header("Cache-Control: no-cache")},
		{"age", cdn.Route{BrowserTTL: &hour}, 304, []string{"Age: 100"}, header("Cache-Control: max-age=3700", "Age: 100")},
		{"badage", cdn.Route{BrowserTTL: &hour}, 200, []string{"Age: x"}, header("Cache-Control: max-age=3600", "Age: x")},
		{"private", cdn.Route{BrowserTTL: &hour}, 200, []string{`Cache-Control: x, Private="a"`}, header(`Cache-Control: x, Private="a"`)},
		{"forced", cdn.Route{BrowserTTL: &hour, ForceCache: true}, 200, []string{"Cache-Control: no-store"}, header("Cache-Control: max-age=3600")},
		{"error", cdn.Route{BrowserTTL: &hour}, 404, nil, http.Header{}},
		{"moved", cdn.Route{BrowserTTL: &hour}, 302, nil, http.Header{}},
		{"asked", cdn.Route{BrowserTTL: &hour, Match: errors}, 404, nil, header("Cache-Control: max-age=3600")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := header(tt.fields...)
			rules.BrowserTTL(&tt.route, tt.status, h)
			if diff := cmp.Diff(tt.want, h); diff != "" {
				t.Errorf("fields differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	const asks = "Access-Control-Request-Method: PUT"
	one := cdn.CORS{Origins: []string{"https://app.example"}, Methods: []string{"PUT"}, Headers: []string{"X-A", "X-B"}, Expose: []string{"X-C"}, MaxAge: cdn.Duration(time.Hour)}
	trusted := cdn.CORS{Origins: []string{"https://*.app.example:8443"}, Credentials: true}
	all := cdn.CORS{Origins: []string{"*"}}
	for _, tt := range []struct {
		name      string
		rule      *cdn.CORS
		method    string
		fields    []string
		preflight bool
		want      http.Header
	}{
		{"none", nil, "GET", []string{"Origin: https://app.example"}, false, nil},
		{"allowed", &one, "GET", []string{"Origin: https://app.example"}, false, header("Vary: Origin", "Access-Control-Allow-Origin: https://app.example", "Access-Control-Expose-Headers: X-C")},
		{"stranger", &one, "GET", []string{"Origin: https://app.example.evil"}, false, header("Vary: Origin")},
		{"null", &one, "GET", []string{"Origin: null"}, false, header("Vary: Origin")},
		{"noorigin", &one, "GET", nil, false, header("Vary: Origin")},
		{"twoorigins", &one, "GET", []string{"Origin: https://app.example", "Origin: https://app.example"}, false, header("Vary: Origin")},
		{"preflight", &one, "OPTIONS", []string{"Origin: https://app.example", asks}, true, header("Vary: Origin", "Access-Control-Allow-Origin: https://app.example", "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: X-A, X-B", "Access-Control-Max-Age: 3600")},
		{"refused", &one, "OPTIONS", []string{"Origin: https://evil.example", asks}, true, header("Vary: Origin")},
		{"options", &one, "OPTIONS", []string{"Origin: https://app.example"}, false, header("Vary: Origin", "Access-Control-Allow-Origin: https://app.example", "Access-Control-Expose-Headers: X-C")},
		{"everybody", &all, "GET", []string{"Origin: https://x.example"}, false, header("Access-Control-Allow-Origin: *")},
		{"subdomain", &trusted, "GET", []string{"Origin: https://a.b.app.example:8443"}, false, header("Vary: Origin", "Access-Control-Allow-Origin: https://a.b.app.example:8443", "Access-Control-Allow-Credentials: true")},
		{"parent", &trusted, "GET", []string{"Origin: https://app.example:8443"}, false, header("Vary: Origin")},
		{"suffix", &trusted, "GET", []string{"Origin: https://evilapp.example:8443"}, false, header("Vary: Origin")},
		{"scheme", &trusted, "GET", []string{"Origin: http://a.app.example:8443"}, false, header("Vary: Origin")},
		{"path", &trusted, "GET", []string{"Origin: https://evil.example/.app.example:8443"}, false, header("Vary: Origin")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			preflight, fields := rules.CORS(&cdn.Route{CORS: tt.rule}, header(tt.fields...), tt.method)
			if diff := cmp.Diff(tt.want, fields); diff != "" || preflight != tt.preflight {
				t.Errorf("preflight %v, want %v; fields differ (-want +got):\n%s", preflight, tt.preflight, diff)
			}
		})
	}
}

func TestSetCORS(t *testing.T) {
	before := []string{"Access-Control-Allow-Origin: origin's", "Access-Control-Max-Age: 5", "Vary: Accept", "X-A: 1"}
	h := header(before...)
	rules.SetCORS(h, header("Vary: Origin", "Access-Control-Allow-Origin: https://app.example"))
	if diff := cmp.Diff(header("Vary: Accept", "Vary: Origin", "Access-Control-Allow-Origin: https://app.example", "X-A: 1"), h); diff != "" {
		t.Errorf("fields differ (-want +got):\n%s", diff)
	}
	h = header(before...)
	rules.SetCORS(h, nil)
	if diff := cmp.Diff(header(before...), h); diff != "" {
		t.Errorf("without a rule the origin's fields change (-want +got):\n%s", diff)
	}
}

// A preflight is ruled by the route of the request that it announces.
func TestPreflightRoute(t *testing.T) {
	puts := cdn.Match{Methods: []string{"PUT"}}
	allows := cdn.Route{Match: puts, CORS: &cdn.CORS{Origins: []string{"*"}}, ForceHTTPS: true}
	r := request(t, "OPTIONS", "http://www.shop.example/a", "Origin: https://app.example", "Access-Control-Request-Method: PUT")
	if p := table(t, allows).Request(r); p.Route != 0 || p.Redirect != "" {
		t.Errorf("routes[%d], redirect %q; want routes[0] to answer", p.Route, p.Redirect)
	}
	if p := table(t, cdn.Route{Match: puts, Bypass: true}, cdn.Route{TTL: 1}).Request(r); p.Route != 1 {
		t.Errorf("routes[%d], want the OPTIONS to be itself where no CORS answers", p.Route)
	}
}
