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
		{"smallestfirst", []string{"max-age=10", "max-age=20"}, httpcache.Directives{MaxAge: seconds(10)}},
		{"smallestlast", []string{"max-age=20, max-age=10, max-age=30"}, httpcache.Directives{MaxAge: seconds(10)}},
		{"onemalformed", []string{"max-age=20, max-age=x, max-age=30"}, httpcache.Directives{MaxAge: httpcache.Delta{Present: true}}},
		{"quoted", []string{`max-age="10"`}, httpcache.Directives{MaxAge: seconds(10)}},
		{"hidden", []string{`ext="no-store, max-age=5", max-age=1`}, httpcache.Directives{MaxAge: seconds(1)}},
		{"escaped", []string{`ext="a\", no-store", public`}, httpcache.Directives{Public: true}},
		{"unclosed", []string{`ext="a, no-store`}, httpcache.Directives{}},
		{"fields", []string{`no-cache="set-cookie, X-A", private=x-b`}, httpcache.Directives{Withheld: []string{"Set-Cookie", "X-A", "X-B"}}},
		{"nofields", []string{`no-cache="", private=`}, httpcache.Directives{NoCache: true, Private: true}},
		{"empty", []string{" , ,, "}, httpcache.Directives{}},
		{"unknown", []string{"community=UCI, no-stores, nostore"}, httpcache.Directives{}},
		{"others", []string{"proxy-revalidate, must-understand, no-transform"}, httpcache.Directives{
			ProxyRevalidate: true, MustUnderstand: true, NoTransform: true,
		}},
		{"immutable", []string{"immutable, immutable=1"}, httpcache.Directives{Immutable: true}},
		{"conflict", []string{"no-store, max-age=60"}, httpcache.Directives{NoStore: true, MaxAge: seconds(60)}},
		{"restrictions", []string{"no-store=1, must-revalidate=x, proxy-revalidate=y"}, httpcache.Directives{
			NoStore: true, MustRevalidate: true, ProxyRevalidate: true,
		}},
		{"permissions", []string{"public=1, must-understand=1"}, httpcache.Directives{}},
		{"again", []string{"public=1, public"}, httpcache.Directives{Public: true}},
		{"nonames", []string{`private="a b"`}, httpcache.Directives{Private: true}},
		{"spacebefore", []string{`no-cache ="a", no-store =1`}, httpcache.Directives{NoStore: true, Withheld: []string{"A"}}},
		{"swrsmallest", []string{"stale-while-revalidate=9, stale-while-revalidate=4"}, httpcache.Directives{StaleWhileRevalidate: seconds(4)}},
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
		{`"5"`, seconds(5)},
		{`"\5"`, seconds(5)},
		{`"5`, invalid},
		{`5"`, invalid},
		{`"5"6"`, invalid},
		{" 5", invalid},
		{"5 6", invalid},
		{"5;x", invalid},
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
	for _, line := range []string{"max-age =5", "max-age= 5", "max-age = 5", "max-age\t=5", "max-age"} {
		if got := httpcache.ParseDirectives(http.Header{"Cache-Control": {line}}).MaxAge; got != invalid {
			t.Errorf("%q is %+v, want %+v", line, got, invalid)
		}
	}
}

func FuzzParseDirectives(f *testing.F) {
	for _, seed := range []string{"max-age=1, no-store", `a="b\"c, d", no-cache="x"`, `"`, `\`, "=,=", "max-age"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := httpcache.ParseDirectives(http.Header{"Cache-Control": {line}})
		checkDeltas(t, line, d)
		again := httpcache.ParseDirectives(http.Header{"Cache-Control": {line, "no-store"}})
		if !again.NoStore {
			t.Errorf("%q swallows the directive on the next line", line)
		}
	})
}

// checkDeltas: a number is within RFC 9111 section 1.2.2, or it is none at all.
func checkDeltas(t *testing.T, line string, d httpcache.Directives) {
	t.Helper()
	for _, delta := range []httpcache.Delta{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError} {
		switch {
		case delta.Value < 0, delta.Value > 1<<31*time.Second, !delta.Valid && delta.Value != 0, delta.Valid && !delta.Present:
			t.Errorf("%q parses to %+v", line, delta)
		}
	}
}
