package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// hinting is an origin that says 103 twice before it answers, and lets go of its answer when it is told to.
type hinting struct{ answers chan struct{} }

func newHinting() hinting { return hinting{make(chan struct{}, 100)} }

func (o hinting) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	for _, link := range []string{"</style.css>; rel=preload", "</script.js>; rel=preload"} {
		h.Set("Link", link)
		h.Set("X-Hop", "1")
		h.Set("Connection", "X-Hop")
		w.WriteHeader(http.StatusEarlyHints)
	}
	select {
	case <-o.answers:
	case <-req.Context().Done():
	}
	for _, name := range []string{"Link", "X-Hop", "Connection"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "max-age=60")
	fmt.Fprint(w, "body of ", req.URL.Path)
}

// reply is a response as it came, interim ones included.
type reply struct {
	status int
	link   string
	header http.Header
	body   string
}

// readReply reads the next response, of which an interim one has no body.
func readReply(t *testing.T, in *bufio.Reader, method string) reply {
	t.Helper()
	resp, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	p := reply{status: resp.StatusCode, link: strings.Join(resp.Header["Link"], "|"), header: resp.Header}
	if p.status >= 200 {
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		p.body = string(b)
	}
	return p
}

// expectHints reads the two interim responses of [hinting].
func expectHints(t *testing.T, in *bufio.Reader, method string) {
	t.Helper()
	for _, link := range []string{"</style.css>; rel=preload", "</script.js>; rel=preload"} {
		p := readReply(t, in, method)
		if p.status != http.StatusEarlyHints || p.link != link || p.header["X-Hop"] != nil || p.header["Connection"] != nil {
			t.Errorf("%d %v, want 103 with %s", p.status, p.header, link)
		}
	}
}

// TestEarlyHints: each 103 reaches the visitor before the answer is there (RFC 8297), whichever way the request
// goes, and leaves nothing behind in it.
func TestEarlyHints(t *testing.T) {
	for _, node := range []string{"ams-1", "fra-1"} {
		o := newHinting()
		r := newRig(t, o.ServeHTTP, cdn.Route{Match: cdn.Match{PathPrefix: "/pass"}, Bypass: true})
		r.chain(t)
		for name, request := range map[string]string{
			"miss": "GET /miss", "pass": "GET /pass", "POST": "POST /post", "HEAD": "HEAD /head",
		} {
			t.Run(node+" "+name, func(t *testing.T) {
				method, path, _ := strings.Cut(request, " ")
				_, in := dialled(t, r.addr(node), request+" HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				expectHints(t, in, method)
				o.answers <- struct{}{} // not before they have been read
				p := readReply(t, in, method)
				want := "body of " + path
				if method == http.MethodHead {
					want = ""
				}
				if p.status != http.StatusOK || p.link != "" || p.header["X-Hop"] != nil || p.body != want {
					t.Errorf("%d %v %q", p.status, p.header, p.body)
				}
			})
		}
	}
}

// TestEarlyHintsAreNotForAll: HTTP/1.0 has none, and from the store they do not come again.
func TestEarlyHintsAreNotForAll(t *testing.T) {
	o := newHinting()
	r := newRig(t, o.ServeHTTP, cdn.Route{Match: cdn.Match{PathPrefix: "/pass"}, Bypass: true})
	r.chain(t)
	for _, tt := range []struct{ path, version, what string }{
		{"/a", "HTTP/1.0", "on a miss with HTTP/1.0"},
		{"/pass", "HTTP/1.0", "on a pass with HTTP/1.0"},
		{"/a", "HTTP/1.1", "on a hit"},
	} {
		o.answers <- struct{}{}
		got := raw(t, r.addr("fra-1"), "GET "+tt.path+" "+tt.version+"\r\nHost: "+domain+"\r\nConnection: close\r\n\r\n")
		if !strings.Contains(got, " 200 ") || strings.Contains(got, " 103 ") || strings.Contains(got, "rel=preload") || !strings.HasSuffix(got, "body of "+tt.path) {
			t.Errorf("%s:\n%s", tt.what, got)
		}
	}
}

// TestEarlyHintsAreForTheOneWhoAsked: a request that waits for another's answer hears nothing of it before it is known that
// the answer is for both. What was hinted to the first, a cookie perhaps, is the first's own.
func TestEarlyHintsAreForTheOneWhoAsked(t *testing.T) {
	for _, control := range []string{"max-age=60", "no-store"} {
		t.Run(control, func(t *testing.T) {
			var asks atomic.Int64
			answers := make(chan struct{}, 2)
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Set-Cookie", fmt.Sprint("session=", asks.Add(1)))
				w.WriteHeader(http.StatusEarlyHints)
				select {
				case <-answers:
				case <-req.Context().Done():
				}
				w.Header().Del("Set-Cookie")
				w.Header().Set("Cache-Control", control)
				io.WriteString(w, "body")
			})
			registry := prometheus.NewRegistry()
			r.start(t, "ams-1", into(registry))
			request := "GET /a HTTP/1.1\r\nHost: " + domain + "\r\nConnection: close\r\n\r\n"
			_, first := dialled(t, r.addr("ams-1"), request)
			if p := readReply(t, first, http.MethodGet); p.status != http.StatusEarlyHints || p.header.Get("Set-Cookie") != "session=1" {
				t.Errorf("the first was told %d %v", p.status, p.header)
			}
			_, second := dialled(t, r.addr("ams-1"), request)
			eventually(t, "the second waits", func() bool { return metric(t, registry, "nearcast_edge_fill_readers") == 2 })
			answers <- struct{}{}
			answers <- struct{}{}
			for i, in := range []*bufio.Reader{first, second} {
				rest, err := io.ReadAll(in)
				if !strings.HasSuffix(string(rest), "\r\n\r\nbody") || strings.Contains(string(rest), "session=1") || err != nil {
					t.Errorf("visitor %d: %v\n%s", i+1, err, rest)
				}
			}
			if n := asks.Load(); (n == 1) != (control == "max-age=60") {
				t.Errorf("%d origin requests", n)
			}
		})
	}
}

