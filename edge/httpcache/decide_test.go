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
			if got.Verdict != tt.want || got.Reason == "" || (got.Section == "") != (got.Reason == "bypass") {
				t.Errorf("Decide() = %v (%q, %q), want %v", got.Verdict, got.Reason, got.Section, tt.want)
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

func TestVerdictNames(t *testing.T) {
	want := []string{"miss", "fresh", "stale", "revalidate", "pass", "absent"}
	for v, name := range want {
		if got := httpcache.Verdict(v).String(); got != name { //nolint:gosec // six of them
			t.Errorf("verdict %d is called %q, want %q", v, got, name)
		}
	}
}

// TestDecideObeys: RFC 9111 section 5.2.1, RFC 8246. The response is fresh for 60 s.
func TestDecideObeys(t *testing.T) {
	tests := []struct {
		name    string
		request string // its Cache-Control
		control string // of the response, after max-age=60
		now     int
		want    httpcache.Verdict
		reason  string
	}{
		{"plain", "foo", "", 59, httpcache.Fresh, "fresh"},
		{"nocache", "no-cache", "", 1, httpcache.Revalidate, "request no-cache"},
		{"nostore", "no-store", "", 1, httpcache.Fresh, "fresh"},
		{"younger", "max-age=10", "", 10, httpcache.Fresh, "fresh"},
		{"older", "max-age=10", "", 11, httpcache.Revalidate, "request max-age"},
		{"reload", "max-age=0", "", 1, httpcache.Revalidate, "request max-age"},
		{"malformed", "max-age=x", "", 11, httpcache.Fresh, "fresh"},
		{"immutable", "max-age=0", "immutable", 1, httpcache.Fresh, "fresh"},
		{"immutableforced", "no-cache", "immutable", 1, httpcache.Revalidate, "request no-cache"},
		{"immutablestale", "max-age=0", "immutable", 61, httpcache.Revalidate, "stale"},
		{"minfresh", "min-fresh=10", "", 50, httpcache.Fresh, "fresh"},
		{"notfresh", "min-fresh=10", "", 51, httpcache.Revalidate, "request min-fresh"},
		{"maxstale", "max-stale=10", "", 70, httpcache.Stale, "request max-stale"},
		{"toostale", "max-stale=10", "", 71, httpcache.Revalidate, "stale"},
		{"anystale", "max-stale", "", 6000, httpcache.Stale, "request max-stale"},
		{"mustrevalidate", "max-stale", "must-revalidate", 61, httpcache.Revalidate, "must-revalidate"},
		{"proxyrevalidate", "max-stale", "proxy-revalidate", 61, httpcache.Revalidate, "must-revalidate"},
		{"smaxage", "max-stale", "s-maxage=60", 61, httpcache.Revalidate, "stale"},
		{"both", "max-age=80, max-stale=30", "", 75, httpcache.Stale, "request max-stale"},
		{"bothold", "max-age=70, max-stale=30", "", 75, httpcache.Revalidate, "stale"},
		{"window", "foo", "stale-while-revalidate=30", 61, httpcache.Stale, "stale-while-revalidate"},
		{"windowunwanted", "max-age=100", "stale-while-revalidate=30", 61, httpcache.Revalidate, "stale"},
		{"windowfresh", "min-fresh=1", "stale-while-revalidate=30", 61, httpcache.Revalidate, "stale"},
		{"cached", "only-if-cached", "", 59, httpcache.Fresh, "fresh"},
		{"cachedstale", "only-if-cached", "", 61, httpcache.Absent, "request only-if-cached"},
		{"cachedmaxstale", "only-if-cached, max-stale", "", 61, httpcache.Stale, "request max-stale"},
		{"cachednocache", "only-if-cached, no-cache", "", 1, httpcache.Absent, "request only-if-cached"},
		{"responsenocache", "max-stale", "no-cache", 1, httpcache.Revalidate, "no-cache"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stored := response(200, "Cache-Control: max-age=60, "+tt.control)
			request := get("Cache-Control: " + tt.request)
			got := httpcache.Decide(after(tt.now), request, stored, httpcache.Policy{ObeyRequest: true})
			if got.Verdict != tt.want || got.Reason != tt.reason || got.Section == "" {
				t.Errorf("Decide() = %+v, want %v because of %q", got, tt.want, tt.reason)
			}
		})
	}
	obey := httpcache.Policy{ObeyRequest: true}
	fresh := response(200, "Cache-Control: max-age=60")
	if got := httpcache.Decide(epoch, get("Pragma: no-cache"), fresh, obey).Verdict; got != httpcache.Revalidate {
		t.Errorf("Pragma: no-cache: %v", got)
	}
	for name, d := range map[string]httpcache.Decision{
		"nothing":       httpcache.Decide(epoch, get("Cache-Control: only-if-cached"), nil, obey),
		"authorization": httpcache.Decide(epoch, get("Cache-Control: only-if-cached", "Authorization: x"), fresh, obey),
	} {
		if d.Verdict != httpcache.Absent {
			t.Errorf("only-if-cached with %s stored: %v", name, d.Verdict)
		}
	}
}

