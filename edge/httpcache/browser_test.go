package httpcache_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// TestForBrowser: a visitor's lifetime apart from this cache's.
func TestForBrowser(t *testing.T) {
	hour, none, below := time.Hour, time.Duration(0), -time.Hour
	tests := []struct {
		name   string
		ttl    *time.Duration
		force  bool
		lines  []string
		answer []string // fields of the answer that the response does not have
		want   []string
	}{
		{"off", nil, true, []string{"Cache-Control: no-store"}, nil, []string{"Cache-Control: no-store"}},
		{"plain", &hour, false, nil, nil, []string{"Cache-Control: max-age=3600"}},
		{
			"replaced", &hour, false,
			[]string{"Cache-Control: max-age=60, public", "Cache-Control: s-maxage=9, immutable", "Expires: 0", "Pragma: x", "CDN-Cache-Control: max-age=5"},
			nil,
			[]string{"Cache-Control: max-age=3600, public, immutable", "CDN-Cache-Control: max-age=5"},
		},
		{"aged", &hour, false, nil, []string{"Age: 400"}, []string{"Cache-Control: max-age=4000", "Age: 400"}},
		{"none", &none, false, nil, []string{"Age: 400"}, []string{"Cache-Control: max-age=0", "Age: 400"}},
		{"negative", &below, false, nil, nil, []string{"Cache-Control: max-age=0"}},
		{"nostore", &hour, false, []string{"Cache-Control: no-store"}, nil, []string{"Cache-Control: no-store"}},
		{"private", &hour, false, []string{"Cache-Control: private, max-age=5"}, nil, []string{"Cache-Control: private, max-age=5"}},
		{"fields", &hour, false, []string{`Cache-Control: private="x"`}, nil, []string{`Cache-Control: max-age=3600, private="x"`}},
		{"forced", &hour, true, []string{"Cache-Control: no-store, private, no-cache, must-revalidate"}, nil, []string{"Cache-Control: max-age=3600, must-revalidate"}},
		{"forcedcookie", &hour, true, []string{"Cache-Control: no-store", "Set-Cookie: a=b"}, nil, []string{"Cache-Control: no-store", "Set-Cookie: a=b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := response(200, tt.lines...)
			h := r.Header.Clone()
			maps.Copy(h, header(tt.answer...))
			r.ForBrowser(h, httpcache.Policy{BrowserTTL: tt.ttl, ForceCache: tt.force})
			h.Del("Date")
			if diff := cmp.Diff(header(tt.want...), h); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
