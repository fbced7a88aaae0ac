package httpcache_test

import (
	"net/http"
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestDecide: RFC 9111 section 4.
func TestDecide(t *testing.T) {
	const maxAge = "Cache-Control: max-age=60"
	tests := []struct {
		name    string
		request httpcache.Request
		lines   []string // of the stored response; nil for none
		now     int      // seconds after it came
		policy  httpcache.Policy
		want    httpcache.Verdict
	}{
		{"none", get(), nil, 0, httpcache.Policy{}, httpcache.Miss},
		{"fresh", get(), []string{maxAge}, 59, httpcache.Policy{}, httpcache.Fresh},
		{"head", httpcache.Request{Method: http.MethodHead, Header: header()}, []string{maxAge}, 59, httpcache.Policy{}, httpcache.Fresh},
		{"stale", get(), []string{maxAge}, 60, httpcache.Policy{}, httpcache.Revalidate},
		{"nocache", get(), []string{"Cache-Control: max-age=60, no-cache"}, 0, httpcache.Policy{}, httpcache.Revalidate},
		{"nocachefield", get(), []string{`Cache-Control: max-age=60, no-cache="a"`}, 0, httpcache.Policy{}, httpcache.Fresh},
		{"longer", get(), []string{maxAge}, 100, httpcache.Policy{TTL: time.Hour}, httpcache.Fresh},
		{"shorter", get(), []string{maxAge}, 30, httpcache.Policy{TTL: 10 * time.Second}, httpcache.Revalidate},
		{"window", get(), []string{"Cache-Control: max-age=60, stale-while-revalidate=10"}, 69, httpcache.Policy{}, httpcache.Stale},
		{"shared", get(), []string{"Cache-Control: s-maxage=60, stale-while-revalidate=10"}, 69, httpcache.Policy{}, httpcache.Stale},
		{"over", get(), []string{"Cache-Control: max-age=60, stale-while-revalidate=10"}, 70, httpcache.Policy{}, httpcache.Revalidate},
		{"must", get(), []string{"Cache-Control: max-age=60, stale-while-revalidate=10, must-revalidate"}, 65, httpcache.Policy{}, httpcache.Revalidate},
		{"bypass", get(), []string{maxAge}, 0, httpcache.Policy{Bypass: true}, httpcache.Pass},
		{"post", httpcache.Request{Method: http.MethodPost, Header: header()}, []string{maxAge}, 0, httpcache.Policy{}, httpcache.Pass},
		{"ifmatch", get(`If-Match: "a"`), []string{maxAge}, 0, httpcache.Policy{}, httpcache.Pass},
		{"ifunmodified", get("If-Unmodified-Since: " + date(0)), nil, 0, httpcache.Policy{}, httpcache.Pass},
		{"authorization", get("Authorization: x"), []string{maxAge}, 0, httpcache.Policy{}, httpcache.Pass},
		{"authpublic", get("Authorization: x"), []string{"Cache-Control: max-age=60, public"}, 0, httpcache.Policy{}, httpcache.Fresh},
		{"reload", get("Cache-Control: no-cache", "Pragma: no-cache"), []string{maxAge}, 0, httpcache.Policy{}, httpcache.Fresh},
		{"variant", get("Accept: a"), []string{maxAge, "Vary: Accept"}, 0, httpcache.Policy{}, httpcache.Miss},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stored *httpcache.Response
			if tt.lines != nil {
				stored = response(http.StatusOK, tt.lines...)
			}
			got := httpcache.Decide(after(tt.now), tt.request, stored, tt.policy)
			if got.Verdict != tt.want || got.Reason == "" {
				t.Errorf("Decide() = %v (%q), want %v", got.Verdict, got.Reason, tt.want)
			}
		})
	}
}

func TestDecideAccounts(t *testing.T) {
	got := httpcache.Decide(after(70), get(), response(200, "Cache-Control: max-age=60", "Age: 5"), httpcache.Policy{})
	if got.Age != 75*time.Second || got.TTL != -15*time.Second {
		t.Errorf("age %v and TTL %v, want 75s and -15s", got.Age, got.TTL)
	}
}

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
			if got := r.AfterError(after(tt.now), tt.policy, tt.disconnected); got != tt.want {
				t.Errorf("AfterError() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestVerdictNames(t *testing.T) {
	want := []string{"miss", "fresh", "stale", "revalidate", "pass"}
	for v, name := range want {
		if got := httpcache.Verdict(v).String(); got != name { //nolint:gosec // five of them
			t.Errorf("verdict %d is called %q, want %q", v, got, name)
		}
	}
}
