package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
)

// TestWhatTheOriginSees: who asks, by which way, and nothing that the visitor made up.
func TestWhatTheOriginSees(t *testing.T) {
	seen := make(chan *http.Request, 1)
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) { seen <- req })
	l1, _ := r.chain(t)
	owner := l1.Explain(cdn.Question{Target: target("/a%20b?x=%7e")}).Next
	r.get(t, r.addr("fra-1"), "/a%20b?x=%7e",
		"Via", "1.0 office", "Cdn-Loop", "other", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "gopher", "Forwarded", "for=6.6.6.6",
		"Accept-Encoding", "gzip, br", "User-Agent", "", "X-Own", "1", "Connection", "X-Secret", "X-Secret", "1", "Te", "trailers", "Cookie", "a=b")
	req := <-seen
	want := http.Header{
		"Via":               {"1.0 office, 1.1 fra-1, 1.1 " + owner},
		"Cdn-Loop":          {"other, nearcast;node=fra-1, nearcast;node=" + owner},
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Proto": {"http"},
		"Accept-Encoding":   {"br, gzip"},
		"X-Own":             {"1"},
		"Cookie":            {"a=b"},
	}
	if diff := cmp.Diff(want, req.Header); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if req.Host != domain || req.RequestURI != "/a%20b?x=~" {
		t.Errorf("the origin was asked for %q of %q", req.RequestURI, req.Host)
	}
}

// TestWhatTheVisitorSees: all of the origin's end-to-end fields, and no other.
func TestWhatTheVisitorSees(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Server", "theirs")
		h.Set("Cache-Control", `max-age=60, private="X-Personal"`)
		h.Set("Via", "1.1 balancer")
		h.Set("Cache-Status", "theirs; hit")
		h.Set("X-Personal", "1")
		h.Set("X-Hop", "1")
		h.Set("Connection", "X-Hop")
		h["Link"] = []string{"</a>", "</b>"}
		io.WriteString(w, "x")
	})
	r.start(t, "ams-1")
	first := r.get(t, r.addr("ams-1"), "/a")
	again := r.get(t, r.addr("ams-1"), "/a")
	for _, a := range []answer{first, again} {
		for name, want := range map[string]string{
			"Server": "theirs", "Via": "1.1 balancer, 1.1 ams-1", "X-Hop": "", "Link": "</a>, </b>", "Content-Type": "text/plain; charset=utf-8",
		} {
			if got := strings.Join(a.Header.Values(name), ", "); got != want {
				t.Errorf("%s: %s is %q, want %q", a.word(), name, got, want)
			}
		}
	}
	if first.status() != `theirs; hit, ams-1; fwd=uri-miss; fwd-status=200; stored` {
		t.Errorf("first: Cache-Status %q", first.status())
	}
	if !strings.HasPrefix(again.status(), "ams-1; hit; ttl=") || again.Header.Get("X-Personal") != "" {
		t.Errorf("again: Cache-Status %q, X-Personal %q", again.status(), again.Header.Get("X-Personal"))
	}
}

// TestRequestForms: the forms of RFC 9112 section 3.2, and the oldest protocol.
func TestRequestForms(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s of %s via %s", req.RequestURI, req.Host, req.Header.Get("Via"))
	})
	r.start(t, "ams-1")
	for name, tt := range map[string]struct{ request, want string }{
		"origin":   {"GET /1 HTTP/1.1\r\nHost: " + domain, "/1 of www.shop.example via 1.1 ams-1"},
		"absolute": {"GET http://" + domain + "/2?x HTTP/1.1\r\nHost: " + domain, "/2?x of www.shop.example via 1.1 ams-1"},
		"bare":     {"GET http://" + domain + " HTTP/1.1\r\nHost: " + domain, "/ of www.shop.example via 1.1 ams-1"},
		"conflict": {"GET http://" + domain + "/2?x HTTP/1.1\r\nHost: other.example", "HTTP/1.1 400 "},
		"query":    {"GET http://" + domain + "?q HTTP/1.1\r\nHost: " + domain, "/?q of www.shop.example via 1.1 ams-1"},
		"dots":     {"GET /x/../%33 HTTP/1.1\r\nHost: " + domain, "/3 of www.shop.example via 1.1 ams-1"},
		"old":      {"GET /4 HTTP/1.0\r\nHost: " + domain, "/4 of www.shop.example via 1.0 ams-1"},
		"star":     {"OPTIONS * HTTP/1.1\r\nHost: " + domain, "HTTP/1.1 204 "}, // about the node itself
		"tunnel":   {"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443", "HTTP/1.1 400 "},
		"hostless": {"GET / HTTP/1.1", "HTTP/1.1 400 "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := raw(t, r.addr("ams-1"), tt.request+"\r\nConnection: close\r\n\r\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got:\n%s\nwant %q in it", got, tt.want)
			}
		})
	}
}

