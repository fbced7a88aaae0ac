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

const target = "http://shop.example/form"

func post(lines ...string) httpcache.Request {
	return httpcache.Request{Method: "POST", Header: header(lines...), Target: target}
}

// TestAssessPost: RFC 9110 section 9.3.3.
func TestAssessPost(t *testing.T) {
	const fresh, same = "Cache-Control: max-age=60", "Content-Location: /form"
	tests := []struct {
		name   string
		status int
		lines  []string
		want   bool
	}{
		{"relative", 200, []string{fresh, same}, true},
		{"absolute", 200, []string{fresh, "Content-Location: http://SHOP.example:80/form#x"}, true},
		{"expires", 200, []string{"Expires: " + date(60), same}, true},
		{"targeted", 200, []string{"CDN-Cache-Control: max-age=60", same}, true},
		{"nolifetime", 200, []string{same, "Last-Modified: " + date(-1000)}, false},
		{"public", 200, []string{same, "Cache-Control: public", "Last-Modified: " + date(-1000)}, false},
		{"nolocation", 200, []string{fresh}, false},
		{"elsewhere", 200, []string{fresh, "Content-Location: /other"}, false},
		{"otherhost", 200, []string{fresh, "Content-Location: http://other.example/form"}, false},
		{"twice", 200, []string{fresh, same, same}, false},
		{"empty", 200, []string{fresh, "Content-Location:"}, false},
		{"malformed", 200, []string{fresh, "Content-Location: http://%zz/"}, false},
		{"created", 201, []string{fresh, same}, false},
		{"nostore", 200, []string{"Cache-Control: max-age=60, no-store", same}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := response(tt.status, tt.lines...)
			if got := httpcache.Assess(epoch, post(), r, httpcache.Policy{}); got.Store != tt.want {
				t.Errorf("Assess() = %+v, want store %v", got, tt.want)
			}
			if tt.want && httpcache.Decide(epoch, get(), r, httpcache.Policy{}).Verdict != httpcache.Fresh {
				t.Error("the stored answer is not used for a GET")
			}
		})
	}
	r := response(200, fresh, same)
	for _, uri := range []string{"", "/form", "http://%zz/"} {
		if got := httpcache.Assess(epoch, httpcache.Request{Method: "POST", Target: uri}, r, httpcache.Policy{}); got.Store || !got.Personal {
			t.Errorf("with target %q: %+v", uri, got)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "OPTIONS", "get", "M-SEARCH", ""} {
		if got := httpcache.Assess(epoch, httpcache.Request{Method: method, Target: target}, r, httpcache.Policy{}); got.Store || !got.Personal {
			t.Errorf("%s: %+v", method, got)
		}
	}
}

// TestAssessStatus: RFC 9111 section 3, RFC 9110 section 15.1, RFC 6585, RFC 7725.
func TestAssessStatus(t *testing.T) {
	heuristic := map[int]bool{200: true, 203: true, 204: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 451: true, 501: true}
	never := map[int]bool{206: true, 304: true, 416: true, 428: true, 429: true, 431: true, 511: true}
	for status := 100; status < 600; status++ {
		explicit := httpcache.Assess(epoch, get(), response(status, "Cache-Control: max-age=60"), httpcache.Policy{})
		if want := status >= 200 && !never[status]; explicit.Share != want {
			t.Errorf("a fresh %d: %+v, want %v", status, explicit, want)
		}
		guess := httpcache.Assess(epoch, get(), response(status, "Last-Modified: "+date(-1000)), httpcache.Policy{})
		if guess.Share != heuristic[status] {
			t.Errorf("a %d that may be fresh: %+v, want %v", status, guess, heuristic[status])
		}
		if !explicit.Store && explicit.Section == "" {
			t.Errorf("a fresh %d is refused without a rule", status)
		}
	}
	for status, want := range map[int]bool{200: true, 206: false, 299: false, 304: false, 404: true, 418: false, 599: false} {
		r := response(status, "Cache-Control: max-age=60, must-understand, no-store")
		if got := httpcache.Assess(epoch, get(), r, httpcache.Policy{}); got.Store != want {
			t.Errorf("must-understand on %d: %+v, want store %v", status, got, want)
		}
	}
}

