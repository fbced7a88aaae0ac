package cdn_test

import (
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
)

func TestStatusPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		matches []int
		misses  []int
	}{
		{"404", []int{404}, []int{400, 403, 405, 500}},
		{"5xx", []int{500, 503, 599}, []int{499, 404, 200}},
		{"200", []int{200}, []int{201}},
	} {
		p, err := cdn.ParseStatusPattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range tt.matches {
			if !p.Matches(status) {
				t.Errorf("%s does not match %d", p, status)
			}
		}
		for _, status := range tt.misses {
			if p.Matches(status) {
				t.Errorf("%s matches %d", p, status)
			}
		}
	}
	for _, bad := range []string{"", "4", "1xx", "600", "4x4", "5XX", "40x", "-04", "4040"} {
		if _, err := cdn.ParseStatusPattern(bad); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%q: got %v, want invalid", bad, err)
		}
	}
}

func TestLifetime(t *testing.T) {
	r := cdn.Route{
		TTL:         cdn.Duration(time.Hour),
		NegativeTTL: map[cdn.StatusPattern]cdn.Duration{"404": 7, "4xx": 8, "503": 0},
	}
	for _, tt := range []struct {
		name   string
		status int
		want   cdn.Duration
		ok     bool
	}{
		{"code", 404, 7, true},
		{"class", 410, 8, true},
		{"zero", 503, 0, true},
		{"unnamed", 500, cdn.Duration(time.Hour), true},
		{"success", 200, cdn.Duration(time.Hour), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d, ok := r.Lifetime(tt.status); d != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v, want %v, %v", d, ok, tt.want, tt.ok)
			}
		})
	}
	var none cdn.Route
	if d, ok := none.Lifetime(404); ok {
		t.Errorf("the zero route says %v", d)
	}
}

// A reader that knows prefix and ending only must not apply a route with more conditions.
func TestRouteForPassesOver(t *testing.T) {
	site := cdn.Site{Routes: []cdn.Route{
		{Match: cdn.Match{PathGlob: "/**"}},
		{Match: cdn.Match{PathRegexp: "."}},
		{Match: cdn.Match{Methods: []string{"GET"}}},
		{Match: cdn.Match{Status: []cdn.StatusPattern{"200"}}},
		{Match: cdn.Match{Header: map[string]string{"A": "*"}}},
		{Match: cdn.Match{Cookie: map[string]string{"a": "*"}}},
		{Match: cdn.Match{Query: map[string]string{"a": "*"}}},
		{Match: cdn.Match{Country: []string{"DE"}}},
		{TTL: 1},
	}}
	if _, i := site.RouteFor("/a"); i != 8 {
		t.Errorf("got routes[%d], want routes[8]", i)
	}
}

func TestTemplate(t *testing.T) {
	group := func(n int) string { return strings.Repeat("g", n+1) }
	for _, tt := range []struct {
		name, text, want, literal string
		groups                    int
	}{
		{"plain", "/a", "/a", "/a", -1},
		{"groups", "/$1/$0x", "/gg/gx", "/", 1},
		{"dollar", "/$$1", "/$1", "/$1", -1},
		{"digits", "/$10", "/gg0", "/", 1},
		{"empty", "", "", "", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := cdn.ParseTemplate(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := tmpl.Expand(group); got != tt.want || tmpl.Literal() != tt.literal || tmpl.Groups() != tt.groups {
				t.Errorf("got %q, literal %q, groups %d; want %q, %q, %d", got, tmpl.Literal(), tmpl.Groups(), tt.want, tt.literal, tt.groups)
			}
		})
	}
	for _, bad := range []string{"$", "/$x", "/${1}"} {
		if _, err := cdn.ParseTemplate(bad); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%q: got %v, want invalid", bad, err)
		}
	}
	if zero := (cdn.Template{}); zero.Literal() != "" || zero.Expand(group) != "" {
		t.Error("the zero template is not the empty text")
	}
}

func TestCompileRegexp(t *testing.T) {
	if re, err := cdn.CompileRegexp(`^/v[0-9]+/`); err != nil || !re.MatchString("/v12/x") {
		t.Errorf("got %v, %v", re, err)
	}
	for _, bad := range []string{"", "(", `a\1`, "(?=a)", strings.Repeat("a", 513), "(a{500}){2}b{100}"} {
		if _, err := cdn.CompileRegexp(bad); cdn.KindOf(err) != cdn.Invalid || cdn.RegexpCost(bad) != 0 {
			t.Errorf("%.20q: got %v, want invalid", bad, err)
		}
	}
	if n := cdn.RegexpCost("abc"); n < 3 || n > 10 {
		t.Errorf("abc costs %d", n)
	}
}

func TestCompress(t *testing.T) {
	var all cdn.Compress
	if got := strings.Join(all.CodingList(), " "); got != "br zstd gzip" || all.Threshold() != 1<<10 {
		t.Errorf("the defaults are %q from %v", got, all.Threshold())
	}
	some := cdn.Compress{Codings: []string{"gzip"}, MinSize: 5}
	if len(some.CodingList()) != 1 || some.Threshold() != 5 {
		t.Error("what is set does not count")
	}
	if (&cdn.Redirect{}).Code() != 302 || (&cdn.Redirect{Status: 308}).Code() != 308 {
		t.Error("a redirect's default status is not 302")
	}
}