// TestHeadAndRangeOfWhatIsNotStored: a HEAD fetches no body, and a range of what nothing is known of
// only what is asked for; of what is stored, only what is missing.
func TestHeadAndRangeOfWhatIsNotStored(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", strings.TrimPrefix(req.URL.Path, "/"))
		http.ServeContent(w, req, "", time.Time{}, strings.NewReader("0123456789"))
	})
	_, addr := r.startAlone(t)
	if a := r.ask(t, http.MethodHead, addr, domain, "/max-age=60"); a.word() != "MISS" || a.Header.Get("Content-Length") != "10" {
		t.Errorf("HEAD: %s, Content-Length %q", a.word(), a.Header.Get("Content-Length"))
	}
	for _, tt := range []struct {
		path, field string
		status      int
		body, word  string
	}{
		{"/max-age=60", "bytes=2-4", 206, "234", "MISS"},
		{"/max-age=60", "bytes=3-4", 206, "34", "HIT"},
		{"/max-age=60", "bytes=-1", 206, "9", "MISS"},
		{"/max-age=60", "bytes=-1", 206, "9", "HIT"},
		{"/max-age=60", "bytes=10-", 416, "", "HIT"},
		{"/no-store", "bytes=2-4", 206, "234", "MISS"},
		{"/no-store", "bytes=10-", 416, "invalid range: failed to overlap\n", "MISS"},
		{"/no-store", "", 200, "0123456789", "MISS"},
	} {
		var fields []string
		if tt.field != "" {
			fields = []string{"Range", tt.field}
		}
		a := r.get(t, addr, tt.path, fields...)
		if a.StatusCode != tt.status || a.body != tt.body || a.word() != tt.word {
			t.Errorf("%s of %s: %s %q %s, want %d %q %s", tt.field, tt.path, a.Status, a.body, a.word(), tt.status, tt.body, tt.word)
		}
	}
	if n := r.origin.requests("/max-age=60"); n != 3 {
		t.Errorf("%d origin requests, want the HEAD and two ranges", n)
	}
}

// TestUnsafeBodiesAndInvalidation: a body reaches the origin whole, and what a successful
// change points to on the same host is forgotten (RFC 9111 section 4.4).
func TestUnsafeBodiesAndInvalidation(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			cacheable(w, req)
			return
		}
		body, err := io.ReadAll(req.Body)
		w.Header().Set("Location", "/moved#part")
		w.Header().Set("Content-Location", "http://shop.example/kept")
		if req.URL.Path == "/refused" {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(w, req.Method, " ", len(body), " ", err)
	})
	r.sites[0].Domains = append(r.sites[0].Domains, "shop.example")
	r.start(t, "ams-1")
	addr := r.addr("ams-1")
	words := func() (got string) {
		for _, url := range []string{domain + " /a", domain + " /moved", "shop.example /kept", domain + " /refused"} {
			host, path, _ := strings.Cut(url, " ")
			got += r.ask(t, http.MethodGet, addr, host, path).word() + " "
		}
		return got
	}
	send := func(method, path string, size int, want string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader(strings.Repeat("b", size)))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = domain
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != want || err != nil || resp.Header.Get("X-Cache") != "PASS" {
			t.Errorf("%q %v %v, want %q", body, err, resp.Header, want)
		}
	}
	words()
	send(http.MethodPost, "/refused", 10, "POST 10 <nil>")
	if got := words(); got != "HIT HIT HIT HIT " {
		t.Errorf("after a refused POST: %s", got)
	}
	send(http.MethodPut, "/a", 1<<20, "PUT 1048576 <nil>")
	if got := words(); got != "MISS MISS HIT HIT " {
		t.Errorf("after a PUT: %s", got)
	}
	send("PROPPATCH", "/a", 0, "PROPPATCH 0 <nil>")
	if got := words(); got != "MISS MISS HIT HIT " {
		t.Errorf("after an unknown method: %s", got)
	}
	send(http.MethodOptions, "/a", 0, "OPTIONS 0 <nil>")
	if got := words(); got != "HIT HIT HIT HIT " {
		t.Errorf("after a safe method: %s", got)
	}
}