// TestAssessPolicy: what an operator may add, and what not.
func TestAssessPolicy(t *testing.T) {
	force := httpcache.Policy{ForceCache: true, TTL: time.Minute, GuardCookies: true}
	negative := httpcache.Policy{NegativeTTL: map[int]time.Duration{404: 10 * time.Second, 5: time.Second, 403: 0}}
	obey := httpcache.Policy{ObeyRequest: true}
	const cookie = "Set-Cookie: a=b"
	tests := []struct {
		name         string
		request      httpcache.Request
		status       int
		lines        []string
		policy       httpcache.Policy
		store, share bool
	}{
		{"forcenostore", get(), 200, []string{"Cache-Control: no-store"}, force, true, true},
		{"forceprivate", get(), 200, []string{"Cache-Control: private"}, force, true, true},
		{"forcenocache", get(), 200, []string{"Cache-Control: no-cache"}, force, true, true},
		{"forcenothing", get(), 200, nil, force, true, true},
		{"forcenottl", get(), 200, []string{"Cache-Control: no-store"}, httpcache.Policy{ForceCache: true}, false, false},
		{"forcecookie", get(), 200, []string{"Cache-Control: no-store", cookie}, force, false, false},
		{"forceguard", get(), 200, []string{cookie}, force, false, false},
		{"forceunguarded", get(), 200, []string{"Cache-Control: private", cookie}, httpcache.Policy{ForceCache: true, TTL: time.Minute}, false, false},
		{"forceauthorization", get("Authorization: x"), 200, []string{"Cache-Control: private"}, force, false, false},
		{"forceauthpublic", get("Authorization: x"), 200, []string{"Cache-Control: private, public"}, force, false, false},
		{"forceauthbare", get("Authorization: x"), 200, nil, force, false, false},
		{"forceerror", get(), 500, []string{"Cache-Control: no-store"}, force, false, false},
		{"forcevary", get(), 200, []string{"Vary: *"}, force, false, false},
		{"negative", get(), 404, nil, negative, true, true},
		{"negativeclass", get(), 502, nil, negative, true, true},
		{"negativezero", get(), 403, nil, negative, false, false},
		{"negativenostore", get(), 502, []string{"Cache-Control: no-store"}, negative, false, false},
		{"negativelimit", get(), 429, nil, httpcache.Policy{NegativeTTL: map[int]time.Duration{429: time.Second}}, false, false},
		{"swr", get(), 200, []string{"Cache-Control: max-age=0"}, httpcache.Policy{StaleWhileRevalidate: time.Second}, true, false},
		{"sie", get(), 200, []string{"Cache-Control: max-age=0"}, httpcache.Policy{StaleIfError: time.Second}, true, false},
		{"requestnostore", get("Cache-Control: no-store"), 200, []string{"Cache-Control: max-age=60"}, obey, false, false},
		{"requestignored", get("Cache-Control: no-store"), 200, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := httpcache.Assess(epoch, tt.request, response(tt.status, tt.lines...), tt.policy)
			if got.Store != tt.store || got.Share != tt.share {
				t.Errorf("Assess() = %+v, want store %v, share %v", got, tt.store, tt.share)
			}
		})
	}
}

// TestAssessVaryWithheld: a Vary that private="vary" withholds still says what it says.
func TestAssessVaryWithheld(t *testing.T) {
	r := response(200, `Cache-Control: max-age=60, private="vary"`, "Vary: *")
	if got := httpcache.Assess(epoch, get(), r, httpcache.Policy{}); got.Store {
		t.Errorf("Assess() = %+v", got)
	}
}
