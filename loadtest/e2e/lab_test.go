package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/loadtest/labtest"
)

// Visitors of the lab's client prefixes, and one of whom nothing is known.
var (
	nearFrankfurt = netip.MustParsePrefix("192.0.2.0/24")
	nearLondon    = netip.MustParsePrefix("198.51.100.0/24")
)

func TestFromDomainToHitToPurge(t *testing.T) {
	lab := labtest.Start(t)
	var version atomic.Int64
	body := func() []byte { return bytes.Repeat(fmt.Appendf(nil, "version %d ", version.Load()), 5000) }
	origin := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(body())
	})
	const domain = "www.shop.example"
	addDomain(t, lab, domain, origin.URL)

	addrs := lab.Addresses(t, domain, nearFrankfurt)
	if len(addrs) == 0 {
		t.Fatal("DNS has no address for the new domain")
	}
	fra := []string{lab.Node(t, "fra-1").HTTP, lab.Node(t, "fra-2").HTTP}
	for _, a := range addrs {
		if at := a.String() + ":" + lab.HTTPPort(t); at != fra[0] && at != fra[1] {
			t.Errorf("a visitor near Frankfurt is sent to %s, want one of %v", at, fra)
		}
	}
	if got := lab.Addresses(t, domain, nearLondon); len(got) != 1 || got[0].String()+":"+lab.HTTPPort(t) != lab.Node(t, "lon-1").HTTP {
		t.Errorf("a visitor near London is sent to %v, want lon-1 alone", got)
	}

	at := addrs[0].String() + ":" + lab.HTTPPort(t)
	for _, want := range []string{"MISS", "HIT"} {
		resp, got := lab.Fetch(t, at, domain, "/a")
		if resp.Header.Get("X-Cache") != want || !bytes.Equal(got, body()) {
			t.Errorf("X-Cache %q with %d bytes, want %s with %d", resp.Header.Get("X-Cache"), len(got), want, len(body()))
		}
	}
	for _, n := range lab.Nodes { // warm all of them, then purge
		lab.Fetch(t, n.HTTP, domain, "/a")
	}
	version.Add(1)
	purged := time.Now()
	lab.Run(t, "purge", "url", "http://"+domain+"/a")
	for _, n := range lab.Nodes {
		labtest.Eventually(t, time.Second-time.Since(purged), "new content after the purge at "+string(n.Name), func() bool {
			resp, got := lab.Fetch(t, n.HTTP, domain, "/a")
			fresh := bytes.Equal(got, body())
			if n.Tier == cdn.TierEdge && fresh && resp.Header.Get("X-Cache") != "MISS" {
				t.Errorf("the first new content at %s is a %s, want a MISS", n.Name, resp.Header.Get("X-Cache"))
			}
			return fresh
		})
	}
	// A regional node that does not own the key is not asked by edge nodes, but was by this test.
	if n := origin.requests("/a"); n != 4 {
		t.Errorf("%d origin requests, want one for each regional node and version: 4", n)
	}
}

