package redirect_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/internal/signedurl"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/view"
)

var (
	key  = []byte("a key of the fleet's, for tests.")
	noon = time.Unix(1_800_000_000, 0)
)

// snapshot is three POPs of a node each, and a site for each kind of redirection.
func snapshot() *cdn.Snapshot {
	s := &cdn.Snapshot{Generation: 1}
	s.Fleet.Zone, s.Fleet.HTTPPort = "cdn.test", 8080
	for i := range 3 {
		name := fmt.Sprintf("p%d", i)
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: cdn.POPName(name), Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(i * 60)}})
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{
			Name: cdn.NodeName(name + "-1"), POP: cdn.POPName(name), Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})},
		})
		s.Fleet.Clients = append(s.Fleet.Clients, cdn.ClientPrefix{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16), Location: cdn.Location{Longitude: float64(i * 60)},
		})
	}
	add := func(name string, r cdn.Redirection) {
		s.Sites = append(s.Sites, cdn.Site{Name: cdn.SiteName(name), Domains: []cdn.Domain{cdn.Domain(name + ".example")}, Redirection: r})
	}
	add("all", cdn.Redirection{})
	add("off", cdn.Redirection{Off: true})
	add("paths", cdn.Redirection{Paths: []string{"/video/", "/iso/"}})
	add("big", cdn.Redirection{MinSize: 1 << 20})
	add("bigvideo", cdn.Redirection{MinSize: 1 << 20, Paths: []string{"/video/"}})
	add("signed", cdn.Redirection{Signed: true})
	add("short", cdn.Redirection{Signed: true, Lifetime: cdn.Duration(5 * time.Second)})
	return s
}

func compile(tb testing.TB, s *cdn.Snapshot) *view.View {
	tb.Helper()
	p, err := view.Compile(s)
	if err != nil {
		tb.Fatal(err)
	}
	return view.Join(p, nil)
}

func request(line, host string) *redirect.Request {
	method, target, _ := strings.Cut(line, " ")
	return &redirect.Request{Method: method, Host: host, Target: target, Client: netip.MustParseAddr("10.1.0.9"), Now: noon}
}

