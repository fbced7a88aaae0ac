package httpcache_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

func seconds(n int) httpcache.Delta {
	return httpcache.Delta{Present: true, Valid: true, Value: time.Duration(n) * time.Second}
}

func TestParseDirectives(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  httpcache.Directives
	}{
		{"none", nil, httpcache.Directives{}},
		{"simple", []string{"no-store"}, httpcache.Directives{NoStore: true}},
		{"case", []string{"No-StOrE, PUBLIC"}, httpcache.Directives{NoStore: true, Public: true}},
		{"lines", []string{"private", "must-revalidate"}, httpcache.Directives{Private: true, MustRevalidate: true}},
		{"numbers", []string{"max-age=1, s-maxage=2 ,stale-while-revalidate=3,\tstale-if-error=4"}, httpcache.Directives{
			MaxAge: seconds(1), SMaxAge: seconds(2), StaleWhileRevalidate: seconds(3), StaleIfError: seconds(4),
		}},
		{"first", []string{"max-age=10", "max-age=20"}, httpcache.Directives{MaxAge: seconds(10)}},
		{"quoted", []string{`max-age="10"`}, httpcache.Directives{MaxAge: seconds(10)}},
		{"hidden", []string{`ext="no-store, max-age=5", max-age=1`}, httpcache.Directives{MaxAge: seconds(1)}},
		{"escaped", []string{`ext="a\", no-store", public`}, httpcache.Directives{Public: true}},
		{"unclosed", []string{`ext="a, no-store`}, httpcache.Directives{}},
		{"fields", []string{`no-cache="set-cookie, X-A", private=x-b`}, httpcache.Directives{Withheld: []string{"Set-Cookie", "X-A", "X-B"}}},
		{"nofields", []string{`no-cache="", private=`}, httpcache.Directives{NoCache: true, Private: true}},
		{"empty", []string{" , ,, "}, httpcache.Directives{}},
		{"unknown", []string{"immutable, community=UCI"}, httpcache.Directives{}},
		{"others", []string{"proxy-revalidate, must-understand"}, httpcache.Directives{ProxyRevalidate: true, MustUnderstand: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := httpcache.ParseDirectives(http.Header{"Cache-Control": tt.lines})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseDirectives(%q) (-want +got):\n%s", tt.lines, diff)
			}
		})
	}
}

// TestParseDelta: RFC 9111 section 1.2.2. A malformed number is present but not valid: it
// makes a response stale rather than fresh for ever.
func TestParseDelta(t *testing.T) {
	invalid := httpcache.Delta{Present: true}
	tests := []struct {
		arg  string
		want httpcache.Delta
	}{
		{"0", seconds(0)},
		{"007", seconds(7)},
		{"2147483648", seconds(1 << 31)},
		{"99999999999999999999999", seconds(1 << 31)},
		{"", invalid},
		{"-1", invalid},
		{"+1", invalid},
		{"1.5", invalid},
		{"100a", invalid},
		{"'100'", invalid},
		{"0x10", invalid},
	}
	for _, tt := range tests {
		got := httpcache.ParseDirectives(http.Header{"Cache-Control": {"max-age=" + tt.arg}}).MaxAge
		if got != tt.want {
			t.Errorf("max-age=%s is %+v, want %+v", tt.arg, got, tt.want)
		}
	}
}

func FuzzParseDirectives(f *testing.F) {
	for _, seed := range []string{"max-age=1, no-store", `a="b\"c, d", no-cache="x"`, `"`, `\`, "=,=", "max-age"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := httpcache.ParseDirectives(http.Header{"Cache-Control": {line}})
		for _, delta := range []httpcache.Delta{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError} {
			if delta.Value < 0 || delta.Value > 1<<31*time.Second || !delta.Present && delta != (httpcache.Delta{}) {
				t.Errorf("%q parses to %+v", line, delta)
			}
		}
		again := httpcache.ParseDirectives(http.Header{"Cache-Control": {line, "no-store"}})
		if !again.NoStore {
			t.Errorf("%q swallows the directive on the next line", line)
		}
	})
}
