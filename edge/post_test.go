package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
)

// TestAnswersToPostThatAreStored: one that says that it represents the target and for how long answers later
// GETs (RFC 9110 section 9.3.3); a POST is never answered from the store.
func TestAnswersToPostThatAreStored(t *testing.T) {
	for name, tt := range map[string]struct {
		control, location string // of the answer to the POST
		status            int
		stored            bool
	}{
		"explicit and the target": {"max-age=60", "/a", 200, true},
		"as an absolute URI":      {"max-age=60", "http://" + domain + "/a", 200, true},
		"shared lifetime":         {"s-maxage=60", "/a", 200, true},
		"no Content-Location":     {"max-age=60", "", 200, false},
		"another's":               {"max-age=60", "/b", 200, false},
		"another host's":          {"max-age=60", "http://other.example/a", 200, false},
		"no lifetime":             {"public", "/a", 200, false},
		"no-store":                {"max-age=60, no-store", "/a", 200, false},
		"private":                 {"max-age=60, private", "/a", 200, false},
		"another status":          {"max-age=60", "/a", 201, false},
		"an error":                {"max-age=60", "/a", 404, false},
	} {
		for _, node := range []string{"ams-1", "fra-1"} {
			t.Run(name+" at "+node, func(t *testing.T) {
				r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT") // a guess at a lifetime is not enough
					if req.Method == http.MethodPost {
						w.Header().Set("Cache-Control", tt.control)
						if tt.location != "" {
							w.Header().Set("Content-Location", tt.location)
						}
						w.WriteHeader(tt.status)
					}
					io.WriteString(w, req.Method)
				})
				r.chain(t)
				addr := r.addr(node)
				r.get(t, addr, "/a") // what is stored gives way in any case but an error's
				for range 2 {
					if a := r.ask(t, http.MethodPost, addr, domain, "/a"); a.word() != "PASS" || a.body != "POST" {
						t.Errorf("POST: %s %q, %s", a.word(), a.body, a.status())
					}
				}
				a := r.get(t, addr, "/a")
				want := "MISS GET"
				switch {
				case tt.stored:
					want = "HIT POST"
				case tt.status >= 400:
					want = "HIT GET"
				}
				if got := a.word() + " " + a.body; got != want {
					t.Errorf("GET afterwards: %s, want %s; %s", got, want, a.status())
				}
			})
		}
	}
}

// TestBrokenAnswerToPost: what breaks off is never stored as if it were whole.
func TestBrokenAnswerToPost(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", "/a")
		io.WriteString(w, "half of it")
		if req.Method == http.MethodPost {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	r.start(t, "ams-1")
	if a := r.ask(t, http.MethodPost, r.addr("ams-1"), domain, "/a"); a.err == nil {
		t.Errorf("%q came to a clean end", a.body)
	}
	if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "MISS" {
		t.Errorf("%s", a.status())
	}
}

// headed is an origin of one content, whose fields a test changes.
type headed struct {
	etag, control atomic.Value // strings
	length        atomic.Int64
	notModified   atomic.Bool // it answers conditions
}

func newHeaded() *headed {
	o := new(headed)
	o.etag.Store(`"1"`)
	o.control.Store("max-age=60")
	o.length.Store(10)
	return o
}

func (o *headed) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h["Etag"], h["Cache-Control"] = []string{o.etag.Load().(string)}, []string{o.control.Load().(string)}
	h.Set("X-Method", req.Method)
	if o.notModified.Load() && req.Header.Get("If-None-Match") == h.Get("Etag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(o.length.Load()))
	io.WriteString(w, strings.Repeat("b", int(o.length.Load())))
}

// TestHeadUpdatesWhatIsStored: the answer to a HEAD freshens the stored answer to a GET if it is of the same
// content, and otherwise makes it unusable (RFC 9111 section 4.3.5).
func TestHeadUpdatesWhatIsStored(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(o *headed)
		head   string // what the node says of the HEAD
		word   string // and of the GET behind it
	}{
		"same":           {func(*headed) {}, "MISS", "HIT"},
		"not modified":   {func(o *headed) { o.notModified.Store(true) }, "REVALIDATED", "HIT"},
		"another tag":    {func(o *headed) { o.etag.Store(`"2"`) }, "MISS", "MISS"},
		"another length": {func(o *headed) { o.length.Store(11) }, "MISS", "MISS"},
		"not for long":   {func(o *headed) { o.control.Store("max-age=0") }, "MISS", "MISS"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newHeaded()
			r := newRig(t, o.ServeHTTP)
			r.start(t, "ams-1")
			addr := r.addr("ams-1")
			r.get(t, addr, "/a")
			if a := r.ask(t, http.MethodHead, addr, domain, "/a"); a.word() != "HIT" || a.Header.Get("X-Method") != "GET" {
				t.Errorf("HEAD while fresh: %s", a.status())
			}
			r.clock.advance(70 * time.Second)
			tt.change(o)
			a := r.ask(t, http.MethodHead, addr, domain, "/a")
			if a.word() != tt.head || a.StatusCode != http.StatusOK || a.body != "" || a.Header.Get("Content-Length") != fmt.Sprint(o.length.Load()) {
				t.Errorf("HEAD once stale: %s, Content-Length %s, %s", a.Status, a.Header.Get("Content-Length"), a.status())
			}
			asked := r.origin.requests("/a")
			if a := r.get(t, addr, "/a"); a.word() != tt.word || len(a.body) != int(o.length.Load()) {
				t.Errorf("GET afterwards: %s with %d octets, %s", a.word(), len(a.body), a.status())
			}
			if more := r.origin.requests("/a") - asked; (more == 0) != (tt.word == "HIT") {
				t.Errorf("%d origin requests for it", more)
			}
		})
	}
}

