package rules_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/rules"
	"nearcast/internal/geo"
	"nearcast/internal/prefixtable"
)

// table compiles routes of the site "shop" with two domains.
func table(t testing.TB, routes ...cdn.Route) *rules.Table {
	t.Helper()
	table, err := rules.Compile(&cdn.Site{Name: "shop", Domains: []cdn.Domain{"www.shop.example", "img.shop.example"}, Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// get is a GET of a path, with "Name: value" fields.
func get(t testing.TB, pathAndQuery string, fields ...string) rules.Request {
	t.Helper()
	return request(t, http.MethodGet, "http://www.shop.example"+pathAndQuery, fields...)
}

func request(t testing.TB, method, url string, fields ...string) rules.Request {
	t.Helper()
	return rules.Request{Method: method, Target: target(t, url), Header: header(fields...)}
}

func target(t testing.TB, url string) cdn.Target {
	t.Helper()
	target, err := cdn.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func header(fields ...string) http.Header {
	h := http.Header{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return h
}

func TestConditions(t *testing.T) {
	pattern := func(name, value string) map[string]string { return map[string]string{name: value} }
	for _, tt := range []struct {
		name  string
		match cdn.Match
		r     rules.Request
		want  bool
	}{
		{"nothing", cdn.Match{}, get(t, "/a"), true},
		{"prefix", cdn.Match{PathPrefix: "/a/"}, get(t, "/a/b"), true},
		{"otherprefix", cdn.Match{PathPrefix: "/a/"}, get(t, "/a"), false},
		{"extension", cdn.Match{Extensions: []string{".js", ".css"}}, get(t, "/a.css?x"), true},
		{"otherextension", cdn.Match{Extensions: []string{".js"}}, get(t, "/a?x.js"), false},
		{"glob", cdn.Match{PathGlob: "/img/*/*.jpg"}, get(t, "/img/a/b.jpg"), true},
		{"globsegment", cdn.Match{PathGlob: "/img/*.jpg"}, get(t, "/img/a/b.jpg"), false},
		{"regexp", cdn.Match{PathRegexp: "^/v[0-9]+/"}, get(t, "/v12/x"), true},
		{"otherregexp", cdn.Match{PathRegexp: "^/v[0-9]+/"}, get(t, "/vx/"), false},
		{"method", cdn.Match{Methods: []string{"POST"}}, request(t, "POST", "http://www.shop.example/"), true},
		{"othermethod", cdn.Match{Methods: []string{"POST"}}, get(t, "/"), false},
		{"head", cdn.Match{Methods: []string{"GET"}}, request(t, "HEAD", "http://www.shop.example/"), true},
		{"status", cdn.Match{Status: []cdn.StatusPattern{"404"}}, get(t, "/"), false},
		{"header", cdn.Match{Header: pattern("X-Beta", "1")}, get(t, "/", "X-Beta: 0", "X-Beta: 1"), true},
		{"otherheader", cdn.Match{Header: pattern("X-Beta", "1")}, get(t, "/", "X-Beta: 11"), false},
		{"noheader", cdn.Match{Header: pattern("X-Beta", "*")}, get(t, "/"), false},
		{"cookie", cdn.Match{Cookie: pattern("tier", "gold*")}, get(t, "/", "Cookie: a=b; tier=golden"), true},
		{"cookies", cdn.Match{Cookie: pattern("tier", "gold*")}, get(t, "/", "Cookie: tier=x", "Cookie: tier=gold"), true},
		{"othercookie", cdn.Match{Cookie: pattern("tier", "gold*")}, get(t, "/", "Cookie: xtier=gold; tier"), false},
		{"query", cdn.Match{Query: pattern("debug", "*")}, get(t, "/?a=1&debug"), true},
		{"queryvalue", cdn.Match{Query: pattern("a", "2")}, get(t, "/?a=1&a=2"), true},
		{"escaped", cdn.Match{Query: pattern("a~", "~")}, get(t, "/?%61%7e=%7E"), true},
		{"semicolon", cdn.Match{Query: pattern("debug", "*")}, get(t, "/?a=1;debug=1"), false},
		{"noquery", cdn.Match{Query: pattern("debug", "*")}, get(t, "/"), false},
		{"country", cdn.Match{Country: []string{"DE", "FR"}}, rules.Request{Method: "GET", Country: "FR"}, true},
		{"nocountry", cdn.Match{Country: []string{"DE"}}, get(t, "/"), false},
		{"two", cdn.Match{Extensions: []string{".js"}, Methods: []string{"POST"}}, get(t, "/a.js"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := table(t, cdn.Route{Match: tt.match, TTL: 1}).Request(tt.r)
			if got := p.Route == 0; got != tt.want {
				t.Errorf("routes[%d], want it to match: %v", p.Route, tt.want)
			}
			if p.Rule == nil || (p.Rule.TTL == 1) != tt.want {
				t.Errorf("the rule is %+v", p.Rule)
			}
		})
	}
}

func TestPhases(t *testing.T) {
	tab := table(t,
		cdn.Route{Match: cdn.Match{PathPrefix: "/a", Status: []cdn.StatusPattern{"404", "5xx"}}, TTL: 1},
		cdn.Route{Match: cdn.Match{PathPrefix: "/a/b"}, TTL: 2},
		cdn.Route{Match: cdn.Match{Status: []cdn.StatusPattern{"200"}}, TTL: 3},
	)
	for _, tt := range []struct {
		name, path       string
		status           int
		request, respond int
	}{
		{"code", "/a/b", 404, 1, 0},
		{"class", "/a/b", 502, 1, 0},
		{"plain", "/a/b", 200, 1, 1},
		{"only", "/a", 500, -1, 0},
		{"behind", "/a", 200, -1, 2},
		{"none", "/x", 404, -1, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get(t, tt.path)
			p := tab.Request(r)
			rule, index := tab.Response(r, tt.status)
			if p.Route != tt.request || index != tt.respond || int(rule.TTL) != tt.respond+1 {
				t.Errorf("request routes[%d], response routes[%d] (%+v), want %d and %d", p.Route, index, rule, tt.request, tt.respond)
			}
			if again, i := p.Response(tt.status); again != rule || i != index {
				t.Errorf("the plan says routes[%d], the table routes[%d]", i, index)
			}
		})
	}
	plain := table(t, cdn.Route{TTL: 1}).Request(get(t, "/"))
	if rule, i := plain.Response(404); rule != plain.Rule || i != 0 {
		t.Errorf("routes[%d] without any status in the table, want routes[0]", i)
	}
}

func TestCompileMistakes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		route cdn.Route
		want  string
	}{
		{"regexp", cdn.Route{Match: cdn.Match{PathRegexp: "("}}, "compiling path_regexp"},
		{"glob", cdn.Route{Match: cdn.Match{PathGlob: strings.Repeat("*a", 200)}}, "compiling path_glob"},
		{"value", cdn.Route{Match: cdn.Match{Header: map[string]string{"A": strings.Repeat("*a", 200)}}}, `compiling the pattern of "A"`},
		{"rewrite", cdn.Route{Rewrite: &cdn.Rewrite{Regexp: "(", To: "/"}}, "compiling rewrite"},
		{"template", cdn.Route{Rewrite: &cdn.Rewrite{To: "/$"}}, "compiling rewrite"},
		{"relative", cdn.Route{Rewrite: &cdn.Rewrite{To: "a"}}, "does not start with"},
		{"group", cdn.Route{Redirect: &cdn.Redirect{Regexp: "(a)", To: "/$2"}}, "$2"},
		{"host", cdn.Route{Redirect: &cdn.Redirect{Regexp: "(.*)", To: "https://shop.example$1"}}, "does not start with"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := rules.Compile(&cdn.Site{Name: "shop", Routes: []cdn.Route{{}, tt.route}})
			if cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "routes[1] of site shop") {
				t.Errorf("got %v, want %q in routes[1]", err, tt.want)
			}
		})
	}
}

