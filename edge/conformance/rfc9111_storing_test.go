package conformance_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// RFC 9111 sections 1 to 3.0: what may be stored.
var storing = []requirement{
	{
		name: "RFC9111/1.2.2/overflow", level: must, text: "take a number of seconds that is too great to be held for 2^31, or the greatest that it can hold",
		test: each([]string{"2147483648", "9223372036854775808", "99999999999999999999999"}, func(n string) func(*env) {
			return freshAt(20*365*24*time.Hour, ok("Cache-Control: max-age="+n))
		}),
	},
	{
		name: "RFC9111/2/key-uri", level: must, text: "tell responses apart by at least the method and the target URI, its query included",
		test: func(e *env) {
			for i, path := range []string{"/a", "/b", "/a?x", "/a?x=1", "/A"} {
				e.served(e.ask(http.MethodGet, path), fmt.Sprint("v", i+1))
			}
			e.served(e.ask(http.MethodGet, "/a", "Host: other.example"), "v6")
			e.served(e.ask(http.MethodGet, "/b"), "v2")
		},
	},
	{
		name: "RFC9111/3/method", level: mustNot, text: "store a response unless it understands the request method",
		test: func(e *env) {
			e.ask("BREW", "/a")
			e.ask("BREW", "/a")
			e.asked(2)
			e.served(e.get(), "v3")
		},
	},
	{
		name: "RFC9111/3/options", level: mustNot, text: "store a response to a method whose definition does not allow it, such as OPTIONS (RFC 9110 section 9.3.7)",
		test: func(e *env) {
			e.ask(http.MethodOptions, "/a")
			e.ask(http.MethodOptions, "/a")
			e.asked(2)
		},
	},
	{
		name: "RFC9111/3/final", level: mustNot, text: "store a response that is not final",
		test: func(e *env) {
			e.replies(does(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Link", "</early>; rel=preload")
				w.Header().Set("Cache-Control", "max-age=60")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				fmt.Fprint(w, "final")
			}))
			e.served(e.get(), "final")
			a := e.get()
			e.served(a, "final")
			e.has(a, "Link", "")
			e.asked(1)
		},
	},
	{
		name: "RFC9111/3/status-304", level: mustNot, text: "store a 304 that it did not ask for as if it were the content",
		test: func(e *env) {
			e.replies(notModified("Cache-Control: max-age=60", `ETag: "1"`), ok("Cache-Control: max-age=60", `ETag: "1"`))
			e.get(`If-None-Match: "1"`)
			a := e.get()
			if a.StatusCode != http.StatusOK || a.body == "" {
				e.t.Errorf("got %s %q for a plain GET\n%s", a.Status, a.body, e.history(a))
			}
		},
	},
	{
		name: "RFC9111/3/status-206-unit", level: mustNot, text: "store a 206 whose range unit it does not understand",
		test: func(e *env) {
			e.replies(code(http.StatusPartialContent, "Cache-Control: max-age=60", "Content-Range: lines 0-1/9", `ETag: "1"`), ok())
			e.get("Range: lines=0-1")
			e.served(e.get(), "v2")
		},
	},
	{
		name: "RFC9111/3/must-understand", level: mustNot, text: "store a response with must-understand whose status code it does not understand",
		test: notStored(code(599, "Cache-Control: max-age=60, must-understand")),
	},
	{
		name: "RFC9111/3/no-store", level: mustNot, text: "store a response with no-store",
		test: each([]string{"no-store", "no-store, max-age=60", "max-age=60, No-Store", "max-age=60, public, no-store"}, func(v string) func(*env) {
			return notStored(ok("Cache-Control: " + v))
		}),
	},
	{
		name: "RFC9111/3/private", level: mustNot, text: "store a response with private that does not name fields",
		test: each([]string{"private", "private, max-age=60", "max-age=60, Private", "private, s-maxage=60"}, func(v string) func(*env) {
			return notStored(ok("Cache-Control: " + v))
		}),
	},
	{
		name: "RFC9111/3/grounds", level: mustNot, text: "store a response that has neither explicit freshness nor public nor a status that is cacheable by heuristics",
		test: each([]int{201, 202, 302, 307, 400, 401, 403, 500, 502, 503, 504, 599}, func(status int) func(*env) {
			return func(e *env) {
				notStored(code(status, "Last-Modified: "+e.date(-1000*time.Hour)))(e)
			}
		}),
	},
	{
		name: "RFC9111/3/explicit", level: may, text: "store any understood final response that has max-age, s-maxage or Expires",
		test: each([]int{200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 451, 500, 501, 502, 503, 504}, func(status int) func(*env) {
			return both(
				stored(code(status, "Cache-Control: max-age=60")),
				stored(code(status, "Cache-Control: s-maxage=60")),
				func(e *env) { stored(code(status, "Expires: "+e.date(time.Minute)))(e) },
			)
		}),
	},
	{
		name: "RFC9111/3/heuristic", level: may, text: "store a response of a status that is cacheable by heuristics (RFC 9110 section 15.1) without explicit freshness",
		test: each([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, func(status int) func(*env) {
			return func(e *env) {
				stored(code(status, "Last-Modified: "+e.date(-1000*time.Hour)))(e)
			}
		}),
	},
	{
		name: "RFC9111/3/understood", level: mustNot, text: "treat a status code as understood that it merely passes on: an unknown one is stored by explicit freshness alone",
		test: func(e *env) { notStored(code(299, "Last-Modified: "+e.date(-1000*time.Hour)))(e) },
	},
}

