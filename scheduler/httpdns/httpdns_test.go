package httpdns_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/internal/outside"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/httpdns"
	"nearcast/scheduler/view"
)

var (
	noon = time.Unix(1_800_000_000, 0)
	peer = netip.MustParseAddr("10.1.0.9")
	keys = map[string][]byte{"app-1": []byte(appKey)}
)

const appKey = "a secret of the app, for tests"

// snapshot is three POPs of two nodes each, far from each other, and a site that must not use the last.
func snapshot() *cdn.Snapshot {
	s := &cdn.Snapshot{Generation: 7}
	s.Fleet.Zone, s.Fleet.HTTPS = "cdn.test", &cdn.HTTPS{}
	for i := range 3 {
		name := fmt.Sprintf("p%d", i)
		at := cdn.Location{Longitude: float64(i * 40)}
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: cdn.POPName(name), Tier: cdn.TierEdge, Location: at})
		for n := range 2 {
			s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{
				Name: cdn.NodeName(fmt.Sprintf("%s-%d", name, n)), POP: cdn.POPName(name), Roles: []cdn.Role{cdn.RoleEdge},
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, byte(i), byte(n)}), netip.MustParseAddr(fmt.Sprintf("2001:db8::%d:%d", i, n))},
			})
		}
		s.Fleet.Clients = append(s.Fleet.Clients, cdn.ClientPrefix{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16), Location: at})
	}
	s.Fleet.POPs[0].ALPN = []string{"http/1.1"}
	s.Fleet.Policies = []cdn.Policy{{Name: "x", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"bound"}}, Deny: []cdn.POPName{"p2"}}}
	for _, name := range []string{"shop", "bound"} {
		s.Sites = append(s.Sites, cdn.Site{Name: cdn.SiteName(name), Domains: []cdn.Domain{cdn.Domain("www." + name + ".example")}})
	}
	return s
}

func compile(tb testing.TB, s *cdn.Snapshot) *view.View {
	tb.Helper()
	p, err := view.Compile(s)
	if err != nil {
		tb.Fatal(err)
	}
	return view.New(p, view.News{Loads: true, States: true, Active: p.Policies.At(noon, nil)})
}

func serve(tb testing.TB, options ...func(*httpdns.Config)) *httpdns.Server {
	tb.Helper()
	v := compile(tb, snapshot())
	cfg := httpdns.Config{
		View: func() *view.View { return v }, TTL: func(*view.View, cdn.Domain, *decide.Decision) int { return 20 },
		Now: func() time.Time { return noon }, Registry: prometheus.NewRegistry(),
	}
	for _, o := range options {
		o(&cfg)
	}
	s, err := httpdns.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if problems, err := testutil.GatherAndLint(cfg.Registry); err != nil || len(problems) > 0 {
			tb.Errorf("metrics: %v, %v", problems, err)
		}
	})
	return s
}

func signed(cfg *httpdns.Config) { cfg.Keys = keys }

func get(s *httpdns.Server, query string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: httpdns.Path, RawQuery: query}}
	s.Serve(w, r, peer)
	return w
}

func decode(t *testing.T, w *httptest.ResponseRecorder) (a httpdns.Answer) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return a
}

