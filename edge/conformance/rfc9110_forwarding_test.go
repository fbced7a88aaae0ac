package conformance_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"
)

// RFC 9110 sections 5, 6, 7.2 and 7.6: what a gateway does with messages.
var forwarding = []requirement{
	{
		name: "RFC9110/5.1/unknown", level: must, text: "forward fields that it does not know, both ways",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "X-Answer: 1"))
			e.has(e.get("X-Asked: 1"), "X-Answer", "1")
			e.sent(e.last(), "X-Asked", "1")
		},
	},
	{
		name: "RFC9110/5.3/order", level: mustNot, text: "change the order of lines of one field",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "X-List: c", "X-List: a", "X-List: b"))
			for range 2 {
				if a := e.get("X-Sent: 3", "X-Sent: 1", "X-Sent: 2"); a.field("X-List") != "c, a, b" {
					e.t.Errorf("X-List came as %q", a.field("X-List"))
				}
			}
			if got := e.last().Header.Values("X-Sent"); strings.Join(got, ", ") != "3, 1, 2" {
				e.t.Errorf("X-Sent went as %q", got)
			}
		},
	},
	{
		name: "RFC9110/6.6.1/date", level: must, text: "add a Date of the time of receipt to a response that came without and is stored or forwarded",
		test: func(e *env) {
			e.replies(octets("HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 2\n\nv1"))
			received := e.date(0)
			e.has(e.get(), "Date", received)
			e.advance(20 * time.Second)
			a := e.get()
			e.served(a, "v1")
			e.has(a, "Date", received)
			e.has(a, "Age", "20")
		},
	},
	{
		name: "RFC9110/6.6.1/keep", level: mustNot, text: "replace a Date that is there",
		test: func(e *env) {
			then := e.date(-10 * time.Second)
			e.replies(ok("Cache-Control: max-age=60", "Date: "+then))
			e.has(e.get(), "Date", then)
			e.advance(5 * time.Second)
			e.has(e.get(), "Date", then)
		},
	},
	{
		name: "RFC9110/7.2/absolute", level: must, text: "take a target in absolute form for what it is, and send the Host that it names",
		test: func(e *env) {
			got := e.raw("GET http://absolute.example/a?b HTTP/1.1\r\nHost: absolute.example\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 200") {
				e.t.Fatalf("got %q", got)
			}
			if s := e.last(); s.Host != "absolute.example" || s.RequestURI != "/a?b" {
				e.t.Errorf("the origin was asked for %s of Host %s", s.RequestURI, s.Host)
			}
		},
	},
	{
		name: "RFC9110/7.2/two-hosts", level: must, text: "ignore a Host that is not that of a target in absolute form (RFC 9112 section 3.2.2)",
		reason: "on purpose: a request that names two hosts is refused with 400. Its sender breaks section 3.2, and is likelier to be after a difference between two readers than to mean it",
	},
	{
		name: "RFC9110/7.6.1/request", level: must, text: "remove Connection, and the fields that it names, from a request",
		test: func(e *env) {
			e.rawGet("/a", "Connection: x-hop, X-Other", "X-Hop: 1", "X-Other: 1", "X-Kept: 1")
			s := e.last()
			for name, want := range map[string]string{"X-Hop": "", "X-Other": "", "X-Kept": "1"} {
				e.sent(s, name, want)
			}
			if strings.Contains(strings.ToLower(s.field("Connection")), "x-") {
				e.t.Errorf("the origin was sent Connection: %s", s.field("Connection"))
			}
		},
	},
	{
		name: "RFC9110/7.6.1/known", level: should, text: "remove Proxy-Connection, Keep-Alive, TE, Transfer-Encoding and Upgrade even if Connection does not name them",
		test: func(e *env) {
			e.rawGet("/a", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=5", "TE: gzip", "Upgrade: foo")
			s := e.last()
			for _, name := range []string{"Proxy-Connection", "Keep-Alive", "Te", "Upgrade"} {
				e.sent(s, name, "")
			}
		},
	},
	{
		name: "RFC9110/7.6.1/response", level: must, text: "remove them from a response, too",
		test: func(e *env) {
			e.replies(ok("Cache-Control: no-store", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=1", "Proxy-Connection: x"))
			a := e.get()
			for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Connection"} {
				e.has(a, name, "")
			}
		},
	},
	{
		name: "RFC9110/7.6.1/protected", level: mustNot, text: "lose fields of its own or of the message's framing because Connection names them",
		test: func(e *env) {
			head, _ := e.rawGet("/a", "Connection: Host, Via, CDN-Loop, X-Forwarded-For", "X-Forwarded-For: 6.6.6.6")
			if strings.HasPrefix(head, "HTTP/1.1 400") {
				return // refusing it loses nothing either
			}
			s := e.last()
			if s.Host != domain || s.field("Via") == "" || s.field("CDN-Loop") == "" {
				e.t.Errorf("the origin was sent Host %q, %v", s.Host, s.Header)
			}
		},
	},
	{
		name: "RFC9110/7.6.2/zero", level: must, text: "answer OPTIONS or TRACE with Max-Forwards: 0 itself",
		test: func(e *env) {
			e.ask(http.MethodOptions, "/a", "Max-Forwards: 0")
			e.asked(0)
		},
	},
	{
		name: "RFC9110/7.6.2/count", level: must, text: "lessen Max-Forwards by one when it forwards OPTIONS",
		test: func(e *env) {
			e.ask(http.MethodOptions, "/a", "Max-Forwards: 5")
			e.sent(e.last(), "Max-Forwards", "4")
		},
	},
	{
		name: "RFC9110/7.6.2/other", level: may, text: "ignore Max-Forwards with any other method",
		test: func(e *env) { e.served(e.get("Max-Forwards: 0"), "v1") },
	},
	{
		name: "RFC9110/7.6.3/request", level: must, text: "add itself, and the protocol that it was spoken to in, to Via of a request",
		test: func(e *env) {
			e.get("Via: 1.0 fred, 1.1 p.example")
			if v := e.last().field("Via"); !strings.HasPrefix(v, "1.0 fred, 1.1 p.example, "+e.version()+" ") {
				e.t.Errorf("the origin was sent Via: %q", v)
			}
			e.raw("GET /old HTTP/1.0\r\nHost: " + domain + "\r\n\r\n")
			if v := e.last().field("Via"); !strings.HasPrefix(v, "1.0 ") {
				e.t.Errorf("for HTTP/1.0 the origin was sent Via: %q", v)
			}
		},
	},
	{
		name: "RFC9110/7.6.3/response", level: may, text: "add itself to Via of a response",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Via: 1.1 inner"))
			for range 2 {
				if v := e.get().field("Via"); !strings.HasPrefix(v, "1.1 inner, 1.1 ") {
					e.t.Errorf("Via: %q", v)
				}
			}
		},
	},
	{
		name: "RFC9110/6.4.1/length", level: must, text: "frame every response so that its end can be told, and send no content with 204 and 304",
		test: func(e *env) {
			e.replies(code(204, "Cache-Control: max-age=60", `ETag: "1"`))
			for range 2 {
				head, body := e.rawGet("/a")
				if len(body) != 0 || strings.Contains(strings.ToLower(head), "\ncontent-length: ") || strings.Contains(strings.ToLower(head), "\ntransfer-encoding: ") {
					e.t.Errorf("%q and %q", head, body)
				}
			}
		},
	},
}