func TestDecide(t *testing.T) {
	v := compile(t, snapshot())
	const zone = ".cdn.test:8080"
	for _, test := range []struct {
		line, host string
		status     int
		want       string // Location, or "relay" and what follows, or a part of the problem
	}{
		{"GET /a?b=c", "all.example", 302, "http://p1-1.all.example" + zone + "/a?b=c"},
		{"HEAD /a", "all.example", 302, "http://p1-1.all.example" + zone + "/a"},
		{"POST /a", "all.example", 307, "http://p1-1.all.example" + zone + "/a"},
		{"PUT /a", "all.example", 307, "http://p1-1.all.example" + zone + "/a"},
		{"GET /", "ALL.Example.:99", 302, "http://p1-1.all.example" + zone + "/"},
		{"GET /", "all.example.cdn.test", 302, "http://p1-1.all.example" + zone + "/"},
		{"GET ?q", "all.example", 302, "http://p1-1.all.example" + zone + "/?q"},
		{"GET http://evil.example/p", "all.example", 400, "does not start"},
		{"GET //evil.example/a", "all.example", 302, "http://p1-1.all.example" + zone + "//evil.example/a"},
		{`GET /\evil.example@x`, "all.example", 302, "http://p1-1.all.example" + zone + "/%5Cevil.example@x"},
		{"GET /x/../%7ea/%2f?%41", "all.example", 302, "http://p1-1.all.example" + zone + "/~a/%2F?A"},
		{"GET /a?", "all.example", 302, "http://p1-1.all.example" + zone + "/a?"},
		{"GET /%0d%0aSet-Cookie:x", "all.example", 302, "http://p1-1.all.example" + zone + "/%0D%0ASet-Cookie:x"},
		{"GET /\r\nX: y", "all.example", 400, "percent-encoded"},
		{"GET @evil.example/", "all.example", 400, "does not start"},
		{"GET *", "all.example", 400, "does not start"},
		{"GET evil.example:80", "all.example", 400, "does not start"},
		{"GET /%zz", "all.example", 400, "hexadecimal"},
		{"GET /", "evil.example", 404, `"evil.example" is not configured`},
		{"GET /", "all.example.evil.example", 404, "not configured"},
		{"GET /", "cdn.test", 404, "not configured"},
		{"GET /", "192.0.2.1", 404, "not configured"},
		{"GET /", "all.example@evil.example", 400, "label"},
		{"GET /", "", 400, "is empty"},
		{"GET /", "p1-1.all.example.cdn.test", 508, "leads to a scheduler"},
		{"GET /", "p9-1.all.example.cdn.test", 404, "not configured"},

		{"GET /a", "off.example", 302, "relay http://off.example/a 0B"},
		{"GET /a", "paths.example", 302, "relay http://paths.example/a 0B"},
		{"GET /video/a", "paths.example", 302, "http://p1-1.paths.example" + zone + "/video/a"},
		{"POST /iso/a", "paths.example", 307, "http://p1-1.paths.example" + zone + "/iso/a"},
		{"GET /video/../a", "paths.example", 302, "relay http://paths.example/a 0B"},
		{"GET /a?b", "big.example", 302, "relay http://big.example/a?b 1MiB http://p1-1.big.example" + zone + "/a?b"},
		{"HEAD /a", "big.example", 302, "relay http://big.example/a 0B"},
		{"POST /a", "big.example", 307, "relay http://big.example/a 0B"},
		{"GET /a", "bigvideo.example", 302, "relay http://bigvideo.example/a 0B"},
		{"GET /video/a", "bigvideo.example", 302, "relay http://bigvideo.example/video/a 1MiB http://p1-1.bigvideo.example" + zone + "/video/a"},
	} {
		o := redirect.Decide(v, key, request(test.line, test.host))
		got := o.Location
		switch {
		case o.Problem != "":
			if o.Location != "" || o.Relay != nil || o.POP != "" || !strings.Contains(o.Problem, test.want) {
				t.Errorf("%q of %q: %+v, want %q", test.line, test.host, o, test.want)
			}
			got = test.want
		case o.Relay != nil:
			got = strings.TrimSpace(fmt.Sprintf("relay %s %s %s", o.Relay.Target, o.Relay.MinSize, o.Location))
			if len(o.Relay.Nodes) != 1 || o.Relay.Nodes[0] != netip.MustParseAddrPort("192.0.2.1:8080") {
				t.Errorf("%q of %q is relayed to %v", test.line, test.host, o.Relay.Nodes)
			}
		}
		if o.Status != test.status || got != test.want {
			t.Errorf("%q of %q: %d %q, want %d %q", test.line, test.host, o.Status, got, test.status, test.want)
		}
		if o.Problem == "" && (o.POP != "p1" || o.MaxAge != 20) {
			t.Errorf("%q of %q: POP %q, max-age %d", test.line, test.host, o.POP, o.MaxAge)
		}
	}
}

// Who came over TLS goes to TLS, if the fleet speaks it.
func TestSecure(t *testing.T) {
	for _, test := range []struct {
		https *cdn.HTTPS
		want  string
	}{
		{nil, "http://p1-1.all.example.cdn.test:8080/"},
		{&cdn.HTTPS{}, "https://p1-1.all.example.cdn.test/"},
		{&cdn.HTTPS{Port: 8443}, "https://p1-1.all.example.cdn.test:8443/"},
	} {
		s := snapshot()
		s.Fleet.HTTPS = test.https
		r := request("GET /", "all.example")
		r.Secure = true
		if got := redirect.Decide(compile(t, s), key, r).Location; got != test.want {
			t.Errorf("%v: %q, want %q", test.https, got, test.want)
		}
		r.Host = "off.example"
		if o := redirect.Decide(compile(t, s), key, r); o.Relay.Target.Scheme != "https" {
			t.Errorf("relayed as %s", o.Relay.Target)
		}
	}
	s := snapshot()
	s.Fleet.HTTPPort, s.Fleet.HTTPS = 443, &cdn.HTTPS{Port: 80}
	if got := redirect.Decide(compile(t, s), key, request("GET /", "all.example")).Location; got != "http://p1-1.all.example.cdn.test:443/" {
		t.Errorf("%q", got)
	}
}

// ticket is what a Location says in its parameter.
func ticket(t *testing.T, location string) (signedurl.Ticket, bool) {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	rest, has, s := signedurl.Cut(u.RawQuery, u.ForceQuery || u.RawQuery != "")
	uri := u.EscapedPath()
	if has {
		uri += "?" + rest
	}
	return s.Ticket, s.Proves(key, u.Hostname(), uri)
}

