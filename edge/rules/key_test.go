package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge/rules"
)

func TestKey(t *testing.T) {
	names := func(mode cdn.QueryMode, names ...string) cdn.KeyRule {
		return cdn.KeyRule{Query: cdn.QueryRule{Mode: mode, Names: names}}
	}
	for _, tt := range []struct {
		name string
		rule cdn.KeyRule
		path string
		want string
	}{
		{"plain", cdn.KeyRule{}, "/A?b=1&a=2", "/A?b=1&a=2"},
		{"emptyquery", cdn.KeyRule{}, "/a?", "/a?"},
		{"all", names(cdn.QueryAll), "/a?b&a", "/a?b&a"},
		{"none", names(cdn.QueryNone), "/a?b&a", "/a"},
		{"include", names(cdn.QueryInclude, "a", "c"), "/a?b=1&a=2&x&a=1&c", "/a?a=2&a=1&c"},
		{"includenothing", names(cdn.QueryInclude, "a"), "/a?b=1", "/a"},
		{"includeempty", names(cdn.QueryInclude, "a"), "/a?", "/a"},
		{"exclude", names(cdn.QueryExclude, "utm"), "/a?b=1&utm=2&&c&utm", "/a?b=1&&c"},
		{"excludeall", names(cdn.QueryExclude, "utm"), "/a?utm=2", "/a"},
		{"semicolon", names(cdn.QueryExclude, "utm"), "/a?b=1;utm=2", "/a?b=1;utm=2"},
		{"escaped", names(cdn.QueryExclude, "utm"), "/a?%75tm=2&b", "/a?b"},
		{"sorted", cdn.KeyRule{Query: cdn.QueryRule{Sorted: true}}, "/a?b=1&a=2&b=0&a=1", "/a?a=2&a=1&b=1&b=0"},
		{"sortedempty", cdn.KeyRule{Query: cdn.QueryRule{Sorted: true}}, "/a?", "/a?"},
		{"sortedpart", cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryInclude, Names: []string{"a", "b"}, Sorted: true}}, "/a?b&c&a", "/a?a&b"},
		{"case", cdn.KeyRule{IgnoreCase: true}, "/A%c3B?X=Y", "/a%C3b?X=Y"},
		{"lower", cdn.KeyRule{IgnoreCase: true}, "/a%c3b", "/a%C3b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := table(t, cdn.Route{CacheKey: tt.rule})
			p := tab.Request(get(t, tt.path))
			want := target(t, "http://www.shop.example"+tt.want)
			if p.Key != want.Key("shop") || p.Variant != "" {
				t.Errorf("key %q, variant %q, want %q", p.Key, p.Variant, want.Key("shop"))
			}
			if p.Origin != want {
				t.Errorf("the origin is asked for %v, the key is of %v", p.Origin, want)
			}
			if base := tab.Base(get(t, tt.path).Target); base != p.Key {
				t.Errorf("a purge looks for %q, want %q", base, p.Key)
			}
		})
	}
}