func TestAnswer(t *testing.T) {
	s := serve(t)
	w := get(s, "host=www.shop.example&type=4,https")
	a := decode(t, w)
	if len(a.Answers) != 1 || len(a.Answers[0].IPs) != 2 {
		t.Fatalf("%s", w.Body)
	}
	scope := netip.MustParsePrefix("10.1.0.0/16")
	want := httpdns.Answer{Client: "10.1.0.9", Generation: 7, Answers: []httpdns.Host{{
		Host: "www.shop.example", Status: 200, POP: "p1", IPs: a.Answers[0].IPs, HTTPS: &httpdns.HTTPS{Port: 443, ALPN: []string{"h2", "http/1.1"}},
		TTL: 20, Jitter: 5, Expires: noon.Unix() + 20, Scope: &scope,
		Backup: a.Answers[0].Backup,
	}}}
	if diff := cmp.Diff(want, a, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, ip := range a.Answers[0].IPs {
		if !netip.MustParsePrefix("192.0.1.0/24").Contains(ip) {
			t.Errorf("%s is not of p1", ip)
		}
	}
	if w.Code != 200 || w.Header().Get("Cache-Control") != "private, max-age=20" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// Who asks for whom, of what, and what comes of it: the POP, how many addresses of each family, and the backups.
func TestQuestions(t *testing.T) {
	s := serve(t)
	for query, want := range map[string]string{
		"host=www.shop.example":                            "200 10.1.0.9: p1 2 2 no [p0 p2]",
		"host=www.shop.example&ip=10.0.0.1":                "200 10.0.0.1: p0 2 2 no [p1 p2]",
		"host=www.shop.example&ip=10.2.3.4/16":             "200 10.2.0.0: p2 2 2 no [p1 p0]",
		"host=www.shop.example&ip=%3A%3Affff%3A10.2.3.4":   "200 10.2.3.4: p2 2 2 no [p1 p0]",
		"host=www.bound.example&ip=10.1.0.1":               "200 10.1.0.1: p1 2 2 no [p0]",
		"host=www.bound.example&ip=10.2.0.1":               "200 10.2.0.1: p1 2 2 no [p0]",
		"host=www.shop.example&type=6":                     "200 10.1.0.9: p1 0 2 no [p0 p2]",
		"host=www.shop.example&type=HTTPS":                 "200 10.1.0.9: p1 0 0 443 [p0 p2]",
		"host=www.shop.example&type=4,+6,https":            "200 10.1.0.9: p1 2 2 443 [p0 p2]",
		"host=WWW.Shop.Example.&type=4":                    "200 10.1.0.9: p1 2 0 no [p0 p2]",
		"host=www.shop.example.cdn.test&type=4":            "200 10.1.0.9: p1 2 0 no [p0 p2]",
		"host=www.shop.example&host=www.shop.example":      "200 10.1.0.9: p1 2 2 no [p0 p2]",
		"host=www.shop.example,evil.example&type=4":        "200 10.1.0.9: p1 2 0 no [p0 p2]; 404",
		"host=evil.example&host=www.bound.example&type=4":  "200 10.1.0.9: 404; p1 2 0 no [p0]",
		"host=evil.example":                                "404 10.1.0.9: 404",
		"host=a..b":                                        "404 10.1.0.9: 404",
		"host=p1-1.www.shop.example.cdn.test":              "404 10.1.0.9: 404",
		"host=cdn.test":                                    "404 10.1.0.9: 404",
		"host=192.0.2.1":                                   "404 10.1.0.9: 404",
		"&&host=www.shop.example&type=4&id=x&t=1&sign=abc": "200 10.1.0.9: p1 2 0 no [p0 p2]",
	} {
		w := get(s, query)
		a := decode(t, w)
		var parts []string
		for _, h := range a.Answers {
			if h.Status != 200 {
				if h.Error == "" || h.POP != "" || h.IPs != nil || h.Backup != nil {
					t.Errorf("%s: %+v", query, h)
				}
				parts = append(parts, fmt.Sprint(h.Status))
				continue
			}
			var pops []string
			for _, b := range h.Backup {
				pops = append(pops, string(b.POP))
				if len(b.IPs) != len(h.IPs) || len(b.IPv6) != len(h.IPv6) {
					t.Errorf("%s: backup %+v", query, b)
				}
			}
			https := "no"
			if h.HTTPS != nil {
				https = fmt.Sprint(h.HTTPS.Port)
			}
			parts = append(parts, fmt.Sprintf("%s %d %d %s %v", h.POP, len(h.IPs), len(h.IPv6), https, pops))
		}
		if got := fmt.Sprintf("%d %s: %s", w.Code, a.Client, strings.Join(parts, "; ")); got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
		if strings.Contains(want, "404") != (w.Header().Get("Cache-Control") == "no-store") {
			t.Errorf("%s: Cache-Control %q", query, w.Header().Get("Cache-Control"))
		}
	}
}

// Without a key an address may ask so much in a second; others, and those with a key, are not held up.
func TestTooMany(t *testing.T) {
	now := noon
	s := serve(t, func(cfg *httpdns.Config) { cfg.Now = func() time.Time { return now } })
	answered := 0
	for range 400 {
		if w := get(s, "host=www.shop.example"); w.Code == http.StatusOK {
			answered++
		} else if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if answered != 250 {
		t.Errorf("%d of 400 at once are answered, want 250", answered)
	}
	now = now.Add(time.Second)
	if w := get(s, "host=www.shop.example"); w.Code != http.StatusOK {
		t.Errorf("a second later: %d", w.Code)
	}
}

// HTTPDNS says what decide does, which is what DNS says.
func TestAgrees(t *testing.T) {
	v := compile(t, snapshot())
	s := serve(t)
	for i := range 250 { // more are too many at once
		ip := netip.AddrFrom4([4]byte{byte(10 + i/100), byte(i % 4), byte(i), 1})
		d := decide.Answer(v, decide.Query{Domain: "www.shop.example", Client: ip, Now: noon})
		if a := decode(t, get(s, "host=www.shop.example&ip="+ip.String())); a.Answers[0].POP != d.POP || a.Answers[0].IPs[0] != d.Nodes[0].Addresses[0] {
			t.Fatalf("%s: %+v, want %s", ip, a.Answers[0], d.POP)
		}
	}
}

// What is wrong is said, with how to mend it.
func TestBadInput(t *testing.T) {
	s := serve(t)
	many := strings.Repeat("a%d.example,", 21)
	var list []any
	for i := range 21 {
		list = append(list, i)
	}
	for query, want := range map[string]string{
		"":                         "host is missing",
		"type=4":                   "host is missing",
		"host=":                    "a name is empty",
		"host=a,,b":                "a name is empty",
		"hosts=www.shop.example":   `there is no parameter "hosts": want host, type`,
		"host=a&type=5":            `type "5": want 4, 6, https`,
		"host=a&type=":             "want 4, 6, https",
		"host=a&type=4&type=6":     "only host may be repeated",
		"host=a&ip=x":              `ip "x": want an address`,
		"host=a&ip=":               "want an address",
		"host=a&ip=fe80::1%25eth0": "want an address",
		"host=a&ip=10.0.0.0/33":    "want an address",
		"host=%zz":                 "is not percent-encoded",
		"host=a%0Ab":               "has the octet 0x0a",
		"host=%C3%A9.example":      "want international names as xn--",
		"host=" + strings.TrimSuffix(fmt.Sprintf(many, list...), ","): "more than 20 hosts",
		"host=" + strings.Repeat("a", 254):                            "longer than any name",
		"host=" + strings.Repeat("a", 9000):                           "at most 8192",
	} {
		w := get(s, query)
		var body struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 400 || !strings.Contains(body.Error, want) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%.60q: %d %s, want %q", query, w.Code, w.Body, want)
		}
	}
}

func signedQuery(key string, until time.Time, query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	values.Set("id", "app-1")
	values.Set("t", fmt.Sprint(until.Unix()))
	values.Set("sign", httpdns.Sign([]byte(key), values))
	return values.Encode()
}

// Wrong, missing and forged signatures get one and the same answer; who has the key is told that the time is wrong.
func TestSignature(t *testing.T) {
	s := serve(t, signed)
	good := signedQuery(appKey, noon.Add(time.Minute), "host=www.shop.example,www.bound.example&ip=10.1.0.0/16&type=4,6")
	for query, want := range map[string]string{
		good: "",
		signedQuery(appKey, noon, "host=www.shop.example"):                                 "",
		signedQuery(appKey, noon.Add(10*time.Minute), "host=a.b&host=www.shop.example"):    "",
		strings.Replace(good, "host=www", "host=ww%77", 1):                                 "", // the form does not count
		signedQuery(appKey, noon.Add(-time.Second), "host=www.shop.example"):               "past",
		signedQuery(appKey, noon.Add(10*time.Minute+time.Second), "host=www.shop.example"): "past",
		"host=www.shop.example": "not signed",
		"":                      "not signed",
		signedQuery("another key, as long as it", noon, "host=www.shop.example"):  "not signed",
		signedQuery("another key, as long as it", noon.Add(-time.Hour), "host=a"): "not signed",
		strings.Replace(good, "bound", "other", 1):                                "not signed",
		strings.Replace(good, "10.1", "10.2", 1):                                  "not signed",
		good + "&host=more.example":                                               "not signed",
		strings.Replace(good, "id=app-1", "id=app-2", 1):                          "not signed",
		strings.Replace(good, "id=app-1", "id=", 1):                               "not signed",
		strings.Replace(good, "sign=", "sign=00", 1):                              "not signed",
		strings.Replace(good, "sign=", "sign=x", 1):                               "not signed",
		strings.Replace(good, "t=1800000060", "t=1800000061", 1):                  "not signed",
		strings.Replace(good, "type=4%2C6", "", 1):                                "not signed",
		"host=x&type=9": "not signed", // before anything else is looked at
	} {
		w := get(s, query)
		if want == "" {
			if w.Code != 200 {
				t.Errorf("%s: %d %s", query, w.Code, w.Body)
			}
			continue
		}
		if w.Code != 403 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %q", query, w.Code, w.Body, want)
		}
		if nobody := get(s, "").Body.String(); want == "not signed" && w.Body.String() != nobody {
			t.Errorf("%s: %q is not %q", query, w.Body, nobody)
		}
	}
}

// The example of docs/OPERATIONS.md, which signs with openssl.
func TestOpenSSL(t *testing.T) {
	parameters := map[string][]string{"host": {"www.shop.example"}, "ip": {"192.0.2.1"}, "id": {"app-1"}, "t": {"1800000000"}}
	const text = "host=www.shop.example\nid=app-1\nip=192.0.2.1\nt=1800000000"
	if got := httpdns.Canonical(parameters); got != text {
		t.Errorf("canonical %q, want %q", got, text)
	}
	cmd := exec.CommandContext(t.Context(), outside.Program(t, "openssl", "openssl"), "dgst", "-sha256", "-hmac", appKey, "-r")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want, _, _ := strings.Cut(string(out), " "); httpdns.Sign(keys["app-1"], parameters) != want {
		t.Errorf("got %s, openssl says %s", httpdns.Sign(keys["app-1"], parameters), want)
	}
}

func TestOthers(t *testing.T) {
	s := serve(t, func(c *httpdns.Config) {
		c.TTL = func(*view.View, cdn.Domain, *decide.Decision) int { return 60 }
	})
	ask := func(method string, from netip.Addr) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Serve(w, &http.Request{Method: method, URL: &url.URL{RawQuery: "host=www.shop.example"}}, from)
		return w
	}
	if w := ask("POST", peer); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", w.Code, w.Header())
	}
	if w := ask("HEAD", peer); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
	if w := ask("GET", netip.Addr{}); w.Code != 200 || strings.Contains(w.Body.String(), "client_ip") || strings.Contains(w.Body.String(), "scope") {
		t.Errorf("unknown: %d %s", w.Code, w.Body)
	}
	if w := ask("GET", peer); w.Header().Get("Cache-Control") != "private, max-age=60" || !strings.Contains(w.Body.String(), `"jitter":15`) {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	none := serve(t, func(c *httpdns.Config) { c.View = func() *view.View { return nil } })
	if w := get(none, "host=a"); w.Code != 503 {
		t.Errorf("no configuration: %d", w.Code)
	}
	empty := snapshot()
	empty.Fleet.Nodes, empty.Fleet.Policies = nil, nil
	v := compile(t, empty)
	none = serve(t, func(c *httpdns.Config) { c.View = func() *view.View { return v } })
	if w := get(none, "host=www.shop.example"); w.Code != 503 || !strings.Contains(w.Body.String(), "nobody serves it") {
		t.Errorf("no nodes: %d %s", w.Code, w.Body)
	}
	for _, bad := range []map[string][]byte{{"": []byte(appKey)}, {"x": []byte("short")}} {
		if _, err := httpdns.New(httpdns.Config{Keys: bad, Registry: prometheus.NewRegistry()}); err == nil {
			t.Errorf("the keys %v are taken", bad)
		}
	}
}

