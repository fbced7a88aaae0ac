package httpcache_test

import (
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestAfterError: RFC 5861 section 4 and RFC 9111 section 4.2.4.
func TestAfterError(t *testing.T) {
	tests := []struct {
		name         string
		control      string
		now          int
		policy       httpcache.Policy
		disconnected bool
		want         bool
	}{
		{"error", "max-age=60", 61, httpcache.Policy{}, false, false},
		{"disconnected", "max-age=60", 61, httpcache.Policy{}, true, true},
		{"within", "max-age=60, stale-if-error=30", 89, httpcache.Policy{}, false, true},
		{"over", "max-age=60, stale-if-error=30", 90, httpcache.Policy{}, false, false},
		{"rule", "max-age=60", 89, httpcache.Policy{StaleIfError: 30 * time.Second}, false, true},
		{"longest", "max-age=60, stale-if-error=5", 80, httpcache.Policy{StaleIfError: 30 * time.Second}, false, true},
		{"must", "max-age=60, must-revalidate, stale-if-error=30", 61, httpcache.Policy{StaleIfError: time.Hour}, true, false},
		{"proxy", "max-age=60, proxy-revalidate", 61, httpcache.Policy{}, true, false},
		{"nocache", "max-age=60, no-cache", 1, httpcache.Policy{}, true, false},
		{"smaxage", "s-maxage=60", 61, httpcache.Policy{}, true, false},
		{"smaxagewindow", "s-maxage=60, stale-if-error=30", 61, httpcache.Policy{}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := response(200, "Cache-Control: "+tt.control)
			if got := httpcache.AfterErrorFor(after(tt.now), get(), r, tt.policy, tt.disconnected); got != tt.want {
				t.Errorf("AfterErrorFor() = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestExpired: a response that the operator has declared stale is so from that moment on, unless it was before.
func TestExpired(t *testing.T) {
	for _, tt := range []struct {
		name         string
		control      string
		expired, now int // seconds after the response
		disconnected bool
		verdict      httpcache.Verdict
		ttl          time.Duration
		standsIn     bool
	}{
		{"at once", "max-age=60", 10, 10, false, httpcache.Revalidate, 0, false},
		{"a while ago", "max-age=60", 10, 15, false, httpcache.Revalidate, -5 * time.Second, false},
		{"by a clock that is ahead", "max-age=60", 20, 15, false, httpcache.Revalidate, 0, false},
		{"stale anyway", "max-age=60", 70, 80, false, httpcache.Revalidate, -20 * time.Second, false},
		{"within a window", "max-age=60, stale-while-revalidate=6, stale-if-error=6", 10, 15, false, httpcache.Stale, -5 * time.Second, true},
		{"behind it", "max-age=60, stale-while-revalidate=6, stale-if-error=6", 10, 16, false, httpcache.Revalidate, -6 * time.Second, false},
		{"disconnected", "max-age=60", 10, 15, true, httpcache.Revalidate, -5 * time.Second, true},
		{"must not be used", "max-age=60, must-revalidate, stale-while-revalidate=6, stale-if-error=6", 10, 15, true, httpcache.Revalidate, -5 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := response(200, "Cache-Control: "+tt.control)
			p := httpcache.Policy{Expired: after(tt.expired)}
			d := httpcache.Decide(after(tt.now), get(), r, p)
			if d.Verdict != tt.verdict || d.TTL != tt.ttl {
				t.Errorf("Decide() = %v, %v to live; want %v, %v", d.Verdict, d.TTL, tt.verdict, tt.ttl)
			}
			if got := httpcache.AfterErrorFor(after(tt.now), get(), r, p, tt.disconnected); got != tt.standsIn {
				t.Errorf("AfterErrorFor() = %v, want %v", got, tt.standsIn)
			}
		})
	}
}

// TestAfterErrorFor: RFC 5861 section 4 and RFC 9111 section 5.2.1, 65 s after a response that
// was fresh for 60.
func TestAfterErrorFor(t *testing.T) {
	tests := []struct {
		name         string
		request      []string
		control      string // of the response, after max-age=60
		disconnected bool
		want         bool
	}{
		{"window", []string{"Cache-Control: stale-if-error=10"}, "", false, true},
		{"over", []string{"Cache-Control: stale-if-error=5"}, "", false, false},
		{"forbidden", []string{"Cache-Control: stale-if-error=10"}, "must-revalidate", false, false},
		{"smaxage", []string{"Cache-Control: stale-if-error=10"}, "s-maxage=60", false, false},
		{"plain", nil, "", true, true},
		{"nocache", []string{"Cache-Control: no-cache"}, "", true, false},
		{"maxage", []string{"Cache-Control: max-age=0"}, "", true, false},
		{"minfresh", []string{"Cache-Control: min-fresh=1"}, "", true, false},
		{"maxstale", []string{"Cache-Control: max-age=0, max-stale"}, "", true, true},
		{"asked", []string{"Cache-Control: max-age=0, stale-if-error=10"}, "", false, true},
		{"origin", []string{"Cache-Control: max-age=0"}, "stale-if-error=10", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := response(200, "Cache-Control: max-age=60, "+tt.control)
			got := httpcache.AfterErrorFor(after(65), get(tt.request...), r, httpcache.Policy{ObeyRequest: true}, tt.disconnected)
			if got != tt.want {
				t.Errorf("AfterErrorFor() = %v, want %v", got, tt.want)
			}
		})
	}
	nocache := response(200, "Cache-Control: no-cache")
	force := httpcache.Policy{ForceCache: true, TTL: time.Minute}
	if !httpcache.AfterErrorFor(after(59), get(), nocache, force, false) || httpcache.AfterErrorFor(after(59), get("Authorization: x"), nocache, force, false) {
		t.Error("a forced no-cache stands in for everybody but those with Authorization")
	}
}