// TestHeadDropsWhatItContradicts: what a HEAD has shown to be of the past does not stand in for an origin that fails.
func TestHeadDropsWhatItContradicts(t *testing.T) {
	for tag, want := range map[string]int{`"1"`: http.StatusOK, `"2"`: http.StatusBadGateway} {
		o := newHeaded()
		r := newRig(t, o.ServeHTTP)
		r.start(t, "ams-1")
		r.get(t, r.addr("ams-1"), "/a")
		r.clock.advance(70 * time.Second)
		o.etag.Store(tag)
		o.control.Store("max-age=1")
		r.ask(t, http.MethodHead, r.addr("ams-1"), domain, "/a")
		r.clock.advance(10 * time.Second)
		r.origin.Close()
		if a := r.get(t, r.addr("ams-1"), "/a"); a.StatusCode != want {
			t.Errorf("after a HEAD with Etag %s: %s %s, want %d", tag, a.Status, a.word(), want)
		}
	}
}

// TestHeadAloneStoresNothingForGet: there is no content to store.
func TestHeadAloneStoresNothingForGet(t *testing.T) {
	r := newRig(t, newHeaded().ServeHTTP)
	r.chain(t)
	for range 2 {
		if a := r.ask(t, http.MethodHead, r.addr("fra-1"), domain, "/a"); a.Header.Get("X-Method") != "HEAD" || a.Header.Get("Content-Length") != "10" {
			t.Errorf("%s %v", a.Status, a.Header)
		}
	}
	if a := r.get(t, r.addr("fra-1"), "/a"); a.word() != "MISS" || len(a.body) != 10 {
		t.Errorf("%s %q", a.word(), a.body)
	}
}

