package compile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/compile"
)

const fullSite = `# everything that a site can have
site: shop
domains: [WWW.shop.example., img.shop.example]
origin:
  type: s3
  urls:
    - https://OSS.example:9000
    - "https://[2001:db8::1]:9000"
  bucket:
    name: shop-images
    region: eu-west-1
    prefix: "live/v1.10"
    virtual_host: true
    access_key_id: 0123
    secret_access_key: "on"
  connect_timeout: 2s
  response_timeout: 1m30s
  attempts: 3
routes:
  - match:
      path_prefix: /static/
      extensions: [.js, .css]
    ttl: 7d
    stale_if_error: 1h
  - match: {path_prefix: /cart}
    bypass: true
---
site: "123"
domains: [b.example]
origin: {urls: [http://192.0.2.1], host: b.example:8080}
`

func fullSites() []cdn.Site {
	return []cdn.Site{
		{
			Name:    "shop",
			Domains: []cdn.Domain{"www.shop.example", "img.shop.example"},
			Origin: cdn.Origin{
				Type: cdn.OriginS3,
				URLs: []string{"https://oss.example:9000", "https://[2001:db8::1]:9000"},
				Bucket: &cdn.Bucket{
					Name: "shop-images", Region: "eu-west-1", Prefix: "live/v1.10", VirtualHost: true,
					AccessKeyID: "0123", SecretAccessKey: "on",
				},
				ConnectTimeout: cdn.Duration(2 * time.Second), ResponseTimeout: cdn.Duration(90 * time.Second), Attempts: 3,
			},
			Routes: []cdn.Route{
				{
					Match: cdn.Match{PathPrefix: "/static/", Extensions: []string{".js", ".css"}},
					TTL:   cdn.Duration(7 * 24 * time.Hour), StaleIfError: cdn.Duration(time.Hour),
				},
				{Match: cdn.Match{PathPrefix: "/cart"}, Bypass: true},
			},
		},
		{Name: "123", Domains: []cdn.Domain{"b.example"}, Origin: cdn.Origin{URLs: []string{"http://192.0.2.1"}, Host: "b.example:8080"}},
	}
}

func TestSites(t *testing.T) {
	got, err := compile.Sites("site.yaml", []byte(fullSite))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullSites(), got); diff != "" {
		t.Errorf("sites differ (-want +got):\n%s", diff)
	}
}

