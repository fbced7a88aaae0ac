package httpcache_test

import (
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestLifetime: RFC 9111 section 4.2.1, in order of precedence, and 4.2.2.
func TestLifetime(t *testing.T) {
	negative := httpcache.Policy{NegativeTTL: map[int]time.Duration{404: 10 * time.Second, 405: 0, 4: time.Second}}
	tests := []struct {
		name   string
		status int
		lines  []string
		policy httpcache.Policy
		want   time.Duration
	}{
		{"nothing", 200, nil, httpcache.Policy{}, 0},
		{"maxage", 200, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, 60 * time.Second},
		{"smaxage", 200, []string{"Cache-Control: max-age=60, s-maxage=90"}, httpcache.Policy{}, 90 * time.Second},
		{"shorter", 200, []string{"Cache-Control: max-age=60, s-maxage=0"}, httpcache.Policy{}, 0},
		{"overexpires", 200, []string{"Cache-Control: max-age=60", "Expires: " + date(5)}, httpcache.Policy{}, 60 * time.Second},
		{"expires", 200, []string{"Expires: " + date(30)}, httpcache.Policy{}, 30 * time.Second},
		{"past", 200, []string{"Expires: " + date(-30)}, httpcache.Policy{}, 0},
		{"zero", 200, []string{"Expires: 0", "Last-Modified: " + date(-1000)}, httpcache.Policy{}, 0},
		{"fastclock", 200, []string{"Date: " + date(100), "Expires: " + date(130)}, httpcache.Policy{}, 30 * time.Second},
		{"malformed", 200, []string{"Cache-Control: max-age=1x", "Expires: " + date(30)}, httpcache.Policy{}, 0},
		{"heuristic", 200, []string{"Last-Modified: " + date(-1000)}, httpcache.Policy{}, 100 * time.Second},
		{"capped", 200, []string{"Last-Modified: " + date(-100*86400)}, httpcache.Policy{}, 24 * time.Hour},
		{"future", 200, []string{"Last-Modified: " + date(1000)}, httpcache.Policy{}, 0},
		{"forbidden", 403, []string{"Last-Modified: " + date(-1000)}, httpcache.Policy{}, 0},
		{"public", 599, []string{"Last-Modified: " + date(-1000), "Cache-Control: public"}, httpcache.Policy{}, 100 * time.Second},
		{"negative", 404, []string{"Last-Modified: " + date(-1000)}, negative, 10 * time.Second},
		{"negativeclass", 410, nil, negative, time.Second},
		{"negativeown", 404, []string{"Cache-Control: max-age=60"}, negative, 10 * time.Second},
		{"negativeexpires", 404, []string{"Expires: " + date(30)}, negative, 10 * time.Second},
		{"negativettl", 404, []string{"Cache-Control: max-age=60"}, httpcache.Policy{TTL: time.Hour, NegativeTTL: negative.NegativeTTL}, 10 * time.Second},
		{"negativeother", 503, nil, negative, 0},
		{"negativesuccess", 200, nil, negative, 0},
		{"negativezero", 405, []string{"Last-Modified: " + date(-1000)}, negative, 0},
		{"expirestwice", 200, []string{"Expires: " + date(30), "Expires: " + date(20), "Expires: " + date(40)}, httpcache.Policy{}, 20 * time.Second},
		{"expiresbroken", 200, []string{"Expires: " + date(30), "Expires: 0"}, httpcache.Policy{}, 0},
		{"expireslist", 200, []string{"Expires: " + date(30) + ", " + date(30)}, httpcache.Policy{}, 0},
		{"expiresfar", 200, []string{"Expires: Fri, 31 Dec 9999 23:59:59 GMT"}, httpcache.Policy{}, 1 << 31 * time.Second},
		{"expiresrfc850", 200, []string{"Expires: Sunday, 01-Mar-26 12:00:30 GMT"}, httpcache.Policy{}, 30 * time.Second},
		{"expiresasctime", 200, []string{"Expires: Sun Mar  1 12:00:30 2026"}, httpcache.Policy{}, 30 * time.Second},
		{"expireszone", 200, []string{"Expires: Sun, 01 Mar 2026 12:00:30 UTC"}, httpcache.Policy{}, 0},
		{"expiresempty", 200, []string{"Expires:", "Last-Modified: " + date(-1000)}, httpcache.Policy{}, 0},
		{"nodate", 200, []string{"Date: never", "Expires: " + date(30)}, httpcache.Policy{}, 30 * time.Second},
		{"badmodified", 200, []string{"Last-Modified: never"}, httpcache.Policy{}, 0},
		{"451", 451, []string{"Last-Modified: " + date(-1000)}, httpcache.Policy{}, 100 * time.Second},
		{"maxagetwice", 200, []string{"Cache-Control: max-age=60, max-age=5"}, httpcache.Policy{}, 5 * time.Second},
		{"policy", 200, []string{"Cache-Control: max-age=60, s-maxage=90"}, httpcache.Policy{TTL: time.Hour}, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := response(tt.status, tt.lines...).Lifetime(tt.policy); got != tt.want {
				t.Errorf("Lifetime() = %v, want %v", got, tt.want)
			}
		})
	}
}
