package conformance_test

import (
	"net/http"
	"strings"
	"time"
)

// RFC 5861: serving stale, with leave.
var rfc5861 = []requirement{
	{
		name: "RFC5861/3/serve", level: may, text: "serve a stale response within stale-while-revalidate",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=10, stale-while-revalidate=20"), ok("Cache-Control: max-age=60"))
			e.get()
			e.advance(29 * time.Second)
			a := e.get()
			e.served(a, "v1")
			e.has(a, "Age", "29")
		},
	},
	{
		name: "RFC5861/3/revalidate", level: should, text: "then ask the origin, without making the client wait",
		test: func(e *env) {
			release := make(chan struct{})
			e.replies(ok("Cache-Control: max-age=10, stale-while-revalidate=20"), does(func(w http.ResponseWriter, _ *http.Request) {
				<-release
				w.Header().Set("Cache-Control", "max-age=60")
				w.Write([]byte("new"))
			}))
			e.get()
			e.advance(15 * time.Second)
			e.served(e.get(), "v1") // though the origin has not answered
			e.eventually("the origin is asked", func() bool { return len(e.origin.requests()) == 2 })
			close(release)
			e.eventually("the new response is served", func() bool { return e.get().body == "new" })
			e.asked(2)
		},
	},
	{
		name: "RFC5861/3/once", level: should, text: "not ask once for every client that it serves so",
		test: func(e *env) {
			release := make(chan struct{})
			e.replies(ok("Cache-Control: max-age=10, stale-while-revalidate=20"), does(func(w http.ResponseWriter, _ *http.Request) {
				<-release
				w.Header().Set("Cache-Control", "max-age=60")
			}))
			e.get()
			e.advance(15 * time.Second)
			for range 10 {
				e.served(e.get(), "v1")
			}
			e.eventually("the origin is asked", func() bool { return len(e.origin.requests()) == 2 })
			close(release)
			e.eventually("the new response is served", func() bool { return e.get().body == "" })
			e.asked(2)
		},
	},
	{
		name: "RFC5861/3/beyond", level: shouldNot, text: "serve it stale beyond that time",
		test: staleAt(30*time.Second, ok("Cache-Control: max-age=10, stale-while-revalidate=20")),
	},
	{
		name: "RFC5861/3/forbidden", level: mustNot, text: "serve stale by it what must be revalidated (RFC 9111 section 4.2.4)",
		test: each([]string{"must-revalidate, max-age=10", "proxy-revalidate, max-age=10", "no-cache, max-age=10"}, func(v string) func(*env) {
			return staleAt(11*time.Second, ok("Cache-Control: "+v+", stale-while-revalidate=100"))
		}),
	},
	{
		name: "RFC5861/4/serve", level: may, text: "serve a stale response within stale-if-error when the origin fails with 500, 502, 503 or 504",
		test: each([]int{500, 502, 503, 504}, func(status int) func(*env) {
			return failing(ok("Cache-Control: max-age=10, stale-if-error=20"), 29*time.Second, code(status), isFirst)
		}),
	},
	{
		name: "RFC5861/4/unreachable", level: may, text: "do so when the origin cannot be reached, or breaks off",
		test: both(
			unreachable(ok("Cache-Control: max-age=10, stale-if-error=20"), 29*time.Second, isFirst),
			failing(ok("Cache-Control: max-age=10, stale-if-error=20"), 29*time.Second, hangup(), isFirst),
		),
	},
	{
		name: "RFC5861/4/other-status", level: mustNot, text: "take another status for an error",
		test: each([]int{400, 404, 410, 501}, func(status int) func(*env) {
			return failing(ok("Cache-Control: max-age=10, stale-if-error=20"), 15*time.Second, code(status), func(e *env, a answer) { e.status(a, status) })
		}),
	},
	{
		name: "RFC5861/4/beyond", level: shouldNot, text: "serve it beyond that time",
		test: failing(ok("Cache-Control: max-age=10, stale-if-error=20"), 31*time.Second, code(503), isError),
	},
	{
		name: "RFC5861/4/recovers", level: must, text: "serve the origin's answer again once there is one",
		test: failing(ok("Cache-Control: max-age=10, stale-if-error=20"), 15*time.Second, code(503), func(e *env, a answer) {
			e.served(a, "v1")
			e.then(ok("Cache-Control: max-age=60"))
			e.eventually("the new response is served", func() bool { return e.get().body != "v1" })
		}),
	},
	{
		name: "RFC5861/4/request", level: may, text: "heed stale-if-error in a request",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=10"), code(503))
			e.get()
			e.advance(29 * time.Second)
			e.served(e.get("Cache-Control: stale-if-error=20"), "v1")
			e.advance(2 * time.Second)
			isError(e, e.get("Cache-Control: stale-if-error=20"))
		},
	},
}