// TestFatGet: the body of a GET or HEAD has no meaning (RFC 9110 section 9.3.1): it is not in the key, so it does not
// reach the origin either; nor does it ever begin a request, and what follows it is the next one.
func TestFatGet(t *testing.T) {
	evil := "GET /evil HTTP/1.1\r\nHost: " + domain + "\r\nX: "
	framings := map[string]string{
		"length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(evil), evil),
		"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(evil), evil),
	}
	for framing, rest := range framings {
		for _, node := range []string{"ams-1", "fra-1"} {
			t.Run(framing+" at "+node, func(t *testing.T) {
				r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
					body, err := io.ReadAll(req.Body)
					w.Header().Set("Cache-Control", "max-age=60")
					fmt.Fprintf(w, "[%s %s %d %v %q]", req.Method, req.URL.Path, req.ContentLength, err, body)
				}, cdn.Route{Match: cdn.Match{PathPrefix: "/pass"}, Bypass: true})
				r.chain(t)
				r.get(t, r.addr(node), "/stored")
				before := r.origin.all()
				for _, tt := range []struct{ request, want string }{
					{"GET /miss", `[GET /miss 0 <nil> ""]`},
					{"GET /pass", `[GET /pass 0 <nil> ""]`},
					{"GET /stored", `[GET /stored 0 <nil> ""]`},
					{"HEAD /head", ""},
					{"GET /miss-if-match\r", ""},
				} {
					line := strings.TrimSuffix(tt.request, "\r")
					fields := "\r\nHost: " + domain + "\r\n"
					if line != tt.request {
						fields += "If-Match: \"1\"\r\n" // which is passed on
						tt.want = `[GET /miss-if-match 0 <nil> ""]`
					}
					last := "GET /last HTTP/1.1\r\nHost: " + domain + "\r\nConnection: close\r\n\r\n"
					got := raw(t, r.addr(node), line+" HTTP/1.1"+fields+rest+last)
					if n := strings.Count(got, "HTTP/1.1 200 OK"); n != 2 || !strings.Contains(got, tt.want) || !strings.HasSuffix(got, `[GET /last 0 <nil> ""]`) {
						t.Errorf("%s: %d answers\n%s", line, n, got)
					}
				}
				if n := r.origin.requests("/evil"); n != 0 || r.origin.all()-before != 5 {
					t.Errorf("the origin saw %d requests, /evil %d times", r.origin.all()-before, n)
				}
			})
		}
	}
}

// TestFatGetDoesNotWaitForItsBody: whoever announces a body and sends none holds up nobody.
func TestFatGetDoesNotWaitForItsBody(t *testing.T) {
	r := newRig(t, cacheable)
	r.start(t, "ams-1")
	_, in := dialled(t, r.addr("ams-1"), "GET /a HTTP/1.1\r\nHost: "+domain+"\r\nContent-Length: 1000000\r\n\r\n")
	if p := readReply(t, in, http.MethodGet); p.status != http.StatusOK || p.body != "body of /a" {
		t.Errorf("%d %q", p.status, p.body)
	}
	if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "HIT" {
		t.Errorf("%s", a.status())
	}
}

// TestLargeFatGet: its body is read past, or the connection ends; no octet of it is taken for a request.
func TestLargeFatGet(t *testing.T) {
	r := newRig(t, cacheable)
	r.start(t, "ams-1")
	line := "GET /evil HTTP/1.1\r\nHost: " + domain + "\r\n\r\n"
	body := strings.Repeat(line, mib/len(line))
	conn, in := dialled(t, r.addr("ams-1"), fmt.Sprintf("GET /a HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", domain, len(body)))
	io.WriteString(conn, body) // which may fail half-way
	if p := readReply(t, in, http.MethodGet); p.status != http.StatusOK || p.body != "body of /a" {
		t.Errorf("%d %q", p.status, p.body)
	}
	conn.Close()
	if n := r.origin.requests("/evil"); n != 0 || r.origin.all() != 1 {
		t.Errorf("the origin saw %d requests, /evil %d times", r.origin.all(), n)
	}
}

// TestStoredPostIsSelectedByWhatTheOriginSaw: where the node codes by itself it asks for no coding with a GET, but passes
// on what a POST says; what comes of that is not for those who said something else (RFC 9111 section 4.1).
func TestStoredPostIsSelectedByWhatTheOriginSaw(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Content-Location", "/a")
		h.Set("Content-Type", "text/plain")
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(req.Header.Get("Accept-Encoding"), "deflate") {
			h.Set("Content-Encoding", "deflate")
		}
		io.WriteString(w, prose(2000))
	}, coding(cdn.Compress{}))
	r.start(t, "ams-1")
	r.ask(t, http.MethodPost, r.addr("ams-1"), domain, "/a", "Accept-Encoding", "deflate")
	if a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", "gzip"); a.Header.Get("Content-Encoding") == "deflate" {
		t.Errorf("%s got %v", a.word(), a.Header)
	}
}