// TestDecidePolicy: an operator's windows and force.
func TestDecidePolicy(t *testing.T) {
	force := httpcache.Policy{ForceCache: true, TTL: time.Minute}
	window := httpcache.Policy{StaleWhileRevalidate: 10 * time.Second}
	tests := []struct {
		name    string
		request httpcache.Request
		lines   []string
		now     int
		policy  httpcache.Policy
		want    httpcache.Verdict
	}{
		{"window", get(), []string{"Cache-Control: max-age=60"}, 69, window, httpcache.Stale},
		{"over", get(), []string{"Cache-Control: max-age=60"}, 70, window, httpcache.Revalidate},
		{"longest", get(), []string{"Cache-Control: max-age=60, stale-while-revalidate=20"}, 75, window, httpcache.Stale},
		{"beside", get(), []string{"Cache-Control: s-maxage=60"}, 65, window, httpcache.Stale},
		{"must", get(), []string{"Cache-Control: max-age=60, must-revalidate"}, 65, window, httpcache.Revalidate},
		{"forced", get(), []string{"Cache-Control: no-cache"}, 59, force, httpcache.Fresh},
		{"forcedstale", get(), []string{"Cache-Control: no-cache"}, 60, force, httpcache.Revalidate},
		{"forcedcookie", get(), []string{"Cache-Control: no-cache, public", "Set-Cookie: a=b"}, 1, force, httpcache.Revalidate},
		{"forcedauthorization", get("Authorization: x"), []string{"Cache-Control: no-cache, public"}, 1, force, httpcache.Revalidate},
		{"forcedprivate", get("Authorization: x"), []string{"Cache-Control: private, public"}, 1, force, httpcache.Pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := httpcache.Decide(after(tt.now), tt.request, response(200, tt.lines...), tt.policy)
			if got.Verdict != tt.want {
				t.Errorf("Decide() = %+v, want %v", got, tt.want)
			}
		})
	}
}

// BenchmarkDecide is the decision about a hit, the way nearly all requests go.
func BenchmarkDecide(b *testing.B) {
	request := get("Accept-Encoding: gzip, deflate, br, zstd", "User-Agent: x", "Accept: */*")
	h := header("Cache-Control: public, max-age=600", "Vary: Accept-Encoding", "Date: "+date(0), "Last-Modified: "+date(-900))
	stored := httpcache.NewResponse(request, 200, h, epoch, epoch)
	now := after(60)
	b.ReportAllocs()
	for b.Loop() {
		if httpcache.Decide(now, request, stored, httpcache.Policy{}).Verdict != httpcache.Fresh {
			b.Fatal("not fresh")
		}
	}
}