func TestFieldsOfAResponse(t *testing.T) {
	lab := labtest.Start(t)
	resp, _ := lab.Fetch(t, lab.EdgeNodes()[0].HTTP, "www.web.example", "/LICENSE")
	if via := resp.Header.Values("Via"); len(via) == 0 || !strings.Contains(strings.Join(via, ","), string(lab.EdgeNodes()[0].Name)) {
		t.Errorf("Via %q does not name the edge node", via)
	}
	if cs := strings.Join(resp.Header.Values("Cache-Status"), ", "); strings.Count(cs, "fwd=") != 2 {
		t.Errorf("Cache-Status %q, want a forwarding member of each tier", cs)
	}
	resp, _ = lab.Fetch(t, lab.EdgeNodes()[0].HTTP, "www.web.example", "/LICENSE")
	if cs := resp.Header.Get("Cache-Status"); !strings.Contains(cs, "; hit") {
		t.Errorf("Cache-Status %q, want a hit", cs)
	}
	if age := resp.Header.Get("Age"); age == "" {
		t.Error("no Age on a hit")
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	lab := labtest.Start(t)
	resp, body := lab.Fetch(t, lab.EdgeNodes()[0].HTTP, "nobody.example", "/")
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "nobody.example") {
		t.Errorf("unknown domain at an edge: %s %q, want 404 with a body that says so", resp.Status, body)
	}
	m := lab.Lookup(t, "nobody.example."+string(lab.Zone), dns.TypeA, netip.Prefix{})
	if m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
		t.Errorf("unknown name in the zone:\n%v\nwant NXDOMAIN with SOA", m)
	}
	if m := lab.Lookup(t, "www.elsewhere.example", dns.TypeA, netip.Prefix{}); m.Rcode != dns.RcodeRefused {
		t.Errorf("foreign zone:\n%v\nwant REFUSED", m)
	}
	if resp, _ := lab.Fetch(t, strings.TrimPrefix(lab.API.URL, "http://"), "x", "/v1/sites", "Authorization", "Bearer wrong"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong token: %s, want 401", resp.Status)
	}
	for _, n := range lab.Nodes {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if resp, _ := lab.Fetch(t, n.Admin, "x", path); resp.StatusCode != http.StatusOK {
				t.Errorf("%s of %s: %s", path, n.Name, resp.Status)
			}
			if resp, _ := lab.Fetch(t, n.HTTP, "x", path); resp.StatusCode == http.StatusOK {
				t.Errorf("%s of %s is served on the public address", path, n.Name)
			}
		}
	}
}

func TestRedirectFrontLeadsToTheFile(t *testing.T) {
	lab := labtest.Start(t)
	front := strings.TrimPrefix(lab.Redirect, "http://")
	resp, _ := lab.Fetch(t, front, "www.web.example", "/LICENSE?x=1")
	location, err := resp.Location()
	if resp.StatusCode != http.StatusFound || err != nil {
		t.Fatalf("%s, Location %v (%v), want 302", resp.Status, location, err)
	}
	m := lab.Lookup(t, location.Hostname(), dns.TypeA, netip.Prefix{})
	if len(m.Answer) != 1 {
		t.Fatalf("DNS for %s:\n%v\nwant one address", location.Hostname(), m)
	}
	node := m.Answer[0].(*dns.A).A.String() + ":" + location.Port()
	got, body := lab.Fetch(t, node, location.Host, location.RequestURI())
	want, err := os.ReadFile(filepath.Join(goroot(t), "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		t.Errorf("following the redirect: %s, %d bytes, want the file's %d", got.Status, len(body), len(want))
	}
}

func TestOriginDown(t *testing.T) {
	lab := labtest.Start(t)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1, stale-if-error=600")
		io.WriteString(w, "kept")
	})
	const domain = "www.down.example"
	addDomain(t, lab, domain, origin.URL)
	edge := lab.EdgeNodes()[0].HTTP
	lab.Fetch(t, edge, domain, "/kept")
	origin.Close()

	resp, body := lab.Fetch(t, edge, domain, "/never-seen")
	if resp.StatusCode != http.StatusBadGateway && resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("nothing stored, origin down: %s, want 502 or 504", resp.Status)
	}
	if resp.Header.Get("Cache-Status") == "" {
		t.Errorf("%s without Cache-Status: %s", resp.Status, body)
	}
	labtest.Eventually(t, 10*time.Second, "stale content", func() bool {
		resp, body := lab.Fetch(t, edge, domain, "/kept")
		if resp.StatusCode != http.StatusOK || string(body) != "kept" {
			t.Fatalf("stored, origin down: %s %q, want what is stored", resp.Status, body)
		}
		return strings.Contains(strings.Join(resp.Header.Values("Cache-Status"), ","), "detail=") // some tier says why it is stale
	})
}

func TestTakenPort(t *testing.T) {
	lab := labtest.Start(t)
	cmd := exec.CommandContext(t.Context(), lab.Program, "up", "--dir", t.TempDir(), "--port-base", strconv.Itoa(lab.PortBase))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), lab.DNS) || !strings.Contains(string(out), "--port-base") {
		t.Errorf("a second lab on the same ports: %v\n%s\nwant an error that names the ports", err, out)
	}
	cmd = exec.CommandContext(t.Context(), lab.Program, "up", "--dir", lab.Dir, "--port-base", "9000")
	if out, err = cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "already runs") {
		t.Errorf("a second lab in the same directory: %v\n%s\nwant an error that says so", err, out)
	}
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
