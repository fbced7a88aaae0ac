package httpcache_test

import (
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestAssess: RFC 9111 section 3, and 3.5 for Authorization.
func TestAssess(t *testing.T) {
	guard := httpcache.Policy{GuardCookies: true}
	tests := []struct {
		name         string
		request      httpcache.Request
		status       int
		lines        []string
		policy       httpcache.Policy
		store, share bool
	}{
		{"fresh", get(), 200, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, true, true},
		{"bare", get(), 200, nil, httpcache.Policy{}, false, false},
		{"ttl", get(), 200, nil, httpcache.Policy{TTL: time.Minute}, true, true},
		{"nostore", get(), 200, []string{"Cache-Control: max-age=60, no-store"}, httpcache.Policy{TTL: time.Minute}, false, false},
		{"private", get(), 200, []string{"Cache-Control: private, max-age=60"}, httpcache.Policy{TTL: time.Minute}, false, false},
		{"privatefield", get(), 200, []string{`Cache-Control: private="x", max-age=60`}, httpcache.Policy{}, true, true},
		{"nocache", get(), 200, []string{"Cache-Control: no-cache, max-age=60", `ETag: "a"`}, httpcache.Policy{TTL: time.Minute}, true, false},
		{"useless", get(), 200, []string{"Cache-Control: no-cache"}, httpcache.Policy{}, false, false},
		{"stale", get(), 200, []string{"Cache-Control: max-age=0", `ETag: "a"`}, httpcache.Policy{}, true, false},
		{"aged", get(), 200, []string{"Cache-Control: max-age=60", "Age: 60"}, httpcache.Policy{}, false, false},
		{"window", get(), 200, []string{"Cache-Control: max-age=0, stale-if-error=60"}, httpcache.Policy{}, true, false},
		{"varyall", get(), 200, []string{"Cache-Control: max-age=60", "Vary: Accept, *"}, httpcache.Policy{}, false, false},
		{"partial", get(), 206, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, false, false},
		{"error", get(), 500, nil, httpcache.Policy{TTL: time.Minute}, false, false},
		{"errorfresh", get(), 500, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, true, true},
		{"notfound", get(), 404, nil, httpcache.Policy{TTL: time.Minute}, true, true},
		{"redirect", get(), 302, nil, httpcache.Policy{TTL: time.Minute}, false, false},
		{"understood", get(), 200, []string{"Cache-Control: no-store, must-understand, max-age=60"}, httpcache.Policy{}, true, true},
		{"unknown", get(), 299, []string{"Cache-Control: must-understand, max-age=60"}, httpcache.Policy{}, false, false},
		{"cookie", get(), 200, []string{"Cache-Control: max-age=60", "Set-Cookie: a=b"}, httpcache.Policy{}, true, true},
		{"guarded", get(), 200, []string{"Cache-Control: max-age=60", "Set-Cookie: a=b"}, guard, false, false},
		{"guardpublic", get(), 200, []string{"Cache-Control: max-age=60, public", "Set-Cookie: a=b"}, guard, true, true},
		{"guardsmaxage", get(), 200, []string{"Cache-Control: s-maxage=60", "Set-Cookie: a=b"}, guard, true, true},
		{"authorization", get("Authorization: x"), 200, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, false, false},
		{"authpublic", get("Authorization: x"), 200, []string{"Cache-Control: max-age=60, public"}, httpcache.Policy{}, true, true},
		{"authrevalidate", get("Authorization: x"), 200, []string{"Cache-Control: max-age=60, must-revalidate"}, httpcache.Policy{}, true, true},
		{"authsmaxage", get("Authorization: x"), 200, []string{"Cache-Control: s-maxage=60"}, httpcache.Policy{}, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := httpcache.Assess(epoch, tt.request, response(tt.status, tt.lines...), tt.policy)
			if got.Store != tt.store || got.Share != tt.share {
				t.Errorf("Assess() = %+v, want store %v, share %v", got, tt.store, tt.share)
			}
			if (got.Reason == "") != got.Share {
				t.Errorf("Assess() = %+v: a reason belongs to what is not shared, and only there", got)
			}
			if got.Personal != (tt.name == "authorization") {
				t.Errorf("Assess() = %+v: wrong about whose fault it is", got)
			}
		})
	}
}
