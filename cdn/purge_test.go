package cdn_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
)

// TestOldPurge: an entry from before there were scopes means what it meant.
func TestOldPurge(t *testing.T) {
	const old = `{"revision":3,"id":"X","targets":[{"scheme":"http","domain":"www.shop.example","path":"/a","query":"b","has_query":true}],"at":"2026-01-02T03:04:05Z","by":"me"}`
	var p cdn.Purge
	if err := json.Unmarshal([]byte(old), &p); err != nil {
		t.Fatal(err)
	}
	want := []cdn.Target{{Scheme: "http", Domain: "www.shop.example", Path: "/a", Query: "b", HasQuery: true}}
	if diff := cmp.Diff(want, p.Targets); diff != "" || p.Soft || p.Scopes != nil || p.Revision != 3 || p.By != "me" {
		t.Errorf("%+v, targets differ (-want +got):\n%s", p, diff)
	}
	again, err := json.Marshal(p)
	if err != nil || string(again) != old {
		t.Errorf("written again: %s, %v", again, err)
	}
}

// TestNewerPurge: a scope that this version does not know is an error: it could cover anything.
func TestNewerPurge(t *testing.T) {
	var p cdn.Purge
	err := json.Unmarshal([]byte(`{"revision":3,"id":"X","scopes":[{"kind":"country","site":"shop"}],"at":"2026-01-02T03:04:05Z"}`), &p)
	if err == nil || !strings.Contains(err.Error(), `scope "country"`) {
		t.Errorf("error %v", err)
	}
}

func TestScopeText(t *testing.T) {
	for want, s := range map[string]cdn.Scope{
		"dir www.shop.example/img/":           {Kind: cdn.ScopeDir, Site: "shop", Domain: "www.shop.example", Path: "/img/"},
		"tag a of site shop":                  {Kind: cdn.ScopeTag, Site: "shop", Tag: "a"},
		"regex x$ of site shop":               {Kind: cdn.ScopeRegexp, Site: "shop", Regexp: "x$"},
		"regex x$ of domain www.shop.example": {Kind: cdn.ScopeRegexp, Site: "shop", Domain: "www.shop.example", Regexp: "x$"},
		"site shop":                           {Kind: cdn.ScopeSite, Site: "shop"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestParseDirectory(t *testing.T) {
	for raw, want := range map[string]string{
		"http://www.shop.example/":           "www.shop.example /",
		"https://WWW.Shop.example:443":       "www.shop.example /",
		"http://www.shop.example/a/../%62//": "www.shop.example /b//",
		"http://www.shop.example/a/..":       "www.shop.example /",
		"http://www.shop.example/img":        `want "http://www.shop.example/img/"`,
		"http://www.shop.example/img/?":      "has no query",
		"http://www.shop.example/img/#top":   "must be percent-encoded",
		"www.shop.example/img/":              `want "http://"`,
		"http://1.2.3.4/":                    "1.2.3.4 /",
	} {
		domain, path, err := cdn.ParseDirectory(raw)
		got := string(domain) + " " + path
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestParseTag(t *testing.T) {
	for raw, want := range map[string]string{
		"a":                       "",
		"Big Sale, 50%":           "",
		strings.Repeat("x", 1024): "",
		"":                        "empty",
		strings.Repeat("x", 1025): "1025 octets, at most 1024",
		"a ":                      "ends with a space",
		"a\tb":                    "octet 0x09 at 1",
		"\u00e9":                  "octet 0xc3 at 0",
	} {
		got, err := cdn.ParseTag(raw)
		switch {
		case want == "" && (err != nil || got != raw):
			t.Errorf("%q: %q, %v", raw, got, err)
		case want != "" && (cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: error %v, want %s", raw, err, want)
		}
	}
}

func TestParsePurgeRegexp(t *testing.T) {
	for raw, want := range map[string]string{
		`^/img/.*\.png$`:            "",
		"":                          "1 to 512 octets",
		"/a/(b":                     "(at octet 0)",
		"/a[9-0]":                   "invalid character class range: `9-0` (at octet 3)",
		"/a**":                      "(at octet 2)",
		"http://www.shop.example/a": "leave out scheme and domain",
		`https?://.*\.jpg`:          "leave out scheme and domain",
		strings.Repeat("a", 513):    "512",
	} {
		got, err := cdn.ParsePurgeRegexp(raw)
		switch {
		case want == "" && (err != nil || got != raw):
			t.Errorf("%q: %q, %v", raw, got, err)
		case want != "" && (cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: error %v, want %s", raw, err, want)
		}
	}
}