// A signature is for the place, and ends; an answer is not kept for longer.
func TestSigned(t *testing.T) {
	v := compile(t, snapshot())
	for host, want := range map[string]struct{ life, reuse int }{"signed.example": {600, 20}, "short.example": {5, 5}} {
		for _, line := range []string{"GET /a?b=c", "GET /a", "GET /a?", "POST /%7ea?x"} {
			o := redirect.Decide(v, key, request(line, host))
			got, ok := ticket(t, o.Location)
			if !ok || got != (signedurl.Ticket{Hop: 1, Expires: noon.Unix() + int64(want.life)}) || o.MaxAge != want.reuse {
				t.Errorf("%s: %q, %+v genuine %t, max-age %d", host, o.Location, got, ok, o.MaxAge)
			}
		}
	}
	if o := redirect.Decide(v, nil, request("GET /a", "signed.example")); o.Relay == nil || o.Location != "" {
		t.Errorf("without a key: %+v", o)
	}
}

// A URL that no node would take with its signature is relayed.
func TestSignedTooLong(t *testing.T) {
	v := compile(t, snapshot())
	for n, long := range map[int]bool{cdn.MaxTarget - signedurl.Room: false, cdn.MaxTarget - signedurl.Room + 1: true, cdn.MaxTarget: true} {
		o := redirect.Decide(v, key, request("GET /"+strings.Repeat("a", n-1), "signed.example"))
		if (o.Relay != nil) != long || o.Problem != "" {
			t.Errorf("%d octets: relayed %t, %q", n, o.Relay != nil, o.Problem)
		}
		if o.Location == "" {
			continue
		}
		u, err := url.Parse(o.Location)
		if err != nil || len(u.RequestURI()) > cdn.MaxTarget {
			t.Errorf("%d octets: Location asks for %d (%v)", n, len(u.RequestURI()), err)
		}
	}
}

// Scripts of any page may follow a redirect; a browser's question what they may do is the node's to answer, since it takes no redirect.
func TestScripts(t *testing.T) {
	v := compile(t, snapshot())
	for origin, want := range map[string]string{
		"": "", "https://player.example": "https://player.example", "null": "null", "http://[2001:db8::1]:8080": "http://[2001:db8::1]:8080",
		"https://a.example, https://b.example": "", "https://a.example https://b.example": "", "https://\xe9.example": "", strings.Repeat("a", 301): "",
	} {
		for _, host := range []string{"all.example", "signed.example", "big.example"} {
			r := request("GET /a", host)
			r.Origin = origin
			if o := redirect.Decide(v, key, r); o.Location == "" || o.Origin != want {
				t.Errorf("%q of %s: %+v", origin, host, o)
			}
		}
	}
	for _, host := range []string{"all.example", "signed.example", "big.example", "off.example"} {
		r := request("OPTIONS /a", host)
		r.Origin, r.Preflight = "https://player.example", true
		if o := redirect.Decide(v, key, r); o.Relay == nil || o.Location != "" || o.Relay.MinSize != 0 || o.Origin != "" {
			t.Errorf("%s: %+v", host, o)
		}
	}
}

// A node that sends everybody back, and a scheduler that redirects again, end after two rounds. An old link begins anew.
func TestRounds(t *testing.T) {
	v := compile(t, snapshot())
	uri := "/a?b"
	for round := 1; ; round++ {
		o := redirect.Decide(v, key, request("GET "+uri, "signed.example"))
		if o.Status == http.StatusLoopDetected {
			if round != 3 {
				t.Errorf("ended in round %d", round)
			}
			break
		}
		if round > 3 {
			t.Fatal("does not end")
		}
		got, ok := ticket(t, o.Location)
		if !ok || got.Hop != round || strings.Count(o.Location, signedurl.Name) != 1 {
			t.Fatalf("round %d: %q", round, o.Location)
		}
		uri = signedurl.Mark("/a?b", got) // what the node makes of it
	}
	r := request("GET "+uri, "signed.example")
	r.Now = noon.Add(11 * time.Minute)
	if got, ok := ticket(t, redirect.Decide(v, key, r).Location); !ok || got.Hop != 1 {
		t.Errorf("an old link is %+v", got)
	}
}

func TestNobody(t *testing.T) {
	if o := redirect.Decide(nil, key, request("GET /", "all.example")); o.Status != 503 || !strings.Contains(o.Problem, "no configuration") {
		t.Errorf("%+v", o)
	}
	s := snapshot()
	s.Fleet.Nodes = nil
	if o := redirect.Decide(compile(t, s), key, request("GET /", "all.example")); o.Status != 503 || !strings.Contains(o.Problem, "no edge node") {
		t.Errorf("%+v", o)
	}
	s = snapshot()
	for i := range s.Fleet.Nodes {
		s.Fleet.Nodes[i].Addresses = nil
	}
	if o := redirect.Decide(compile(t, s), key, request("GET /", "off.example")); o.Status != 503 || o.Relay != nil || !strings.Contains(o.Problem, "no address") {
		t.Errorf("%+v", o)
	}
}

