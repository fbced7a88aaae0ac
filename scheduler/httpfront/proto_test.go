package httpfront_test

import (
	"net/http"
	"net/netip"
	"testing"

	"nearcast/cdn"
	"nearcast/scheduler/view"
)

// A visitor who came to a trusted proxy over TLS is not sent to cleartext: browsers would not follow. Nobody else's word counts.
func TestForwardedProto(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		if trusted {
			proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
		s := fleet(80)
		s.Fleet.HTTPS = &cdn.HTTPS{}
		f := startWith(t, s, func(*view.View) []netip.Prefix { return proxies })
		for fields, secure := range map[string]bool{
			"":                                 false,
			"X-Forwarded-Proto: https\n":       true,
			"x-forwarded-proto: HTTPS\n":       true,
			"X-Forwarded-Proto: http\n":        false,
			"X-Forwarded-Proto: https, http\n": false,
			"X-Forwarded-Proto: https\nX-Forwarded-Proto: https\n": false,
			"Forwarded: proto=https\n":                             false,
		} {
			want := "http://n1.www.shop.example.cdn.test/a"
			if secure && trusted {
				want = "https://n1.www.shop.example.cdn.test/a"
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				resp, _ := f.send(t, method+" /a HTTP/1.1\nHost: www.shop.example\nX-Forwarded-For: 127.0.0.1\n"+fields+"\n")
				if got := resp.Header.Get("Location"); got != want {
					t.Errorf("trusted %t, %s with %q: %q, want %q", trusted, method, fields, got, want)
				}
			}
		}
	}
}