// RFC 9111 sections 3.1 and 3.2: which fields are stored and updated.
var storedFields = []requirement{
	{
		name: "RFC9111/3.1/all", level: must, text: "keep every field of a response that it stores, those that it does not know included",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "X-Unknown: 1", "X-Twice: a", "X-Twice: b, c", "Content-Language: de", "Set-Cookie: a=b", "Warning: 199 - x", "Pragma: x"))
			for range 2 {
				a := e.get()
				for name, want := range map[string]string{"X-Unknown": "1", "X-Twice": "a, b, c", "Content-Language": "de", "Set-Cookie": "a=b", "Warning": "199 - x", "Pragma": "x"} {
					e.has(a, name, want)
				}
				if lines := a.Header.Values("X-Twice"); !slices.Equal(lines, []string{"a", "b, c"}) {
					e.t.Errorf("X-Twice came as %q", lines)
				}
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/3.1/connection", level: must, text: "leave out Connection, the fields that it names, and the other fields of one hop",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Connection: X-Hop, x-other", "X-Hop: 1", "X-Other: 1", "Keep-Alive: timeout=1", "Proxy-Connection: keep-alive", "Upgrade: x"))
			for range 2 {
				a := e.get()
				for _, name := range []string{"Connection", "X-Hop", "X-Other", "Keep-Alive", "Proxy-Connection", "Upgrade"} {
					e.has(a, name, "")
				}
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/3.1/proxy", level: mustNot, text: "store fields that are about a proxy: Proxy-Authenticate, Proxy-Authentication-Info, Proxy-Authorization",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x=1", "Proxy-Authorization: x"))
			e.get()
			a := e.get()
			for _, name := range []string{"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"} {
				e.has(a, name, "")
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/3.1/trailers", level: mustNot, text: "combine trailer fields with header fields",
		test: func(e *env) {
			e.replies(octets("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nCache-Control: max-age=60\nTrailer: X-Late\n\n2\nv1\n0\nX-Late: 1\nCache-Control: no-store\n\n"))
			for range 2 {
				a := e.get()
				e.served(a, "v1")
				e.has(a, "X-Late", "")
				e.has(a, "Cache-Control", "max-age=60")
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/3.2/update", level: must, text: "add the fields of a response that updates a stored one, in place of those that are there",
		test: updates([]string{"X-New: 1", "X-Changed: 2", "X-Set: c", "Cache-Control: max-age=120", "Content-Language: en", "Content-Type: text/x", "Expires: Thu, 01 Jan 2099 00:00:00 GMT"},
			map[string]string{"X-New": "1", "X-Changed": "2", "X-Set": "c", "Cache-Control": "max-age=120", "X-Kept": "1", "Content-Language": "en", "Content-Type": "text/x", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT"}),
	},
	{
		name: "RFC9111/3.2/content-length", level: must, text: "not update Content-Length",
		test: func(e *env) {
			e.replies(withETag(`"1"`), octets("HTTP/1.1 304 Not Modified\nETag: \"1\"\nCache-Control: max-age=60\nContent-Length: 4711\n\n"))
			e.get()
			e.advance(61 * time.Second)
			for range 2 {
				a := e.get()
				e.served(a, "v1")
				if a.ContentLength != 2 {
					e.t.Errorf("Content-Length %d, want that of the stored content\n%s", a.ContentLength, e.history(a))
				}
			}
			e.asked(2)
		},
	},
	{
		name: "RFC9111/3.2/excepted", level: must, text: "not update with fields that may not be stored",
		test: updates([]string{"Connection: X-Changed", "X-Changed: 2", "Proxy-Authenticate: Basic", "Keep-Alive: timeout=1"},
			map[string]string{"X-Changed": "1", "Proxy-Authenticate": "", "Keep-Alive": "", "Connection": ""}),
	},
	{
		name: "RFC9111/3.2/processed", level: may, text: "omit fields from updates that it needs to keep in step with what it has stored, such as Content-Encoding of coded content",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", `ETag: "1"`, "Content-Encoding: br").with("coded"),
				notModified("Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: bytes 0-1/2"))
			e.get()
			e.advance(61 * time.Second)
			for range 2 {
				a := e.get()
				e.served(a, "coded")
				e.has(a, "Content-Encoding", "br")
				e.has(a, "Content-Range", "")
			}
		},
	},
}

// updates: a 304 with more fields makes of a stored response what is wanted.
func updates(fields []string, want map[string]string) func(*env) {
	return func(e *env) {
		lines := append([]string{"HTTP/1.1 304 Not Modified", `ETag: "1"`, "Date: " + e.date(61*time.Second)}, fields...)
		e.replies(ok("Cache-Control: max-age=60", `ETag: "1"`, "X-Changed: 1", "X-Set: a", "X-Set: b", "X-Kept: 1", "Content-Language: de", "Content-Type: text/plain"),
			octets(strings.Join(lines, "\n")+"\n\n")) // net/http's server would drop some of them
		e.get()
		e.advance(61 * time.Second)
		for range 2 { // the answer that validates, and one from the store
			a := e.get()
			e.served(a, "v1")
			for name, value := range want {
				e.has(a, name, value)
			}
		}
		e.asked(2)
	}
}