// RFC 9110 section 7.7.
var transformations = []requirement{
	{
		name: "RFC9110/7.7/target", level: mustNot, text: "change the path and query of a target on its way, but for an empty path",
		test: each([]string{"/a//b", "/a%20b?c=%2F&d", "/%7Euser/x", "/a?", "/a?b?c", "/a;b=c", "/a%2fb"}, func(path string) func(*env) {
			return func(e *env) {
				e.raw("GET " + path + " HTTP/1.1\r\nHost: " + domain + "\r\nConnection: close\r\n\r\n")
				if got := e.last().RequestURI; got != path && normal(got) != normal(path) {
					e.t.Errorf("the origin was asked for %q, want %q or its normal form (RFC 3986 section 6.2.2)", got, path)
				}
			}
		}),
	},
	{
		name: "RFC9110/7.7/content", level: mustNot, text: "transform the content of a response with no-transform, or fields about it",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60, no-transform", "Content-Type: text/plain; charset=x", "Content-Encoding: x-own", "Content-Language: de").with("as it is"))
			for range 2 {
				a := e.get("Accept-Encoding: gzip")
				e.served(a, "as it is")
				for name, want := range map[string]string{"Content-Type": "text/plain; charset=x", "Content-Encoding": "x-own", "Content-Language": "de"} {
					e.has(a, name, want)
				}
			}
		},
	},
	{
		name: "RFC9110/7.7/request-content", level: mustNot, text: "change the content of a request",
		test: func(e *env) {
			body := content() + "\x00\xff\r\n"
			e.send(http.MethodPost, "/a", body, "Content-Type: x/y")
			if s := e.last(); s.content != body || s.field("Content-Type") != "x/y" {
				e.t.Errorf("the origin was sent %q as %q", s.content, s.field("Content-Type"))
			}
		},
	},
	{
		name: "RFC9110/8.4/coding", level: mustNot, text: "answer with a content coding that the request does not accept, from a response that varies by it",
		test: func(e *env) {
			e.replies(does(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Vary", "Accept-Encoding")
				if r.Header.Get("Accept-Encoding") == "br" {
					w.Header().Set("Content-Encoding", "br")
				}
				fmt.Fprint(w, "content")
			}))
			e.has(e.get("Accept-Encoding: br"), "Content-Encoding", "br")
			e.has(e.get(), "Content-Encoding", "")
			e.has(e.get("Accept-Encoding: br;q=0"), "Content-Encoding", "")
		},
	},
}

