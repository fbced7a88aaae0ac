package suites_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nearcast/loadtest/labtest"
)

// site is an origin with a page of several parts; the page writes down by which protocol each part came.
type site struct{}

const pageParts = 10

func (site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	switch {
	case r.URL.Path == "/page.html":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>page</title><link rel=stylesheet href=style.css><link rel=icon href=data:,><script src=script.js></script><body>")
		for i := range pageParts {
			fmt.Fprintf(w, "<img src=part%d.svg>", i)
		}
	case r.URL.Path == "/style.css":
		w.Header().Set("Content-Type", "text/css")
		io.WriteString(w, "body { color: black }"+strings.Repeat("/* long */", 5000))
	case r.URL.Path == "/script.js":
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, `onload = () => {
			const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
			const list = document.createElement("pre");
			list.textContent = all.map(e => "[" + new URL(e.name).pathname + " " + e.nextHopProtocol + "]").join("");
			document.body.appendChild(list);
		}`)
	case strings.HasPrefix(r.URL.Path, "/part"):
		w.Header().Set("Content-Type", "image/svg+xml")
		io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`)
	default:
		http.NotFound(w, r)
	}
}

// startSite runs an edge with TLS in front of the site.
func startSite(t *testing.T) edge {
	t.Helper()
	e := startEdge(t)
	serve(t, e.originPort, site{})
	return e
}

// access is what is wanted of a line of the access log.
type access struct {
	URL      string `json:"url"`
	Status   int    `json:"status"`
	Protocol string `json:"protocol"`
}

// logged waits until the edge has logged n requests and returns them.
func (e edge) logged(t *testing.T, n int) []access {
	t.Helper()
	var lines []access
	labtest.Eventually(t, 10*time.Second, fmt.Sprintf("%d lines are in the access log", n), func() bool {
		lines = nil
		text, err := os.ReadFile(e.accessLog)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			var a access
			if json.Unmarshal([]byte(line), &a) == nil { // the last one may be half written
				lines = append(lines, a)
			}
		}
		return len(lines) >= n
	})
	return lines
}

// overHTTP2 reports whether the log says that a request came over HTTP/2.
func (a access) overHTTP2() bool {
	return strings.HasPrefix(a.Protocol, "HTTP/2") || a.Protocol == "h2"
}

// TestBrowser lets a browser load a page with all its parts over HTTP/2.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	needs(t, "chromium")
	e := startSite(t)
	came := browse(t, "https://"+e.tls+"/page.html")
	if want := pageParts + 3; len(came) != want {
		t.Errorf("the browser has loaded %d parts, want %d: %v", len(came), want, came)
	}
	for path, protocol := range came {
		if protocol != "h2" {
			t.Errorf("%s came over %q, want h2", path, protocol)
		}
	}
	for _, a := range e.logged(t, pageParts+3) {
		if a.Status != http.StatusOK || !a.overHTTP2() {
			t.Errorf("the access log has %+v, want status 200 and a protocol that is HTTP/2", a)
		}
	}
}

// browse loads a page and returns by which protocol each part of it came.
func browse(t *testing.T, url string) map[string]string {
	t.Helper()
	out := output(t, nil, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=10000", "--dump-dom", url)
	came := map[string]string{}
	for _, m := range regexp.MustCompile(`\[(/\S*) ([^\]\s]*)\]`).FindAllStringSubmatch(out, -1) {
		came[m[1]] = m[2]
	}
	if len(came) == 0 {
		t.Fatalf("the page did not say what it has loaded:\n%s", out)
	}
	return came
}

// TestCurl asks in every protocol with curl.
func TestCurl(t *testing.T) {
	needs(t, "curl")
	e := startSite(t)
	for _, tt := range []struct{ name, url, flag, version string }{
		{"http", "http://" + e.addr, "--http1.1", "1.1"},
		{"http 1.0", "http://" + e.addr, "--http1.0", "1.1"}, // RFC 9110 section 2.5: a server says its own version
		{"https", "https://" + e.tls, "--http1.1", "1.1"},
		{"https http2", "https://" + e.tls, "--http2", "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // a miss and a hit, or two hits
				out := output(t, nil, "curl", "-sSk", tt.flag, "-o", "/dev/null", "-w", "%{http_code} %{http_version} %{size_download}", tt.url+"/style.css")
				if want := fmt.Sprintf("200 %s %d", tt.version, len("body { color: black }")+50_000); out != want {
					t.Errorf("got %q, want %q", out, want)
				}
			}
		})
	}
	var over2 int
	lines := e.logged(t, 8)
	for _, a := range lines {
		if a.overHTTP2() {
			over2++
		}
	}
	if len(lines) != 8 || over2 != 2 {
		t.Errorf("the access log has %d requests over HTTP/2 of %d, want 2 of 8: %+v", over2, len(lines), lines)
	}
}

// TestGoClient asks in every protocol with Go's client.
func TestGoClient(t *testing.T) {
	e := startSite(t)
	for _, tt := range []struct {
		name, url string
		major     int
	}{{"http", "http://" + e.addr, 1}, {"https", "https://" + e.tls, 1}, {"https http2", "https://" + e.tls, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(tt.major == 1)
			protocols.SetHTTP2(tt.major == 2)
			client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
				Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}}
			defer client.CloseIdleConnections()
			var says []string
			for range 2 {
				resp, err := client.Get(tt.url + "/style.css")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != tt.major || !strings.HasPrefix(string(body), "body {") {
					t.Errorf("got %s over %s with %d octets, %v", resp.Status, resp.Proto, len(body), err)
				}
				says = append(says, resp.Header.Get("Cache-Status"))
			}
			if !slices.ContainsFunc(says, func(s string) bool { return strings.Contains(s, "hit") }) {
				t.Errorf("no hit: Cache-Status %q", says)
			}
		})
	}
}

// TestNeeds holds the Makefile to what these tests look for.
func TestNeeds(t *testing.T) {
	makefile, err := os.ReadFile(labtest.Root(t) + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"curl", "chromium", "h2spec"} {
		if !strings.Contains(string(makefile), tool) {
			t.Errorf("the Makefile does not install %s", tool)
		}
	}
}