// RFC 8246: immutable.
var rfc8246 = []requirement{
	{
		name: "RFC8246/2/stale", level: should, text: "validate a stale response with immutable as it would without",
		test: lifetime(60*time.Second, ok("Cache-Control: max-age=60, immutable")),
	},
	{
		name: "RFC8246/2/argument", level: must, text: "ignore an argument of immutable",
		test: lifetime(60*time.Second, ok("Cache-Control: max-age=60, immutable=1")),
	},
	{
		name: "RFC8246/2/request", level: must, text: "ignore immutable in a request",
		test: onStored(ok("Cache-Control: max-age=10"), 11*time.Second, "Cache-Control: immutable", isSecond),
	},
	{
		name: "RFC8246/2.1/skip", level: should, text: "not validate a fresh immutable response because the client's request is conditional",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60, immutable", `ETag: "1"`))
			e.get()
			e.status(e.get(`If-None-Match: "1"`, "Cache-Control: max-age=0"), http.StatusNotModified)
			e.asked(1)
		},
	},
	{
		name: "RFC8246/2.1/no-cache", level: should, text: "validate it all the same for a client's no-cache",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60, immutable", `ETag: "1"`), notModified(`ETag: "1"`))
			e.get()
			e.served(e.get("Cache-Control: no-cache"), "v1")
			e.asked(2)
		},
	},
	{
		name: "RFC8246/3/clients", level: should, text: "ignore immutable outside an authenticated context",
		reason: "for user agents",
	},
}

// RFC 8586: loops.
var rfc8586 = []requirement{
	{
		name: "RFC8586/2/add", level: should, text: "add itself to CDN-Loop in every request that it forwards",
		test: func(e *env) {
			for _, method := range []string{"GET", "POST", "BREW"} {
				e.ask(method, "/a")
				if got := e.last().field("CDN-Loop"); got == "" {
					e.t.Errorf("%s came without CDN-Loop", method)
				}
			}
		},
	},
	{
		name: "RFC8586/2/keep", level: mustNot, text: "remove or change what others have written there",
		test: func(e *env) {
			e.get(`CDN-Loop: foo123.foocdn.example, barcdn.example; trace="abcdef"`, `CDN-Loop: AnotherCDN; abc=123; def="456"`)
			if got, want := e.last().field("CDN-Loop"), `foo123.foocdn.example, barcdn.example; trace="abcdef", AnotherCDN; abc=123; def="456", `; !strings.HasPrefix(got, want) {
				e.t.Errorf("the origin was sent %q, want %q and one more", got, want)
			}
		},
	},
	{
		name: "RFC8586/2/connection", level: mustNot, text: "let a client remove the field by naming it in Connection",
		test: func(e *env) {
			e.raw("GET /a HTTP/1.1\r\nHost: " + domain + "\r\nCDN-Loop: other.example\r\nConnection: close, CDN-Loop\r\n\r\n") // HTTP/2 has no Connection
			if got := e.last().field("CDN-Loop"); got == "" {
				e.t.Error("the origin was sent no CDN-Loop")
			}
		},
	},
	{
		name: "RFC8586/2/syntax", level: must, text: "write a host or a token there, with parameters",
		test: func(e *env) {
			e.get()
			id, _, _ := strings.Cut(e.last().field("CDN-Loop"), ";")
			if id = strings.TrimSpace(id); id == "" || strings.ContainsAny(id, " \t\"(),/<=>?@[\\]{}") {
				e.t.Errorf("%q is no cdn-id", id)
			}
		},
	},
	{
		name: "RFC8586/2/detect", level: should, text: "end a request that has been here before",
		test: func(e *env) {
			e.get()
			mine := e.last().field("CDN-Loop")
			a := e.ask(http.MethodGet, "/b", "CDN-Loop: other.example, "+mine+", third.example")
			e.status(a, http.StatusLoopDetected)
			e.asked(1)
		},
	},
	{
		name: "RFC8586/2/others", level: mustNot, text: "end a request because others are named there",
		test: func(e *env) {
			e.served(e.get("CDN-Loop: nearcast.example, edge; node=other, x"), "v1")
		},
	},
}

// RFC 9209: why a response is not the origin's.
var rfc9209 = []requirement{
	{
		name: "RFC9209/2/generated", level: may, text: "say with Proxy-Status that a response is its own, and why",
		test: func(e *env) {
			e.alone()
			e.disconnect()
			a := e.get()
			e.status(a, http.StatusBadGateway)
			if v := a.field("Proxy-Status"); !strings.Contains(v, "error=") {
				e.t.Errorf("Proxy-Status: %q, want an error type", v)
			}
		},
	},
	{
		name: "RFC9209/2/append", level: should, text: "keep members of others, and add its own after them",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Proxy-Status: origin-proxy; error=http_request_error"))
			if v := e.get().field("Proxy-Status"); !strings.HasPrefix(v, "origin-proxy; error=http_request_error") {
				e.t.Errorf("Proxy-Status: %q", v)
			}
		},
	},
	{
		name: "RFC9209/2.1.1/error", level: must, text: "choose an error type whose recommended status is the one sent",
		test: func(e *env) {
			e.replies(hangup())
			a := e.get()
			v := a.field("Proxy-Status")
			types := map[int][]string{
				http.StatusBadGateway:     {"connection_terminated", "connection_refused", "http_response_incomplete", "http_protocol_error", "destination_unavailable"},
				http.StatusGatewayTimeout: {"connection_timeout", "http_response_timeout", "connection_read_timeout", "connection_write_timeout", "dns_timeout"},
			}
			for _, t := range types[a.StatusCode] {
				if strings.Contains(v, "error="+t) {
					return
				}
			}
			e.t.Errorf("%s with Proxy-Status: %q", a.Status, v)
		},
	},
}