// normal undoes the escapes of unreserved characters and writes the others in capitals.
func normal(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		var c byte
		fmt.Sscanf(path[i+1:i+3], "%x", &c)
		if strings.IndexByte("-._~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

// interims asks for /a and returns the interim responses that came before the answer.
func (e *env) interims(method string, body io.Reader, fields ...string) ([]int, []textproto.MIMEHeader, answer) {
	e.t.Helper()
	e.alone()
	var (
		mu    sync.Mutex
		codes []int
		heads []textproto.MIMEHeader
	)
	ctx := httptrace.WithClientTrace(e.t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		mu.Lock()
		defer mu.Unlock()
		codes, heads = append(codes, code), append(heads, h)
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, method, e.url("/a"), body)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Host = domain
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	mu.Lock()
	defer mu.Unlock()
	return codes, heads, answer{resp, string(got), err}
}

// early answers with a 103 before the response.
func early(then func(http.ResponseWriter)) reply {
	return does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		then(w)
	})
}

// RFC 9110 sections 10.1.1 and 15.2.
var interim = []requirement{
	{
		name: "RFC9110/15.2/forward", level: must, text: "forward interim responses that it did not ask for itself",
		test: func(e *env) {
			e.replies(early(func(w http.ResponseWriter) {
				w.Header().Set("Cache-Control", "no-store")
				fmt.Fprint(w, "final")
			}))
			codes, heads, a := e.interims(http.MethodGet, nil)
			e.served(a, "final")
			if !slices.Equal(codes, []int{103}) || heads[0].Get("Link") != "</style.css>; rel=preload" {
				e.t.Errorf("interim responses %v %v, want one 103 with its Link", codes, heads)
			}
		},
	},
	{
		name: "RFC9110/15.2/cacheable", level: must, text: "forward them when the response after them is one that it stores, too",
		test: func(e *env) {
			e.replies(early(func(w http.ResponseWriter) {
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "final")
			}))
			codes, _, a := e.interims(http.MethodGet, nil)
			e.served(a, "final")
			if !slices.Equal(codes, []int{103}) {
				e.t.Errorf("interim responses %v, want one 103", codes)
			}
		},
	},
	{
		name: "RFC9110/15.2/parse", level: must, text: "bear any number of interim responses before the final one",
		test: func(e *env) {
			e.replies(octets(strings.Repeat("HTTP/1.1 103 Early Hints\nLink: </x>; rel=preload\n\n", 4) + "HTTP/1.1 200 OK\nContent-Length: 5\n\nfinal"))
			e.served(e.get(), "final")
		},
	},
	{
		name: "RFC9110/15.2/old-client", level: mustNot, text: "send an interim response to an HTTP/1.0 client",
		test: func(e *env) {
			e.replies(early(func(w http.ResponseWriter) { fmt.Fprint(w, "final") }))
			if got := e.raw("GET /a HTTP/1.0\r\nHost: " + domain + "\r\n\r\n"); strings.Contains(got, " 103 ") || !strings.Contains(got, " 200 ") {
				e.t.Errorf("got %q", got)
			}
		},
	},
	{
		name: "RFC9110/10.1.1/continue", level: must, text: "let a client that expects 100-continue send its content",
		test: func(e *env) {
			_, _, a := e.interims(http.MethodPost, strings.NewReader("the content"), "Expect: 100-continue")
			e.served(a, "v1")
			if got := e.last().content; got != "the content" {
				e.t.Errorf("the origin was sent %q", got)
			}
		},
	},
	{
		name: "RFC9110/10.1.1/unknown", level: may, text: "answer an expectation that it does not know with 417, or ignore it",
		test: func(e *env) {
			if a := e.get("Expect: the-moon"); a.StatusCode != http.StatusOK && a.StatusCode != http.StatusExpectationFailed {
				e.t.Errorf("got %s", a.Status)
			}
		},
	},
}

