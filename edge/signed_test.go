package edge_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/onbehalf"
	"nearcast/internal/signedurl"
)

var redirectKey = []byte("a key of the fleet's, for tests.") //nolint:gochecknoglobals // a constant

const nodeHost = "fra-1" + nameSuffix

func withRedirectKey(cfg *edge.Config) { cfg.RedirectKey = redirectKey }

// signedRig is a fleet whose site signs redirects, beside one that does not.
func signedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, "%s for %s over %s", req.URL.RequestURI(), req.Header.Get("X-Forwarded-For"), req.Header.Get("X-Forwarded-Proto"))
	})
	r.clock.stop()
	r.fleet.Nodes = r.fleet.Nodes[:1]
	r.sites[0].Redirection = cdn.Redirection{Signed: true}
	r.sites = append(r.sites, cdn.Site{Name: "plain", Domains: []cdn.Domain{"plain.example"}, Origin: r.sites[0].Origin})
	return r
}

// sign signs a path and query for the node, good for so long from now.
func (r *rig) sign(uri string, hop int, life time.Duration) string {
	return signedurl.Sign(redirectKey, nodeHost, uri, signedurl.Ticket{Hop: hop, Expires: r.clock.now().Add(life).Unix()})
}

// A request for a node's own name is answered if it has a good signature, which neither the cache nor the origin nor the log sees. It is sent back
// otherwise.
func TestSignedRedirects(t *testing.T) {
	r := signedRig(t)
	record := filepath.Join(t.TempDir(), "access.log")
	r.start(t, "fra-1", withRedirectKey, func(cfg *edge.Config) { cfg.AccessLog = record })
	addr := r.addr("fra-1")
	home := "http://" + domain + ":" + strconv.Itoa(int(r.fleet.HTTPPort))
	good := r.sign("/a?b=c", 1, time.Minute)
	late := r.sign("/a?b=c", 1, -time.Second)
	mark := func(uri string, hop int, life time.Duration) string {
		return signedurl.Mark(uri, signedurl.Ticket{Hop: hop, Expires: r.clock.now().Add(life).Unix()})
	}
	for _, test := range []struct {
		name, method, host, uri string
		status                  int
		want                    string // the Location, or the beginning of the body
		word                    string
	}{
		{"first", "GET", nodeHost, good, 200, "/a?b=c for", "MISS"},
		{"again, out of the lane", "GET", nodeHost, good, 200, "/a?b=c for", "HIT"},
		{"another signature", "GET", nodeHost, r.sign("/a?b=c", 2, time.Hour), 200, "/a?b=c for", "HIT"},
		{"in another form", "GET", strings.ToUpper(nodeHost) + ".", strings.Replace(good, "/a", "/x/../%61", 1), 200, "/a?b=c for", "HIT"},
		{"own name", "GET", domain, "/a?b=c", 200, "/a?b=c for", "HIT"},
		{"zone", "GET", domain + ".cdn.test", "/a?b=c", 200, "/a?b=c for", "HIT"},
		{"what is left of it at its own name", "GET", domain, mark("/a?b=c", 1, time.Minute), 200, "/a?b=c for", "HIT"},
		{"what came with a good one", "GET", domain, good, 200, "/a?b=c for", "HIT"},
		{"without a query", "GET", nodeHost, r.sign("/a", 1, time.Minute), 200, "/a for", "MISS"},
		{"with an empty one", "GET", nodeHost, r.sign("/a?", 1, time.Minute), 200, "/a? for", "MISS"},
		{"none", "GET", nodeHost, "/a?b=c", 302, home + "/a?b=c", "PASS"},
		{"late", "GET", nodeHost, late, 302, home + mark("/a?b=c", 1, -time.Second), "PASS"},
		{"of another URL", "GET", nodeHost, strings.Replace(good, "b=c", "b=d", 1), 302, home + mark("/a?b=d", 1, time.Minute), "PASS"},
		{"of another node", "GET", nodeHost, signedurl.Sign(redirectKey, "ams-1"+nameSuffix, "/a", signedurl.Ticket{Hop: 1, Expires: 1 << 40}), 302,
			home + signedurl.Mark("/a", signedurl.Ticket{Hop: 1, Expires: 1 << 40}), "PASS"},
		{"a mark", "GET", nodeHost, mark("/a", 2, time.Minute), 302, home + mark("/a", 2, time.Minute), "PASS"},
		{"nonsense", "GET", nodeHost, "/a?nearcast-sign=x&b", 302, home + "/a?b", "PASS"},
		{"twice", "GET", nodeHost, good + "&" + good[strings.Index(good, "nearcast"):], 302, home + "/a?b=c", "PASS"},
		{"head", "HEAD", nodeHost, "/a", 302, home + "/a", "PASS"},
		{"post", "POST", nodeHost, "/a", 307, home + "/a", "PASS"},
		{"slashes", "GET", nodeHost, "//evil.example/a", 302, home + "//evil.example/a", "PASS"},
		{"a site without", "GET", "fra-1.plain.example.cdn.test", good, 200, good + " for", "MISS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := r.ask(t, test.method, addr, test.host, test.uri)
			got := a.body
			if test.status >= 300 {
				got = a.Header.Get("Location")
				if cc := a.Header.Get("Cache-Control"); cc != "no-store" || got != test.want {
					t.Errorf("Location %q, want %q; Cache-Control %q", got, test.want, cc)
				}
			}
			if a.StatusCode != test.status || !strings.HasPrefix(got, test.want) || a.word() != test.word {
				t.Errorf("%d %s %q, want %d %s %q", a.StatusCode, a.word(), got, test.status, test.word, test.want)
			}
		})
	}
	eventually(t, "all is in the log", func() bool { // and nothing of a signature
		text, err := os.ReadFile(record)
		return err == nil && strings.Count(string(text), "\n") >= 21
	})
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, signedurl.Name) && !strings.Contains(line, "plain.example") {
			t.Errorf("the log has %s", line)
		}
	}
}