func TestCountries(t *testing.T) {
	prefix := func(s, country string) cdn.ClientPrefix {
		return cdn.ClientPrefix{Prefix: netip.MustParsePrefix(s), Location: cdn.Location{Country: country}}
	}
	c := rules.CompileCountries(&cdn.Fleet{Clients: []cdn.ClientPrefix{
		prefix("10.0.0.0/8", "DE"), prefix("10.1.0.0/16", "FR"), prefix("10.1.2.0/24", ""), prefix("10.2.0.0/16", "Spain"),
		prefix("2001:db8::/32", "NL"), prefix("2001:db8::1/128", "BE"), prefix("0.0.0.0/0", "US"),
	}})
	for addr, want := range map[string]string{
		"10.9.9.9": "DE", "10.1.9.9": "FR", "10.1.2.3": "FR", "10.2.0.1": "DE", "::ffff:10.1.9.9": "FR", "192.0.2.1": "US",
		"2001:db8::1": "BE", "2001:db8::2": "NL", "2001:db9::": "", "2001:db8::2%eth0": "NL",
	} {
		if got := c.Of(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
	var none *rules.Countries
	if got := none.Of(netip.MustParseAddr("10.0.0.1")) + c.Of(netip.Addr{}); got != "" {
		t.Errorf("nobody knows, but %q", got)
	}
}

// TestCountriesOfDatabase: what the fleet's prefixes leave open is taken from a database.
func TestCountriesOfDatabase(t *testing.T) {
	table, err := prefixtable.New([]prefixtable.Entry{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Number: 0}, {Prefix: netip.MustParsePrefix("10.1.0.0/16"), Number: 1}, {Prefix: netip.MustParsePrefix("192.0.2.0/24"), Number: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	database := rules.CountriesOf(&geo.Database{Table: table, Records: []geo.Record{{Country: "DE"}, {Country: "FR", City: "Paris"}, {ASN: 64500}}})
	fleet := &cdn.Fleet{Clients: []cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.1.2.0/24"), Location: cdn.Location{Country: "AT"}}, {Prefix: netip.MustParsePrefix("10.1.3.0/24")},
	}}
	c := rules.CompileCountries(fleet).Over(database)
	for addr, want := range map[string]string{"10.9.9.9": "DE", "10.1.9.9": "FR", "10.1.2.3": "AT", "10.1.3.4": "FR", "192.0.2.1": "", "203.0.113.1": "", "2001:db8::1": ""} {
		if got := c.Of(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
	var none *rules.Countries
	if got := none.Over(database).Of(netip.MustParseAddr("10.1.1.1")); got != "FR" || rules.CountriesOf(nil) != nil {
		t.Errorf("without a fleet the country is %q", got)
	}
}

func TestDeviceClass(t *testing.T) {
	tab := table(t, cdn.Route{CacheKey: cdn.KeyRule{Device: true}})
	for agent, want := range map[string]string{
		"": "desktop",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                              "desktop",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1": "mobile",
		"Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 Version/12.1 Mobile/15E148 Safari/604.1":          "tablet",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36":                   "mobile",
		"Mozilla/5.0 (Linux; Android 15; SM-X910) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36":                          "tablet",
		"Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0":                                                "tablet",
		"Opera/9.80 (J2ME/MIDP; Opera Mini/9.80)":                                                                             "mobile",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                            "desktop",
	} {
		p := tab.Request(get(t, "/", "User-Agent: "+agent))
		h := header("Nearcast-Device: forged", "Nearcast-Country: XX")
		p.RequestHeader(h)
		if p.Device != want || p.Variant != "device="+want || !slices.Equal(h["Nearcast-Device"], []string{want}) || h["Nearcast-Country"] != nil {
			t.Errorf("%q: device %q, variant %q, fields %v; want %s", agent, p.Device, p.Variant, h, want)
		}
	}
}