// RFC 9110 section 9: methods, as far as they concern a cache.
var methods = []requirement{
	{
		name: "RFC9110/9.1/unknown", level: must, text: "forward a method that it does not know, its content included",
		test: func(e *env) {
			e.send("BREW", "/a", "beans")
			if s := e.last(); s.Method != "BREW" || s.content != "beans" {
				e.t.Errorf("the origin got %s %q", s.Method, s.content)
			}
		},
	},
	{
		name: "RFC9110/9.1/case", level: must, text: "tell methods apart by case",
		test: func(e *env) {
			e.get()
			if a := e.ask("get", "/a"); a.body == "v1" {
				e.t.Error("get was answered as GET")
			}
		},
	},
	{
		name: "RFC9110/9.2.2/retry", level: mustNot, text: "send a request that is not idempotent again when its connection fails",
		test: func(e *env) {
			e.replies(ok("Cache-Control: no-store"), hangup())
			e.ask(http.MethodGet, "/a")
			isError(e, e.send(http.MethodPost, "/a", "pay"))
			e.asked(2)
		},
	},
	{
		name: "RFC9110/9.3.2/head", level: mustNot, text: "send content in answer to HEAD",
		test: func(e *env) {
			for range 2 {
				got := e.raw("HEAD /a HTTP/1.1\r\nHost: " + domain + "\r\nConnection: close\r\n\r\n")
				if _, body, _ := strings.Cut(got, "\r\n\r\n"); body != "" {
					e.t.Errorf("content %q", body)
				}
			}
		},
	},
	{
		name: "RFC9110/9.3.2/fields", level: should, text: "send the fields for HEAD that it would send for GET",
		test: func(e *env) {
			e.replies(withETag(`"1"`, "Content-Type: x/y", "X-One: 1"))
			e.get()
			a := e.ask(http.MethodHead, "/a")
			for name, want := range map[string]string{"Content-Type": "x/y", "X-One": "1", "ETag": `"1"`, "Content-Length": "2", "Age": "0"} {
				e.has(a, name, want)
			}
		},
	},
	{
		name: "RFC9110/9.3.3/post-cacheable", level: mustNot, text: "store a response to POST without explicit freshness and a Content-Location that is the target",
		test: each([][]string{{"Cache-Control: max-age=60"}, {"Cache-Control: max-age=60", "Content-Location: /b"}, {"Content-Location: /a"}, {"Cache-Control: public", "Content-Location: /a"}}, func(fields []string) func(*env) {
			return func(e *env) {
				e.replies(ok(fields...))
				e.ask(http.MethodPost, "/a")
				e.served(e.get(), "v2")
			}
		}),
	},
	{
		name: "RFC9110/9.3.3/post-get", level: may, text: "answer GET from a response to POST that has both",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Content-Location: /a"))
			e.send(http.MethodPost, "/a", "x")
			e.served(e.get(), "v1")
		},
	},
	{
		name: "RFC9110/9.3.3/post-post", level: mustNot, text: "answer POST from the store",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Content-Location: /a"))
			e.ask(http.MethodPost, "/a")
			e.served(e.ask(http.MethodPost, "/a"), "v2")
		},
	},
	{
		name: "RFC9110/9.3.1/get-content", level: mustNot, text: "answer a GET that has content with what was stored without regard to it, or store its response, unless the content is dropped",
		test: func(e *env) {
			e.replies(does(func(w http.ResponseWriter, r *http.Request) {
				sent := e.last().content
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprintf(w, "for %q", sent)
			}))
			e.send(http.MethodGet, "/a", "evil")
			if a := e.get(); a.StatusCode == http.StatusOK && a.body != `for ""` {
				e.t.Errorf("a plain GET got %q", a.body)
			}
		},
	},
	{
		name: "RFC9110/9.3.8/trace", level: mustNot, text: "forward TRACE with fields that may be secret",
		test: func(e *env) {
			a := e.ask(http.MethodTrace, "/a", "Authorization: x")
			if a.StatusCode < 400 {
				e.t.Errorf("got %s %q", a.Status, a.body)
			}
			e.asked(0)
		},
	},
}