func FuzzServe(f *testing.F) {
	f.Add("host=www.shop.example&type=4,6,https&ip=192.0.2.1", false)
	f.Add(signedQuery(appKey, noon, "host=www.shop.example"), true)
	f.Add("host=a%0a&ip=::1/0&t=-1&sign=zz&id=app-1", true)
	open, closed := serve(f), serve(f, signed)
	f.Fuzz(func(t *testing.T, query string, sign bool) {
		s := open
		if sign {
			s = closed
		}
		w := get(s, query)
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: %s", query, w.Body)
		}
		switch w.Code {
		case 200, 404, 400, 403:
		default:
			t.Fatalf("%q: %d", query, w.Code)
		}
		if values, err := url.ParseQuery(query); w.Code == 200 && sign && (err != nil || values.Get("sign") != "" && !strings.EqualFold(values.Get("sign"), httpdns.Sign([]byte(appKey), values))) {
			t.Fatalf("%q is taken for signed", query)
		}
	})
}

func BenchmarkServe(b *testing.B) {
	for name, s := range map[string]*httpdns.Server{"open": serve(b), "signed": serve(b, signed)} {
		b.Run(name, func(b *testing.B) {
			query := signedQuery(appKey, noon.Add(time.Minute), "host=www.shop.example&type=4")
			b.ReportAllocs()
			for b.Loop() {
				get(s, query)
			}
		})
	}
}
