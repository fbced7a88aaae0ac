package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

var invalidNumber = httpcache.Delta{Present: true}

// targetedTests: RFC 9213 sections 2.1 and 2.2. A field that is ignored leaves the no-store of
// Cache-Control in force.
var targetedTests = []struct {
	name     string
	lines    []string
	targeted bool
	want     httpcache.Directives
}{
	{"plain", []string{"max-age=60"}, true, httpcache.Directives{MaxAge: seconds(60)}},
	{"lines", []string{"max-age=60", "must-revalidate"}, true, httpcache.Directives{MaxAge: seconds(60), MustRevalidate: true}},
	{"none", []string{"none"}, true, httpcache.Directives{}},
	{"parameters", []string{"max-age=60;x=1;y, no-store;z"}, true, httpcache.Directives{MaxAge: seconds(60), NoStore: true}},
	{"last", []string{"max-age=60, max-age=5"}, true, httpcache.Directives{MaxAge: seconds(5)}},
	{"all", []string{"s-maxage=1, stale-while-revalidate=2, stale-if-error=3, no-store, no-cache, no-transform, private, public, " +
		"proxy-revalidate, must-understand, immutable"}, true, httpcache.Directives{
		SMaxAge: seconds(1), StaleWhileRevalidate: seconds(2), StaleIfError: seconds(3), NoStore: true, NoCache: true, NoTransform: true,
		Private: true, Public: true, ProxyRevalidate: true, MustUnderstand: true, Immutable: true,
	}},
	{"fields", []string{`no-cache="a, b", private="c"`}, true, httpcache.Directives{Withheld: []string{"A", "B", "C"}}},
	{"explicit", []string{"no-store=?1, private=?0"}, true, httpcache.Directives{NoStore: true}},
	{"largest", []string{"max-age=999999999999999"}, true, httpcache.Directives{MaxAge: seconds(1 << 31)}},
	{"decimal", []string{"max-age=60.0"}, true, httpcache.Directives{MaxAge: invalidNumber}},
	{"negative", []string{"max-age=-1"}, true, httpcache.Directives{MaxAge: invalidNumber}},
	{"string", []string{`max-age="60"`}, true, httpcache.Directives{MaxAge: invalidNumber}},
	{"token", []string{"max-age=a60"}, true, httpcache.Directives{MaxAge: invalidNumber}},
	{"boolean", []string{"max-age"}, true, httpcache.Directives{MaxAge: invalidNumber}},
	{"list", []string{"max-age=(60)"}, true, httpcache.Directives{MaxAge: invalidNumber}},
	{"number", []string{"no-store=1"}, true, httpcache.Directives{}},
	{"tokenfield", []string{"private=set-cookie"}, true, httpcache.Directives{}},
	{"stringflag", []string{`no-store="x"`}, true, httpcache.Directives{}},

	{"empty", []string{""}, false, httpcache.Directives{NoStore: true}},
	{"blank", []string{"  "}, false, httpcache.Directives{NoStore: true}},
	{"case", []string{"Max-Age=60"}, false, httpcache.Directives{NoStore: true}},
	{"garbage", []string{"max-age=60, &&&"}, false, httpcache.Directives{NoStore: true}},
	{"trailing", []string{"max-age=60,"}, false, httpcache.Directives{NoStore: true}},
	{"semicolon", []string{"max-age=60; private no-store"}, false, httpcache.Directives{NoStore: true}},
	{"spaces", []string{"max-age = 60"}, false, httpcache.Directives{NoStore: true}},
	{"quote", []string{`max-age=60, x="`}, false, httpcache.Directives{NoStore: true}},
	{"overflow", []string{"max-age=9999999999999999"}, false, httpcache.Directives{NoStore: true}},
	{"suffix", []string{"max-age=60a"}, false, httpcache.Directives{NoStore: true}},
	{"absent", nil, false, httpcache.Directives{NoStore: true}},
}

func TestEffectiveDirectives(t *testing.T) {
	for _, tt := range targetedTests {
		t.Run(tt.name, func(t *testing.T) {
			h := header("Cache-Control: no-store")
			for _, line := range tt.lines {
				h.Add("CDN-Cache-Control", line)
			}
			got, targeted := httpcache.EffectiveDirectives(h)
			if diff := cmp.Diff(tt.want, got); diff != "" || targeted != tt.targeted {
				t.Errorf("targeted %v, want %v, (-want +got):\n%s", targeted, tt.targeted, diff)
			}
		})
	}
}

// TestTargetedReplaces: RFC 9213 section 2.2: Cache-Control and Expires do not count beside it,
// and it is passed on (section 3).
func TestTargetedReplaces(t *testing.T) {
	tests := []struct {
		name     string
		lines    []string
		lifetime time.Duration
		store    bool
	}{
		{"longer", []string{"Cache-Control: max-age=1, s-maxage=2"}, 60 * time.Second, true},
		{"nostore", []string{"Cache-Control: no-store, private, no-cache"}, 60 * time.Second, true},
		{"expires", []string{"Expires: " + date(5)}, 60 * time.Second, true},
		{"withheld", []string{`Cache-Control: private="x"`, "X: 1"}, 60 * time.Second, true},
		{"pragma", []string{"Pragma: no-cache"}, 60 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := response(200, append(tt.lines, "CDN-Cache-Control: max-age=60")...)
			if got := r.Lifetime(httpcache.Policy{}); got != tt.lifetime {
				t.Errorf("lifetime %v, want %v", got, tt.lifetime)
			}
			if got := httpcache.Assess(epoch, get(), r, httpcache.Policy{}); got.Store != tt.store {
				t.Errorf("Assess() = %+v, want store %v", got, tt.store)
			}
			for _, line := range tt.lines {
				name, _, _ := strings.Cut(line, ":")
				if r.Header.Get(name) == "" {
					t.Errorf("%s is not passed on", name)
				}
			}
			if r.Header.Get("CDN-Cache-Control") == "" {
				t.Error("CDN-Cache-Control is not passed on")
			}
		})
	}
	wrong := response(200, `CDN-Cache-Control: max-age="60"`, "Cache-Control: max-age=60", "Last-Modified: "+date(-1000))
	if got := wrong.Lifetime(httpcache.Policy{}); got != 0 {
		t.Errorf("invalid freshness information gives %v", got)
	}
	guess := response(200, "CDN-Cache-Control: none", "Expires: "+date(5), "Last-Modified: "+date(-1000))
	if got := guess.Lifetime(httpcache.Policy{}); got != 100*time.Second {
		t.Errorf("without a lifetime of its own a targeted field gives %v, want the heuristic 100s", got)
	}
	if got := guess.Directives(); got.Withheld != nil || got.MaxAge.Present {
		t.Errorf("Directives() = %+v", got)
	}
}

func FuzzEffectiveDirectives(f *testing.F) {
	for _, tt := range targetedTests {
		f.Add(strings.Join(tt.lines, ", "))
	}
	f.Fuzz(func(t *testing.T, line string) {
		d, targeted := httpcache.EffectiveDirectives(http.Header{"Cdn-Cache-Control": {line}, "Cache-Control": {"no-store"}})
		if !targeted && !d.NoStore {
			t.Errorf("%q is ignored, and yet not", line)
		}
		checkDeltas(t, line, d)
	})
}