func TestSharedDomains(t *testing.T) {
	tab := table(t, cdn.Route{CacheKey: cdn.KeyRule{ShareDomains: true}})
	p := tab.Request(request(t, "GET", "https://img.shop.example/a"))
	if p.Key != "shop https://www.shop.example/a" || p.Origin.Domain != "www.shop.example" {
		t.Errorf("key %q, origin %v", p.Key, p.Origin)
	}
	alone, err := rules.Compile(&cdn.Site{Name: "alone", Routes: []cdn.Route{{CacheKey: cdn.KeyRule{ShareDomains: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	if p := alone.Request(get(t, "/a")); p.Origin.Domain != "www.shop.example" {
		t.Errorf("without domains the origin is asked for %v", p.Origin)
	}
}

// What is not stored reaches the origin as it is.
func TestOriginOfWhatIsNotStored(t *testing.T) {
	route := cdn.Route{CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}, IgnoreCase: true, ShareDomains: true, Cookies: []string{"a"}}}
	post := request(t, "POST", "http://img.shop.example/A?b", "Cookie: a=1; b=2")
	bypass := route
	bypass.Bypass = true
	get := post
	get.Method = "GET"
	for name, p := range map[string]*rules.Plan{"method": table(t, route).Request(post), "bypass": table(t, bypass).Request(get)} {
		h := post.Header.Clone()
		p.RequestHeader(h)
		if p.Origin != post.Target || h.Get("Cookie") != "a=1; b=2" {
			t.Errorf("%s: the origin is asked for %v with %v", name, p.Origin, h)
		}
		if p.Key != "shop http://www.shop.example/a" {
			t.Errorf("%s: key %q, want that of the GET", name, p.Key)
		}
	}
}

func TestVariant(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rule   cdn.KeyRule
		fields []string
		want   string
	}{
		{"none", cdn.KeyRule{}, []string{"X-A: 1"}, ""},
		{"absent", cdn.KeyRule{Headers: []string{"X-A"}}, nil, "header.X-A"},
		{"empty", cdn.KeyRule{Headers: []string{"X-A"}}, []string{"X-A: "}, "header.X-A="},
		{"header", cdn.KeyRule{Headers: []string{"X-A", "X-B"}}, []string{"X-B: 2", "X-A: 1"}, "header.X-A=1&header.X-B=2"},
		{"lines", cdn.KeyRule{Headers: []string{"X-A"}}, []string{"X-A: 1", "X-A: 2"}, "header.X-A=1=2"},
		{"forged", cdn.KeyRule{Headers: []string{"X-A"}}, []string{"X-A: 1=2&b\x00%"}, "header.X-A=1%3D2%26b%00%25"},
		{"cookie", cdn.KeyRule{Cookies: []string{"lang"}}, []string{"Cookie: a=b; lang=de; lang"}, "cookie.lang=de"},
		{"cookies", cdn.KeyRule{Cookies: []string{"lang"}}, []string{"Cookie: lang=de;lang=fr", "Cookie: lang="}, "cookie.lang=de=fr="},
		{"country", cdn.KeyRule{Country: true}, nil, "country=DE"},
		{"device", cdn.KeyRule{Device: true}, []string{"User-Agent: iPhone"}, "device=mobile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get(t, "/", tt.fields...)
			r.Country = "DE"
			p := table(t, cdn.Route{CacheKey: tt.rule}).Request(r)
			if p.Variant != tt.want || p.Key != "shop http://www.shop.example/" {
				t.Errorf("got %q and %q, want %q", p.Key, p.Variant, tt.want)
			}
		})
	}
}

// Visitors cannot make variants of any size.
func TestLongVariant(t *testing.T) {
	tab := table(t, cdn.Route{CacheKey: cdn.KeyRule{Headers: []string{"X-A"}}})
	long := strings.Repeat("a", 1000)
	first, second := tab.Request(get(t, "/", "X-A: "+long)).Variant, tab.Request(get(t, "/", "X-A: "+long+"b")).Variant
	if first == second || !strings.HasPrefix(first, "sha256:") || len(first) != len("sha256:")+64 {
		t.Errorf("got %q and %q, want two digests", first, second)
	}
	if forged := tab.Request(get(t, "/", "X-A: "+first)).Variant; forged == first {
		t.Errorf("a field makes the digest %q of another", forged)
	}
}

// Two routes can rule one URL. What they store must not be mixed up, nor depend on the place of the
// route in the file.
func TestRoutesOfOneURL(t *testing.T) {
	beta := cdn.Route{Match: cdn.Match{Header: map[string]string{"X-Beta": "1"}}, Rewrite: &cdn.Rewrite{To: "/beta"}}
	german := cdn.Route{Match: cdn.Match{Country: []string{"DE"}}, Rewrite: &cdn.Rewrite{To: "/de"}}
	rest := cdn.Route{TTL: 1}
	first, second := table(t, beta, german, rest), table(t, german, beta, rest)
	plain, inBeta, inGermany := get(t, "/a"), get(t, "/a", "X-Beta: 1"), get(t, "/a")
	inGermany.Country = "DE"
	seen := map[string]bool{}
	for _, r := range []rules.Request{plain, inBeta, inGermany} {
		p, q := first.Request(r), second.Request(r)
		if seen[p.Variant] || p.Key != "shop http://www.shop.example/a" {
			t.Errorf("key %q, variant %q is another route's already", p.Key, p.Variant)
		}
		seen[p.Variant] = true
		if p.Variant != q.Variant {
			t.Errorf("variant %q, in another order of routes %q", p.Variant, q.Variant)
		}
	}
	if !seen[""] {
		t.Error("the route that looks at the URL only has a variant")
	}
}

func TestKeys(t *testing.T) {
	none := cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}}
	only := func(names ...string) cdn.KeyRule {
		return cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryInclude, Names: names}}
	}
	gold := cdn.Match{Cookie: map[string]string{"tier": "gold"}}
	for _, tt := range []struct {
		name   string
		routes []cdn.Route
		want   []string
	}{
		{"none", nil, []string{"/a?b=1&c=2"}},
		{"one", []cdn.Route{{CacheKey: none}}, []string{"/a"}},
		{"hidden", []cdn.Route{{Match: gold, CacheKey: none}, {CacheKey: only("b")}}, []string{"/a?b=1", "/a"}},
		{"open", []cdn.Route{{Match: gold, CacheKey: none}}, []string{"/a?b=1&c=2", "/a"}},
		{"behind", []cdn.Route{{CacheKey: only("b")}, {Match: gold, CacheKey: none}}, []string{"/a?b=1"}},
		{"elsewhere", []cdn.Route{{Match: cdn.Match{PathPrefix: "/b"}, CacheKey: none}}, []string{"/a?b=1&c=2"}},
		{"method", []cdn.Route{{Match: cdn.Match{Methods: []string{"POST"}}, CacheKey: none}}, []string{"/a?b=1&c=2"}},
		{"status", []cdn.Route{{Match: cdn.Match{Status: []cdn.StatusPattern{"404"}}, CacheKey: none}}, []string{"/a?b=1&c=2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, k := range table(t, tt.routes...).Keys(target(t, "http://www.shop.example/a?b=1&c=2")) {
				got = append(got, strings.TrimPrefix(string(k), "shop http://www.shop.example"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys differ (-want +got):\n%s", diff)
			}
		})
	}
}