// TestFloodOfHints: an origin that says no end of them costs itself its answer, or the rest of them, and nobody
// more than bounded memory.
func TestFloodOfHints(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</"+strings.Repeat("a", 1000)+">")
		for range 1000 {
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "late")
	})
	r.start(t, "ams-1")
	got := raw(t, r.addr("ams-1"), "GET /a HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n\r\n")
	final := strings.LastIndex(got, "HTTP/1.1 ")
	if n := strings.Count(got, " 103 Early Hints"); n > 100 || !strings.HasPrefix(got[final:], "HTTP/1.1 200 ") && !strings.HasPrefix(got[final:], "HTTP/1.1 502 ") {
		t.Errorf("%d hints, then %.200s", n, got[final:])
	}
}

// TestHintsFrameNothing: an interim response has no content, so that neither a length nor a coding of one may be
// said of it (RFC 9110 section 8.6), nor what nodes tell each other.
func TestHintsFrameNothing(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\nNearcast-Error: timeout\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
	}, cdn.Route{Match: cdn.Match{PathPrefix: "/pass"}, Bypass: true})
	r.start(t, "ams-1")
	for _, path := range []string{"/a", "/pass"} {
		_, in := dialled(t, r.addr("ams-1"), "GET "+path+" HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n\r\n")
		hint := readReply(t, in, http.MethodGet)
		if hint.status != http.StatusEarlyHints || hint.link != "</a>" || hint.header["Content-Length"] != nil || hint.header["Nearcast-Error"] != nil {
			t.Errorf("%s: %d %v", path, hint.status, hint.header)
		}
		if p := readReply(t, in, http.MethodGet); p.status != http.StatusOK || p.body != "done" {
			t.Errorf("%s: then %d %q", path, p.status, p.body)
		}
	}
}

// TestTrailers: what comes behind a body of chunks arrives there, by every way, without what must not be in a
// trailer (RFC 9110 section 6.5.1).
func TestTrailers(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Trailer", "X-Announced")
		io.WriteString(w, "a body")
		w.(http.Flusher).Flush()
		io.WriteString(w, " in chunks")
		h.Set("X-Announced", "1")
		for _, name := range []string{"X-Late", "Set-Cookie", "Cache-Control", "Content-Encoding", "Location", "X-Cache"} {
			h.Set(http.TrailerPrefix+name, "2")
		}
	}, cdn.Route{Match: cdn.Match{PathPrefix: "/pass"}, Bypass: true})
	r.chain(t)
	for _, tt := range []struct{ node, method, path string }{
		{"ams-1", "GET", "/miss"},
		{"ams-1", "GET", "/pass"},
		{"fra-1", "GET", "/two"},
		{"fra-1", "GET", "/pass"},
		{"fra-1", "POST", "/post"},
	} {
		t.Run(tt.node+" "+tt.method+" "+tt.path, func(t *testing.T) {
			a := r.ask(t, tt.method, r.addr(tt.node), domain, tt.path, "Te", "trailers")
			if a.body != "a body in chunks" || a.err != nil {
				t.Errorf("%q, %v", a.body, a.err)
			}
			if a.Trailer.Get("X-Announced") != "1" || a.Trailer.Get("X-Late") != "2" || len(a.Trailer) != 2 {
				t.Errorf("trailer %v", a.Trailer)
			}
			if a.Header.Get("X-Announced") != "" || a.Header.Get("X-Late") != "" || a.Header.Get("Set-Cookie") != "" {
				t.Errorf("header %v", a.Header)
			}
		})
	}
	if a := r.get(t, r.addr("fra-1"), "/two"); a.word() != "HIT" || a.body != "a body in chunks" || a.Header.Get("X-Late") != "" {
		t.Errorf("from the store: %s %q %v", a.word(), a.body, a.Header)
	}
	if got := raw(t, r.addr("ams-1"), "GET /old HTTP/1.0\r\nHost: "+domain+"\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\na body in chunks") {
		t.Errorf("with HTTP/1.0, which has none:\n%s", got)
	}
}

// TestFieldsOfNodesInATrailer: those that nodes exchange reach no visitor, wherever in a message an origin puts them.
func TestFieldsOfNodesInATrailer(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "a body")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"Nearcast-Error", "timeout")
		w.Header().Set(http.TrailerPrefix+"Nearcast-Hop", "fra-1")
	})
	r.chain(t)
	for _, node := range []string{"ams-1", "fra-1"} {
		if a := r.get(t, r.addr(node), "/"+node); len(a.Trailer) > 0 || a.body != "a body" {
			t.Errorf("%s: %q, trailer %v", node, a.body, a.Trailer)
		}
	}
}

// TestContinue: a visitor that waits for 100 gets it once its body is wanted, and the origin the body.
func TestContinue(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		fmt.Fprint(w, len(body), " ", err, " ", req.Header.Get("Expect"))
	})
	r.chain(t)
	conn, in := dialled(t, r.addr("fra-1"), "POST /a HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n")
	if p := readReply(t, in, http.MethodPost); p.status != http.StatusContinue {
		t.Errorf("%d %v", p.status, p.header)
	}
	conn.Write(bytes.Repeat([]byte("b"), 70000))
	if p := readReply(t, in, http.MethodPost); p.status != http.StatusOK || p.body != "70000 <nil> " {
		t.Errorf("%d %q", p.status, p.body)
	}
}