func TestFormat(t *testing.T) {
	text, err := compile.FormatSites(fullSites()...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := compile.Sites("formatted", text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if diff := cmp.Diff(fullSites(), got); diff != "" {
		t.Errorf("sites differ (-want +got):\n%s\nin:\n%s", diff, text)
	}
}

func TestAlias(t *testing.T) {
	got, err := compile.Sites("f", []byte(`
site: a
domains: [a.example]
origin: {urls: [http://o.example]}
routes:
  - {match: {path_prefix: /a}, ttl: &long 30d}
  - {match: {path_prefix: /b}, ttl: *long}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Routes[1].TTL != got[0].Routes[0].TTL {
		t.Error("the alias does not stand for its anchor")
	}
}

// good is the start of a site without mistakes, three lines long.
const good = "site: shop\ndomains: [www.shop.example]\norigin: {urls: [\"http://o.example\"]}\n"

// siteMistake is a text and the mistakes in it.
type siteMistake struct {
	name, src, want string
}

func siteMistakes() []siteMistake {
	return []siteMistake{
		{"empty", "", "f:1:1: the document is empty; a site is needed"},
		{"comment", "# nothing\n", "f:1:1: the document is empty; a site is needed"},
		{"document", good + "---\n", "f:4:1: the document is empty; a site is needed"},
		{"null", "~", "f:1:1: the document is empty; a site is needed"},
		{"scalar", "hello", "f:1:1: a site must be a mapping, not a single value"},
		{"list", "- a\n", "f:1:1: a site must be a mapping, not a list"},
		{"missing", "site: shop\n", `f:1:1: a site needs the key "domains"
f:1:1: a site needs the key "origin"`},
		{"unknown", good + "route: []\n", "f:4:1: route: a site has no such key (did you mean routes? allowed: site, domains, origin, redirection, routes)"},
		{"stranger", good + "colour: red\n", "f:4:1: colour: a site has no such key (allowed: site, domains, origin, redirection, routes)"},
		{"duplicate", good + "site: other\n", "f:4:1: site: is already set in line 1 (keep one)"},
		{"name", strings.Replace(good, "shop\n", "Shop\n", 1), `f:1:7: site: site name "Shop": has 'S'; only a-z, 0-9 and inner hyphens are allowed`},
		{"domains", strings.Replace(good, "[www.shop.example]", "www.shop.example", 1), "f:2:10: domains: the value must be a list, not a single value (write [www.shop.example])"},
		{"urlport", "site: shop\ndomains: [www.shop.example]\norigin: {urls: [http://127.0.0.1:8080]}\n", "f:3:17: origin.urls[0]: the value must be a single value, not a mapping (if it is a text with a colon, such as a URL with a port between braces, put it into quotes)"},
		{"nodomain", strings.Replace(good, "[www.shop.example]", "[]", 1), "f:2:10: domains: needs at least one item (list the host names that visitors use)"},
		{"ip", strings.Replace(good, "www.shop.example", "192.0.2.1", 1), `f:2:11: domains[0]: domain "192.0.2.1": is an IP address; a host name is needed`},
		{"twice", strings.Replace(good, "[www.shop.example]", "[a.example, A.example]", 1), "f:2:22: domains[1]: domain a.example is already item [0] (remove one)"},
		{"url", strings.Replace(good, "http://o.example", "o.example", 1), `f:3:17: origin.urls[0]: URL "o.example": want scheme, host and optional port, such as "https://origin.shop.example:8443"`},
		{"path", strings.Replace(good, "http://o.example", "http://o.example/x", 1), `f:3:17: origin.urls[0]: URL "http://o.example/x" has more than that: want scheme, host and optional port, such as "https://origin.shop.example:8443"`},
		{"port", strings.Replace(good, "http://o.example", "http://o.example:0", 1), `f:3:17: origin.urls[0]: URL "http://o.example:0": host "o.example:0": "0" is not a port from 1 to 65535`},
		{"schemes", strings.Replace(good, `"http://o.example"`, `"http://o.example", "https://p.example"`, 1), "f:3:37: origin.urls[1]: has the scheme https, the URLs before it http; all must have the same"},
		{"type", strings.Replace(good, "{urls", "{type: ftp, urls", 1), `f:3:16: origin.type: "ftp" is not one of http, s3`},
		{"bucketless", strings.Replace(good, "{urls", "{type: s3, urls", 1), `f:3:10: origin: an origin of type s3 needs the key "bucket"`},
		{"bucket", strings.Replace(good, "{urls", "{bucket: {name: b}, urls", 1), "f:3:19: origin.bucket: only an origin of type s3 has a bucket (write type: s3 if it is a bucket)"},
		{"keys", strings.Replace(good, "{urls", "{type: s3, bucket: {name: b, access_key_id: x}, urls", 1), "f:3:29: origin.bucket: access_key_id and secret_access_key belong together; one is missing (for a public bucket leave out both)"},
		{"attempts", strings.Replace(good, "{urls", "{attempts: 11, urls", 1), `f:3:20: origin.attempts: "11" is not a whole number from 1 to 10`},
		{"timeout", strings.Replace(good, "{urls", "{connect_timeout: 0s, urls", 1), `f:3:27: origin.connect_timeout: duration "0s": want more than zero and at most 1h`},
		{"ttl", good + "routes:\n  - ttl: 10x\n", `f:5:10: routes[0].ttl: duration "10x": want a number with a unit, such as "90s", "10m" or "7d"`},
		{"bypass", good + "routes:\n  - bypass: yes\n", `f:5:13: routes[0].bypass: "yes" is not true or false`},
		{"both", good + "routes:\n  - bypass: true\n    ttl: 1h\n", "f:5:13: routes[0].bypass: nothing is stored under bypass, so that ttl means nothing (remove one)"},
		{"prefix", good + "routes:\n  - match: {path_prefix: a}\n", `f:5:26: routes[0].match.path_prefix: path prefix "a" does not start with "/"`},
		{"normal", good + "routes:\n  - match: {path_prefix: /%7ea}\n", `f:5:26: routes[0].match.path_prefix: path prefix "/%7ea" is not in normal form; write "/~a"`},
		{"extension", good + "routes:\n  - match: {extensions: [js]}\n", `f:5:26: routes[0].match.extensions[0]: extension "js": want a dot and a file name's ending, such as ".js"`},
		{"reach", good + "routes:\n  - ttl: 1h\n  - bypass: true\n", "f:6:5: routes[1]: can never match: routes[0] matches every request (put the more special route first)"},
		{"tag", good + "routes: !!seq []\n", "f:4:9: YAML tags are not used here; write the value alone"},
		{"merge", "a: &a {}\n<<: *a\n", `f:2:1: YAML merge keys ("<<") are not used here; write the fields out`},
		{"noanchor", strings.Replace(good, "shop\n", "*x\n", 1), "f:1:7: alias *x has no anchor in front of it"},
		{"syntax", "site: [a\n", "f:1:7: not valid YAML: sequence end token ']' not found"},
		{"control", strings.Replace(good, "{urls", "{type: s3, bucket: {name: b, prefix: \"a\\nb\"}, urls", 1), `f:3:46: origin.bucket.prefix: "a\nb" has the control character U+000A`},
		{"many", "site: A\ndomains: [a b]\norigin: {urls: [x], atempts: 1}\n", `f:1:7: site: site name "A": has 'A'; only a-z, 0-9 and inner hyphens are allowed
f:2:11: domains[0]: domain "a b": label "a b" has ' '; only a-z, 0-9 and inner hyphens are allowed
f:3:17: origin.urls[0]: URL "x": want scheme, host and optional port, such as "https://origin.shop.example:8443"
f:3:21: origin.atempts: an origin has no such key (did you mean attempts? allowed: type, urls, host, bucket, connect_timeout, response_timeout, attempts)`},
	}
}

func TestSiteMistakes(t *testing.T) {
	for _, tt := range siteMistakes() {
		t.Run(tt.name, func(t *testing.T) {
			sites, err := compile.Sites("f", []byte(tt.src))
			if err == nil {
				t.Fatalf("no mistake; got %+v", sites)
			}
			if cdn.KindOf(err) != cdn.Invalid || sites != nil {
				t.Errorf("kind %v and %d sites, want invalid and none", cdn.KindOf(err), len(sites))
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("mistakes differ (-want +got):\n%s", diff)
			}
		})
	}
}

// A secret must not come back in a message, which may end up in a log.
func TestSecret(t *testing.T) {
	_, err := compile.Sites("f", []byte(strings.Replace(good, "{urls", `{type: s3, bucket: {name: b, access_key_id: k, secret_access_key: "hush\nhush"}, urls`, 1)))
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v, want a mistake without the secret", err)
	}
}

// Input that would cost a careless compiler its time, its memory or its stack.
func TestBombs(t *testing.T) {
	laugh := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i, s := range []string{"b", "c", "d", "e", "f", "g"} {
		before := string(rune('a'+i)) + "0"
		laugh += s + "0: &" + s + "0 [" + strings.TrimSuffix(strings.Repeat("*"+before+", ", 10), ", ") + "]\n"
	}
	tests := []struct {
		name, src, want string
	}{
		{"large", strings.Repeat("#", 4<<20+1), "at most 4194304 are allowed"},
		{"flow", strings.Repeat("[", 100_000), "nested deeper than 32 levels"},
		{"braces", strings.Repeat("{a: ", 100_000), "nested deeper than 32 levels"},
		{"entries", strings.Repeat("- ", 100_000), "nested deeper than 32 levels"},
		{"complex", strings.Repeat("? ", 10_000), "complex keys"},
		{"keys", strings.Repeat("x: 1\n", 500_000), "a mapping has more than 1000 keys"},
		{"documents", strings.Repeat("a: 1\n---\n", 400_000), "the file has more than 10000 documents"},
		{"laughs", laugh, "aliases stand for more than 100000 values"},
		{"self", "a: &a [*a]\n", "has no anchor in front of it"},
		{"anchors", strings.Repeat("&a ", 10_000), "not valid YAML"},
		{"unknown", strings.Repeat("x: 1\n", 10), "a site has no such key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compile.Sites("f", []byte(tt.src))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want %q in it", err, tt.want)
			}
			if n := len(compile.MistakesOf(err)); n > 1100 {
				t.Errorf("%d mistakes are listed, want a bound", n)
			}
		})
	}
}

func FuzzSites(f *testing.F) {
	f.Add([]byte(fullSite))
	f.Add([]byte(good))
	f.Add([]byte(ruledSite))
	for _, tt := range routeMistakes() {
		f.Add([]byte(good + "routes:\n" + tt.src))
	}
	f.Add([]byte("a: &a [*a]\n---\n? x\n: {y: !!str z}\n<<: *a"))
	f.Add([]byte("site: |\n  a\n...\n%YAML 1.2\n---\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		sites, err := compile.Sites("f", src)
		if err != nil {
			if cdn.KindOf(err) != cdn.Invalid || len(compile.MistakesOf(err)) == 0 {
				t.Fatalf("error %v is no list of mistakes", err)
			}
			return
		}
		text, err := compile.FormatSites(sites...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := compile.Sites("formatted", text)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		if diff := cmp.Diff(sites, again); diff != "" {
			t.Fatalf("formatting changed the sites (-want +got):\n%s", diff)
		}
	})
}