// keySide is one request of FuzzKey as the rule sees it, said in another way than keys do.
type keySide struct {
	plan  *rules.Plan
	said  string
	asked string // what the origin gets
}

func newKeySide(t *testing.T, tab *rules.Table, rule cdn.KeyRule, query, field, cookie string) (s keySide, ok bool) {
	t.Helper()
	target, err := cdn.NewTarget("http", "www.shop.example", "/?"+query)
	if err != nil || strings.ContainsAny(field+cookie, "\r\n\x00") {
		return s, false // no such request gets here
	}
	fields := map[string][]string{"X-A": {field}, "Cookie": {cookie}}
	s.plan = tab.Request(rules.Request{Method: "GET", Target: target, Header: fields})
	var kept []string
	for p := range strings.SplitSeq(target.Query, "&") {
		listed := slices.Contains(rule.Query.Names, strings.SplitN(p, "=", 2)[0])
		switch rule.Query.Mode {
		case cdn.QueryInclude:
			listed = !listed
		case cdn.QueryNone:
			listed = true
		case cdn.QueryAll:
			listed = false
		case cdn.QueryExclude:
		}
		if !listed {
			kept = append(kept, p)
		}
	}
	if rule.Query.Sorted {
		slices.SortStableFunc(kept, func(a, b string) int { return strings.Compare(strings.Split(a, "=")[0], strings.Split(b, "=")[0]) })
	}
	if len(kept) == 1 && kept[0] == "" && rule.Query.Mode != cdn.QueryAll {
		kept = nil
	}
	var cookies []string
	for pair := range strings.SplitSeq(cookie, ";") {
		if v, ok := strings.CutPrefix(strings.Trim(pair, " \t"), "lang="); ok {
			cookies = append(cookies, v)
		}
	}
	s.said = fmt.Sprintf("%q %q %q %v", kept, field, cookies, field == "beta")
	s.plan.RequestHeader(fields)
	s.asked = fmt.Sprintf("%v %q %q", s.plan.Origin, fields["X-A"], fields["Cookie"])
	return s, true
}

func FuzzKey(f *testing.F) {
	f.Add(uint8(0), "a=1", "x", "lang=de", "a=2", "x", "lang=de")
	f.Add(uint8(1), "a=1&b", "beta", "lang=de; x=y", "b&a=1", "beta", "lang=de")
	f.Add(uint8(2), "a=1&utm=3", "1=2", "lang=de;lang=fr", "utm&a=1", "1", "lang=de=fr")
	f.Add(uint8(3), "&&", "", "", "&", "\x00header.X-A", "lang")
	f.Add(uint8(7), "b&a&a=&%61", "", "", "a&a=&a&b", "", "")
	f.Fuzz(func(t *testing.T, mode uint8, query1, field1, cookie1, query2, field2, cookie2 string) {
		rule := cdn.KeyRule{Headers: []string{"X-A"}, Cookies: []string{"lang"}}
		rule.Query.Mode = [...]cdn.QueryMode{cdn.QueryAll, cdn.QueryNone, cdn.QueryInclude, cdn.QueryExclude}[mode%4]
		rule.Query.Names, rule.Query.Sorted = []string{"a", "utm"}, mode&4 != 0
		tab := table(t,
			cdn.Route{Match: cdn.Match{Header: map[string]string{"X-A": "beta"}}, CacheKey: rule},
			cdn.Route{CacheKey: rule})
		a, ok1 := newKeySide(t, tab, rule, query1, field1, cookie1)
		b, ok2 := newKeySide(t, tab, rule, query2, field2, cookie2)
		if !ok1 || !ok2 {
			return
		}
		same := a.plan.Key == b.plan.Key && a.plan.Variant == b.plan.Variant
		if want := a.said == b.said; same != want {
			t.Errorf("%s and %s: same key %v, want %v\n%q %q\n%q %q", a.said, b.said, same, want, a.plan.Key, a.plan.Variant, b.plan.Key, b.plan.Variant)
		}
		if same && a.asked != b.asked {
			t.Errorf("one key, but the origin is asked for %s and for %s", a.asked, b.asked)
		}
	})
}
