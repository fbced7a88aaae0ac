package edge_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
)

// raw sends octets and returns everything that comes back.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, request)
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// chain starts an edge node and both regional ones.
func (r *rig) chain(t *testing.T, options ...func(*edge.Config)) (l1 *edge.Server, l2 map[string]*edge.Server) {
	t.Helper()
	l2 = map[string]*edge.Server{}
	for _, name := range []string{"ams-1", "ams-2"} {
		l2[name] = r.start(t, name)
	}
	return r.start(t, "fra-1", options...), l2
}

func TestThroughBothTiers(t *testing.T) {
	r := newRig(t, cacheable)
	l1, _ := r.chain(t)
	a := r.get(t, r.addr("fra-1"), "/a")
	owner := l1.Explain(cdn.Question{Target: cdn.Target{Scheme: "http", Domain: domain, Path: "/a"}}).Next
	if a.word() != "MISS" || a.body != "body of /a" || !strings.HasPrefix(a.status(), owner+"; fwd=uri-miss") || !strings.Contains(a.status(), ", fra-1; fwd=uri-miss") {
		t.Errorf("first: %s %q, Cache-Status %q", a.word(), a.body, a.status())
	}
	if via := a.Header.Get("Via"); via != "1.1 "+owner+", 1.1 fra-1" {
		t.Errorf("Via %q", via)
	}
	r.clock.advance(10 * time.Second)
	a = r.get(t, r.addr("fra-1"), "/a")
	if a.word() != "HIT" || !strings.HasPrefix(a.status(), "fra-1; hit; ttl=") || !aboutAge(a, "10") {
		t.Errorf("second: %s, Cache-Status %q, Age %q", a.word(), a.status(), a.Header.Get("Age"))
	}
	// Age counts through the tiers: a node that fills from a ten seconds old copy says so.
	l1.PurgeAll(0)
	a = r.get(t, r.addr("fra-1"), "/a")
	if !aboutAge(a, "10") || !strings.Contains(a.status(), owner+"; hit") {
		t.Errorf("filled from the regional node: Age %q, Cache-Status %q", a.Header.Get("Age"), a.status())
	}
	if n := r.origin.requests("/a"); n != 1 {
		t.Errorf("%d origin requests, want 1", n)
	}
}

func TestHosts(t *testing.T) {
	r := newRig(t, cacheable)
	r.chain(t)
	for _, host := range []string{domain, "WWW.Shop.Example:8080", domain + ".cdn.test", "fra-1." + domain + ".cdn.test"} {
		if a := r.ask(t, http.MethodGet, r.addr("fra-1"), host, "/a"); a.StatusCode != http.StatusOK || a.body != "body of /a" {
			t.Errorf("%s: %s %q", host, a.Status, a.body)
		}
	}
	if n := r.origin.requests("/a"); n != 1 {
		t.Errorf("%d origin requests: the forms of a host do not share a key", n)
	}
	for _, host := range []string{"nobody.example", "cdn.test", "127.0.0.1"} {
		if a := r.ask(t, http.MethodGet, r.addr("fra-1"), host, "/a"); a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, host) {
			t.Errorf("%s: %s %q, want 404 with a body that names it", host, a.Status, a.body)
		}
	}
}

func TestRoutes(t *testing.T) {
	hour, err := cdn.ParseDuration("1h")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, cacheable,
		cdn.Route{Match: cdn.Match{PathPrefix: "/live/"}, Bypass: true},
		cdn.Route{Match: cdn.Match{Extensions: []string{".css"}}, TTL: hour})
	r.clock.stop()
	r.chain(t)
	for range 2 {
		if a := r.get(t, r.addr("fra-1"), "/live/a"); a.word() != "PASS" {
			t.Errorf("bypass: %s", a.word())
		}
	}
	r.get(t, r.addr("fra-1"), "/a.css")
	r.clock.advance(30 * time.Minute)
	if a := r.get(t, r.addr("fra-1"), "/a.css"); a.word() != "HIT" || !strings.Contains(a.status(), "ttl=1800") {
		t.Errorf("ttl rule: %s %s", a.word(), a.status())
	}
}

func TestCookiesOfASiteAreNotShared(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("Set-Cookie", "a=b")
	})
	r.chain(t)
	for control, shared := range map[string]bool{"max-age=60": false, "public,max-age=60": true, "s-maxage=60": true} {
		first := r.get(t, r.addr("fra-1"), "/"+control)
		second := r.get(t, r.addr("fra-1"), "/"+control)
		if hit := second.word() == "HIT"; hit != shared {
			t.Errorf("Set-Cookie with %s: shared %v, want %v\nfirst %v\nthen %v", control, hit, shared, first.Header, second.Header)
		}
	}
}

func TestRegionalNodesFail(t *testing.T) {
	r := newRig(t, cacheable)
	r.start(t, "ams-1") // ams-2 is not there
	r.start(t, "fra-1")
	for _, path := range []string{"/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"} {
		if a := r.get(t, r.addr("fra-1"), path); a.StatusCode != http.StatusOK || !strings.Contains(a.status(), "ams-1") {
			t.Errorf("%s with one regional node: %s %s", path, a.Status, a.status())
		}
	}
}

func TestWithoutRegionalNodesTheOriginIsAsked(t *testing.T) {
	r := newRig(t, cacheable)
	r.start(t, "fra-1")
	if a := r.get(t, r.addr("fra-1"), "/a"); a.StatusCode != http.StatusOK || strings.Contains(a.status(), "ams") {
		t.Errorf("%s %s", a.Status, a.status())
	}
}

func TestUnusableParentsAreLeftAlone(t *testing.T) {
	r := newRig(t, cacheable)
	r.chain(t, func(cfg *edge.Config) { cfg.Usable = func(n cdn.NodeName) bool { return n != "ams-1" } })
	for _, path := range []string{"/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"} {
		if a := r.get(t, r.addr("fra-1"), path); !strings.HasPrefix(a.status(), "ams-2") {
			t.Errorf("%s: %s", path, a.status())
		}
	}
}

func TestLoop(t *testing.T) {
	r := newRig(t, cacheable)
	r.chain(t)
	if a := r.get(t, r.addr("fra-1"), "/a", "Cdn-Loop", "other, nearcast;node=fra-1"); a.StatusCode != http.StatusLoopDetected {
		t.Errorf("%s, want 508 (RFC 8586)", a.Status)
	}
}

func TestForgedHopIsIgnored(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("Nearcast-Hop"))
	})
	r.chain(t)
	forged := "fra-1 1700000000 99 http 0000000000000000000000000000000000000000000000000000000000000000"
	a := r.get(t, r.addr("ams-1"), "/a", "Nearcast-Hop", forged, "X-Forwarded-For", "6.6.6.6")
	if strings.Contains(a.body, "6.6.6.6") || strings.Contains(a.body, "fra-1") {
		t.Errorf("the origin saw %q", a.body)
	}
	// Through both tiers the origin sees the visitor, as the edge node saw it.
	if a := r.get(t, r.addr("fra-1"), "/a", "X-Forwarded-For", "6.6.6.6"); a.body != "127.0.0.1 " {
		t.Errorf("the origin saw %q, want the visitor's own address", a.body)
	}
}