// A node without the key takes nothing for genuine, and does not send visitors round for ever: the mark counts.
func TestSignedWithoutKey(t *testing.T) {
	r := signedRig(t)
	r.start(t, "fra-1")
	a := r.ask(t, "GET", r.addr("fra-1"), nodeHost, signedurl.Sign(redirectKey, nodeHost, "/a", signedurl.Ticket{Hop: 2, Expires: 1 << 40}))
	if want := signedurl.Mark("/a", signedurl.Ticket{Hop: 2, Expires: 1 << 40}); a.StatusCode != 302 || !strings.HasSuffix(a.Header.Get("Location"), want) {
		t.Errorf("%d %q", a.StatusCode, a.Header.Get("Location"))
	}
}

// A signature ends while a connection is open.
func TestSignedEnds(t *testing.T) {
	r := signedRig(t)
	r.start(t, "fra-1", withRedirectKey)
	uri := r.sign("/a", 1, 10*time.Second)
	for i, want := range []int{200, 200, 302} {
		if a := r.ask(t, "GET", r.addr("fra-1"), nodeHost, uri); a.StatusCode != want {
			t.Errorf("request %d: %d, want %d", i, a.StatusCode, want)
		}
		if i > 0 {
			r.clock.advance(11 * time.Second)
		}
	}
}

// A front that relays says for whom, and is no tier of the cache: the visitor gets what they would have got from the node. A stranger who says so is
// a visitor.
func TestRelayed(t *testing.T) {
	r := signedRig(t)
	r.start(t, "fra-1")
	url := func(scheme, path string) string { return scheme + "://plain.example" + path }
	for _, test := range []struct{ name, secret, path, want string }{
		{"front", "a secret of the fleet", "/a", "/a for 192.0.2.77 over https"},
		{"stranger", "another secret", "/b", "/b for 127.0.0.1 over http"},
		{"of another URL", "a secret of the fleet", "/c?", "/c? for 127.0.0.1 over http"},
	} {
		t.Run(test.name, func(t *testing.T) {
			signed := strings.TrimSuffix(test.path, "?")
			field := onbehalf.Sign(test.secret, r.clock.now(), "GET", "https", url("https", signed), "192.0.2.77")
			a := r.ask(t, "GET", r.addr("fra-1"), "plain.example", test.path, "X-Forwarded-For", "192.0.2.77", onbehalf.Field, field)
			if a.body != test.want {
				t.Errorf("%q, want %q", a.body, test.want)
			}
			for name := range a.Header {
				if strings.HasPrefix(name, "Nearcast-") {
					t.Errorf("the answer has %s", name)
				}
			}
		})
	}
}