// FuzzDecide: whatever is asked for, a Location is a URL of a node of the fleet under a domain of a site, as a browser reads it.
func FuzzDecide(f *testing.F) {
	for _, target := range []string{
		"/", "/a?b", "//evil.example", `/\evil.example`, "/\r\nLocation: x", "/%0d%0a", "/@evil.example", "http://u@evil.example/x", "http://evil.example:80@all.example/", "/%", "*",
		"//%5c..//evil", "/?nearcast-sign=AQAAAAAAAAE", "/..//evil", "https:evil.example", "/#@evil", "/.evil.example/..", "",
	} {
		f.Add("GET", "all.example", target, false)
		f.Add("POST", "signed.example:1", target, true)
		f.Add("GET", "big.example.cdn.test", target, true)
	}
	f.Add("GET", "p1-1.all.example.cdn.test", "/", false)
	f.Add("GET", "all.example@evil.example", "/", false)
	s := snapshot()
	s.Fleet.HTTPS = &cdn.HTTPS{}
	v := compile(f, s)
	hosts := make(map[string]bool)
	addrs := make(map[netip.AddrPort]bool)
	domains := make(map[cdn.Domain]bool)
	for i := range s.Fleet.Nodes {
		addrs[netip.AddrPortFrom(s.Fleet.Nodes[i].Addresses[0], 8080)] = true
		addrs[netip.AddrPortFrom(s.Fleet.Nodes[i].Addresses[0], 443)] = true
		for j := range s.Sites {
			d := s.Sites[j].Domains[0]
			domains[d] = true
			name := string(s.Fleet.Nodes[i].Name) + "." + string(d) + ".cdn.test"
			hosts["http://"+name+":8080"], hosts["https://"+name] = true, true
		}
	}
	f.Fuzz(func(t *testing.T, method, host, target string, secure bool) {
		client, _ := netip.ParseAddr(host)
		r := &redirect.Request{Method: method, Host: host, Target: target, Client: client, Secure: secure, Now: noon}
		o := redirect.Decide(v, key, r)
		if (o.Problem != "") != (o.Status != 302 && o.Status != 307) || o.Problem != "" && (o.Location != "" || o.Relay != nil) {
			t.Fatalf("%+v", o)
		}
		if o.Relay != nil {
			for _, n := range o.Relay.Nodes {
				if !addrs[n] || secure != (n.Port() == 443) || secure != o.Relay.Secure {
					t.Fatalf("relayed to %s", n)
				}
			}
			if !domains[o.Relay.Target.Domain] || !strings.HasPrefix(o.Relay.Target.Path, "/") {
				t.Fatalf("relayed as %s", o.Relay.Target)
			}
		}
		if o.Location == "" {
			return
		}
		for i := range len(o.Location) {
			if c := o.Location[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
				t.Fatalf("%q has the octet %#02x", o.Location, c)
			}
		}
		_, rest, _ := strings.Cut(o.Location, "://")
		end := strings.IndexAny(rest, `/\?#`) // where a browser takes the host to end
		if origin := o.Location[:len(o.Location)-len(rest)+end]; !hosts[origin] || rest[end] != '/' {
			t.Fatalf("%q leads to %q", o.Location, origin)
		}
		if u, err := url.Parse(o.Location); err != nil || !hosts[u.Scheme+"://"+u.Host] || u.User != nil {
			t.Fatalf("%q: %v", o.Location, err)
		}
	})
}

// An ordinary redirect costs the Location, beside what deciding for a POP does.
func TestAllocations(t *testing.T) {
	v := compile(t, snapshot())
	r := request("GET /videos/a?session=1", "all.example")
	most := 1 + testing.AllocsPerRun(100, func() { decide.Answer(v, decide.Query{Domain: "all.example", Client: r.Client, Now: r.Now}) })
	if got := testing.AllocsPerRun(100, func() { redirect.Decide(v, key, r) }); got > most {
		t.Errorf("%g allocations, want at most %g", got, most)
	}
}

func BenchmarkDecide(b *testing.B) {
	v := compile(b, snapshot())
	for _, host := range []string{"all.example", "off.example", "signed.example"} {
		b.Run(host, func(b *testing.B) {
			r := request("GET /videos/a/b/c/segment-00001.ts?session=12345678", host)
			b.ReportAllocs()
			for b.Loop() {
				redirect.Decide(v, key, r)
			}
		})
	}
}
