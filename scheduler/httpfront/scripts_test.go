package httpfront_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"testing"
)

// TestScripts pins what browsers let scripts of other origins do (Fetch Standard): follow redirects, whatever they send along, and ask questions as
// any program may. A POST that is DNS over HTTPS is asked about first.
func TestScripts(t *testing.T) {
	plain, secure, _ := doh(t)
	ask := query(t, "a.example.")
	get := "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(ask)
	const player, site = "https://player.example", "www.shop.example"
	for _, protocol := range []string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2 over TLS"} {
		client, base := clientOf(t, protocol), "https://"+secure
		if protocol == "HTTP/1.1" {
			base = "http://" + plain
		}
		for name, test := range map[string]struct {
			method, path, host string
			content            []byte
			origins            []string
			status             int
			origin, with, vary string // Access-Control-Allow-Origin, Access-Control-Allow-Credentials, Vary
		}{
			"redirect":              {"GET", "/a", site, nil, []string{player}, 302, player, "true", "Origin"},
			"redirect of HEAD":      {"HEAD", "/a", site, nil, []string{player}, 302, player, "true", "Origin"},
			"redirect of POST":      {"POST", "/a", site, []byte("x"), []string{player}, 307, player, "true", "Origin"},
			"redirect once more":    {"GET", "/a", site, nil, []string{"null"}, 302, "null", "true", "Origin"},
			"redirect of nobody's":  {"GET", "/a", site, nil, nil, 302, "", "", "Origin"},
			"redirect of several":   {"GET", "/a", site, nil, []string{player, player}, 302, "", "", "Origin"},
			"POST of several":       {"POST", "/a", site, nil, []string{player, player}, 307, "", "", "Origin"},
			"redirect of a list":    {"GET", "/a", site, nil, []string{player + ", " + player}, 302, "", "", "Origin"},
			"no site":               {"GET", "/a", "www.other.example", nil, []string{player}, 404, "", "", ""},
			"DoH GET":               {"GET", get, "", nil, []string{player}, 200, "*", "", ""},
			"DoH POST":              {"POST", "/dns-query", "", ask, []string{player}, 200, "*", "", ""},
			"DoH POST, too large":   {"POST", "/dns-query", "", make([]byte, 65536), []string{player}, 413, "*", "", ""},
			"DoH GET, wrong":        {"GET", "/dns-query", "", nil, []string{player}, 400, "*", "", ""},
			"HTTPDNS":               {"GET", "/resolve?host=a", "", nil, []string{player}, 200, "*", "", ""},
			"DoH, may I":            {"OPTIONS", "/dns-query", "", nil, []string{player}, 204, "*", "", ""},
			"HTTPDNS, may I":        {"OPTIONS", "/resolve?host=a", "", nil, []string{player}, 204, "*", "", ""},
			"DoH OPTIONS of nobody": {"OPTIONS", "/dns-query", "", nil, nil, 405, "*", "", ""},
		} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				r, err := http.NewRequest(test.method, base+test.path, bytes.NewReader(test.content))
				if err != nil {
					t.Fatal(err)
				}
				r.Header = http.Header{"Origin": test.origins, "Content-Type": {"application/dns-message"}}
				if test.host != "" {
					r.Host = test.host
				}
				if test.method == http.MethodOptions {
					r.Header.Set("Access-Control-Request-Method", "POST")
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				h := resp.Header
				got := []string{h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"), h.Get("Vary")}
				if resp.StatusCode != test.status || got[0] != test.origin || got[1] != test.with || got[2] != test.vary {
					t.Errorf("status %d, %q", resp.StatusCode, got)
				}
				if test.status == http.StatusNoContent && (h.Get("Access-Control-Allow-Methods") == "" || h.Get("Access-Control-Allow-Headers") != "Accept, Content-Type") {
					t.Errorf("%v", h)
				}
			})
		}
	}
}
