package httpcache_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// requestTests: RFC 9111 section 5.2.1, RFC 5861 section 4.
var requestTests = []struct {
	name  string
	lines []string
	want  httpcache.RequestDirectives
}{
	{"none", nil, httpcache.RequestDirectives{}},
	{"flags", []string{"Cache-Control: No-Cache, no-store, no-transform", "Cache-Control: only-if-cached"}, httpcache.RequestDirectives{
		NoCache: true, NoStore: true, NoTransform: true, OnlyIfCached: true,
	}},
	{"numbers", []string{`Cache-Control: max-age=1, min-fresh=2, max-stale=3, stale-if-error="4"`}, httpcache.RequestDirectives{
		MaxAge: seconds(1), MinFresh: seconds(2), MaxStale: seconds(3), StaleIfError: seconds(4),
	}},
	{"maxstale", []string{"Cache-Control: max-stale"}, httpcache.RequestDirectives{MaxStale: seconds(1 << 31)}},
	{"smallest", []string{"Cache-Control: max-age=5, max-age=3, max-age=x"}, httpcache.RequestDirectives{MaxAge: seconds(3)}},
	{"malformed", []string{"Cache-Control: max-age=x, min-fresh=, max-stale=-1, stale-if-error"}, httpcache.RequestDirectives{}},
	{"immutable", []string{"Cache-Control: immutable"}, httpcache.RequestDirectives{}},
	{"pragma", []string{"Pragma: foo, No-Cache"}, httpcache.RequestDirectives{NoCache: true}},
	{"otherpragma", []string{"Pragma: foo"}, httpcache.RequestDirectives{}},
	{"both", []string{"Pragma: no-cache", "Cache-Control: max-age=5"}, httpcache.RequestDirectives{MaxAge: seconds(5)}},
}

func TestParseRequestDirectives(t *testing.T) {
	for _, tt := range requestTests {
		t.Run(tt.name, func(t *testing.T) {
			got := httpcache.ParseRequestDirectives(header(tt.lines...))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseRequestDirectives(f *testing.F) {
	for _, tt := range requestTests {
		for _, line := range tt.lines {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := httpcache.ParseRequestDirectives(header("Cache-Control: " + line))
		for _, delta := range []httpcache.Delta{d.MaxAge, d.MinFresh, d.MaxStale, d.StaleIfError} {
			if delta.Present != delta.Valid || delta.Value < 0 {
				t.Errorf("%q parses to %+v", line, delta)
			}
		}
	})
}