// TestTagOfAVariantMeansTheContentToTheOrigin: a visitor who changes what it has got coded names the tag that it was given;
// the origin knows only its own (RFC 9110 sections 8.8.3.3 and 13.1.1).
func TestTagOfAVariantMeansTheContentToTheOrigin(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && req.Header.Get("If-Match") != `"1"` {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		page(prose(2000))(w, req)
	}, coding(cdn.Compress{}))
	r.chain(t)
	got := r.get(t, r.addr("fra-1"), "/a", "Accept-Encoding", "gzip")
	if a := r.ask(t, http.MethodPut, r.addr("fra-1"), domain, "/a", "If-Match", got.Header.Get("Etag")); a.StatusCode != http.StatusOK {
		t.Errorf("PUT with If-Match: %s: %s", got.Header.Get("Etag"), a.Status)
	}
}

// TestHeadIsOfTheVariant: a HEAD that goes upstream tells of the same variant as one that does not, or a cache that has the
// variant would throw it away (RFC 9111 section 4.3.5).
func TestHeadIsOfTheVariant(t *testing.T) {
	r := newRig(t, page(prose(2000)), coding(cdn.Compress{}))
	r.start(t, "ams-1")
	cold := r.ask(t, http.MethodHead, r.addr("ams-1"), domain, "/a", "Accept-Encoding", "gzip").Header
	r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", "gzip")
	warm := r.ask(t, http.MethodHead, r.addr("ams-1"), domain, "/a", "Accept-Encoding", "gzip").Header
	for _, name := range []string{"Etag", "Vary", "Content-Encoding"} {
		if cold.Get(name) != warm.Get(name) {
			t.Errorf("%s: %q, from the store %q", name, cold.Get(name), warm.Get(name))
		}
	}
}

// TestConditionsOnAVariant: each variant answers to its own tag only, and a HEAD tells what a GET would.
func TestConditionsOnAVariant(t *testing.T) {
	r := newRig(t, page(prose(20000)), coding(cdn.Compress{}))
	r.start(t, "ams-1")
	addr := r.addr("ams-1")
	r.get(t, addr, "/a", "Accept-Encoding", "gzip")
	for name, tt := range map[string]struct {
		method, accept, tag string
		status              int
		etag, coding        string
	}{
		"coded tag":         {"GET", "gzip", `"1~gzip.1"`, 304, `"1~gzip.1"`, ""},
		"weakly":            {"GET", "gzip", `W/"1~gzip.1"`, 304, `"1~gzip.1"`, ""},
		"one of several":    {"GET", "gzip", `"0", "1~gzip.1"`, 304, `"1~gzip.1"`, ""},
		"by HEAD":           {"HEAD", "gzip", `"1~gzip.1"`, 304, `"1~gzip.1"`, ""},
		"not made yet":      {"GET", "br", `"1~br.1"`, 304, `"1~br.1"`, ""},
		"another coding's":  {"GET", "gzip", `"1~br.1"`, 200, `"1~gzip.1"`, "gzip"},
		"the identity's":    {"GET", "identity", `"1"`, 304, `"1"`, ""},
		"coded to identity": {"GET", "identity", `"1~gzip.1"`, 200, `"1"`, ""},
		"HEAD":              {"HEAD", "gzip", `"0"`, 200, `"1~gzip.1"`, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.ask(t, tt.method, addr, domain, "/a", "Accept-Encoding", tt.accept, "If-None-Match", tt.tag)
			if a.StatusCode != tt.status || a.Header.Get("Etag") != tt.etag || a.Header.Get("Content-Encoding") != tt.coding {
				t.Errorf("%s, Etag %s, Content-Encoding %q", a.Status, a.Header.Get("Etag"), a.Header.Get("Content-Encoding"))
			}
			if a.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("Vary %q (RFC 9110 section 15.4.5)", a.Header.Get("Vary"))
			}
			if tt.coding != "" && a.Header.Get("Content-Length") == "20000" || tt.method == "HEAD" && a.body != "" {
				t.Errorf("Content-Length %s, %d octets", a.Header.Get("Content-Length"), len(a.body))
			}
		})
	}
	if n := r.origin.requests("/a"); n != 1 {
		t.Errorf("%d origin requests", n)
	}
}
