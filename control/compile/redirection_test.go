package compile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/compile"
)

const redirectedSite = `site: shop
domains: [www.shop.example]
origin: {urls: [http://192.0.2.1]}
redirection: `

func TestRedirection(t *testing.T) {
	for text, want := range map[string]cdn.Redirection{
		"{}":          {},
		"{off: true}": {Off: true},
		"{paths: [/video/, /iso], min_size: 256KiB, signed: true, lifetime: 30m}": {
			Paths: []string{"/video/", "/iso"}, MinSize: 256 << 10, Signed: true, Lifetime: cdn.Duration(30 * time.Minute),
		},
		"{off: true, signed: true}": {Off: true, Signed: true},
	} {
		sites, err := compile.Sites("site.yaml", []byte(redirectedSite+text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, sites[0].Redirection); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		formatted, err := compile.FormatSites(sites...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := compile.Sites("formatted.yaml", formatted)
		if err != nil {
			t.Fatalf("%s\n%v", formatted, err)
		}
		if diff := cmp.Diff(sites, again); diff != "" {
			t.Errorf("%s does not come back (-want +got):\n%s", text, diff)
		}
	}
}

func TestRedirectionMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"yes":                 "site.yaml:4:14: ",
		"{of: true}":          "a redirection has no such key",
		"{off: 1}":            `"1" is not true or false`,
		"{paths: []}":         "needs at least one item",
		"{paths: [video]}":    "does not start with a slash",
		`{paths: [""]}`:       "does not start with a slash",
		"{paths: [/a/../b]}":  `write "/b"`,
		`{paths: ["/%7ea"]}`:  `write "/~a"`,
		`{paths: ["/a?b"]}`:   "has a query",
		`{paths: ["/a b"]}`:   "percent-encoded",
		"{paths: [/a, /a]}":   "is already item [0]",
		"{paths: [/a, /a/b]}": `"/a/b" begins with "/a"`,
		"{paths: [/" + strings.Repeat("a", 2000) + "]}": "at most 1024",
		"{min_size: 0}":                "leave the key out",
		"{min_size: big}":              "want a whole number of bytes",
		"{signed: true, lifetime: 0s}": "want from 1s to 7d",
		"{signed: true, lifetime: 8d}": "want from 1s to 7d",
		"{lifetime: 1h}":               "only what is signed has a lifetime",
		"{off: true, paths: [/a]}":     "nothing is redirected then",
	} {
		_, err := compile.Sites("site.yaml", []byte(redirectedSite+text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "site.yaml:4:") {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}
