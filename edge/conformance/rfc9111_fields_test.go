package conformance_test

import (
	"net/http"
	"strings"
	"time"
)

// RFC 9111 section 5.1.
var ageField = []requirement{
	{
		name: "RFC9111/5.1/list", level: should, text: "use the first member of an Age that is a list",
		test: each([]reply{ok("Cache-Control: max-age=60", "Age: 20, 50"), ok("Cache-Control: max-age=60", "Age: 20", "Age: 50")}, func(r reply) func(*env) {
			return func(e *env) {
				e.replies(r)
				e.get()
				e.has(e.get(), "Age", "20")
			}
		}),
	},
	{
		name: "RFC9111/5.1/invalid", level: should, text: "ignore an Age that is not a number of seconds",
		test: each([]string{"-20", "a", "20a", "1.5", "\"20\""}, func(v string) func(*env) {
			return func(e *env) {
				e.replies(ok("Cache-Control: max-age=60", "Age: "+v))
				e.get()
				e.has(e.get(), "Age", "0")
				e.asked(1)
			}
		}),
	},
	{
		name: "RFC9111/5.1/not-validated", level: mustNot, text: "send an Age with a response that the origin generated for this request",
		test: func(e *env) { e.has(e.get(), "Age", "") },
	},
	{
		name: "RFC9111/5.1/number", level: must, text: "send an Age that is one non-negative whole number",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Age: 10"))
			e.get()
			e.clock.offset.Add(int64(1500 * time.Millisecond))
			head, _ := e.rawGet("/a")
			if n := strings.Count(strings.ToLower(head), "\r\nage:"); n != 1 {
				e.t.Errorf("%d lines of Age in %q", n, head)
			}
			if a := e.get().field("Age"); a != "11" && a != "12" {
				e.t.Errorf("Age: %q, want 11 or 12", a)
			}
		},
	},
}

// RFC 9111 section 5.2.0.
var cacheControl = []requirement{
	{
		name: "RFC9111/5.2/pass-response", level: must, text: "pass on all directives of a response",
		test: func(e *env) {
			const v = `max-age=60, s-maxage=90, x-unknown="a, b", community=UCI`
			e.replies(ok("Cache-Control: " + v))
			e.has(e.get(), "Cache-Control", v)
			e.has(e.get(), "Cache-Control", v)
			e.asked(1)
		},
	},
	{
		name: "RFC9111/5.2/pass-request", level: must, text: "pass on all directives of a request that it forwards",
		test: func(e *env) {
			const v = "max-age=5, x-unknown=1, min-fresh=2"
			e.get("Cache-Control: " + v)
			e.sent(e.last(), "Cache-Control", v)
		},
	},
	{
		name: "RFC9111/5.2/case", level: must, text: "compare directives whatever their case",
		test: both(
			lifetime(60*time.Second, ok("Cache-Control: MAX-AGE=60")),
			lifetime(60*time.Second, ok("Cache-Control: Max-Age=5, S-MaxAge=60")),
			notStored(ok("Cache-Control: NO-STORE")),
		),
	},
	{
		name: "RFC9111/5.2/quoted", level: should, text: "accept an argument as a token and as a quoted string",
		test: both(
			lifetime(60*time.Second, ok(`Cache-Control: max-age="60"`)),
			lifetime(60*time.Second, ok(`Cache-Control: s-maxage="60"`)),
			func(e *env) {
				e.replies(ok("Cache-Control: max-age=60, private=x-one", "X-One: 1", "X-Two: 2"))
				e.get()
				a := e.get()
				if a.body == "v1" {
					e.has(a, "X-One", "")
				}
			},
		),
	},
	{
		name: "RFC9111/5.2/quoted-comma", level: mustNot, text: "find directives inside a quoted string",
		test: both(
			stored(ok(`Cache-Control: max-age=60, x="no-store, private"`)),
			staleAt(10*time.Second, ok(`Cache-Control: x="max-age=60, ", max-age=10`)),
			stored(ok(`Cache-Control: x="a\", no-store, \"b", max-age=60`)),
		),
	},
	{
		name: "RFC9111/5.2/lines", level: must, text: "read several lines as one list",
		test: both(notStored(ok("Cache-Control: max-age=60", "Cache-Control: no-store")), stored(ok("Cache-Control: x", "Cache-Control: max-age=60"))),
	},
}

// onStored: a response is stored and d old when a request with a field comes.
func onStored(r reply, d time.Duration, field string, check func(*env, answer)) func(*env) {
	return func(e *env) {
		e.replies(r)
		e.get()
		e.advance(d)
		check(e, e.get(field))
	}
}

func isSecond(e *env, a answer) {
	e.t.Helper()
	e.served(a, "v2")
}

// RFC 9111 section 5.2.1, all advisory. A stand-alone edge heeds them; a site's edges do so
// only where the site says so.
var requestDirectives = []requirement{
	{
		name: "RFC9111/5.2.1/sites", level: may, text: "follow the directives of requests",
		reason: "off unless a route has obey_request_cache_control, with which all tests of this page are run: any visitor could send load to the origin",
	},
	{
		name: "RFC9111/5.2.1.1/max-age", level: may, text: "answer max-age with nothing older",
		test: both(
			onStored(ok("Cache-Control: max-age=60"), 10*time.Second, "Cache-Control: max-age=10", isFirst),
			onStored(ok("Cache-Control: max-age=60"), 11*time.Second, "Cache-Control: max-age=10", isSecond),
			onStored(ok("Cache-Control: max-age=60"), 0, "Cache-Control: max-age=0", func(e *env, a answer) {
				if a.body == "v1" && a.field("Age") != "0" {
					e.t.Errorf("older than asked for: %v", a.Header)
				}
			}),
		),
	},
	{
		name: "RFC9111/5.2.1.1/no-stale", level: may, text: "answer max-age without max-stale with nothing stale",
		test: onStored(ok("Cache-Control: max-age=60"), 70*time.Second, "Cache-Control: max-age=100", isSecond),
	},
	{
		name: "RFC9111/5.2.1.2/max-stale", level: may, text: "answer max-stale with what has been stale for no longer",
		test: both(
			onStored(ok("Cache-Control: max-age=60"), 70*time.Second, "Cache-Control: max-stale=20", isFirst),
			onStored(ok("Cache-Control: max-age=60"), 90*time.Second, "Cache-Control: max-stale=20", isSecond),
			onStored(ok("Cache-Control: max-age=60"), 900*time.Second, "Cache-Control: max-stale", isFirst),
		),
	},
	{
		name: "RFC9111/5.2.1.2/prohibited", level: mustNot, text: "let max-stale override a response that forbids being served stale",
		test: each([]string{"max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60", "max-age=60, no-cache"}, func(v string) func(*env) {
			return onStored(ok("Cache-Control: "+v), 70*time.Second, "Cache-Control: max-stale", isSecond)
		}),
	},
	{
		name: "RFC9111/5.2.1.3/min-fresh", level: may, text: "answer min-fresh with what stays fresh for as long",
		test: both(
			onStored(ok("Cache-Control: max-age=60"), 30*time.Second, "Cache-Control: min-fresh=29", isFirst),
			onStored(ok("Cache-Control: max-age=60"), 30*time.Second, "Cache-Control: min-fresh=31", isSecond),
		),
	},
	{
		name: "RFC9111/5.2.1.4/no-cache", level: may, text: "validate what it answers no-cache with",
		test: both(
			onStored(ok("Cache-Control: max-age=60"), 0, "Cache-Control: no-cache", isSecond),
			func(e *env) {
				e.replies(withETag(`"1"`), notModified(`ETag: "1"`, "Cache-Control: max-age=60"))
				e.get()
				e.served(e.get("Cache-Control: no-cache"), "v1")
				e.asked(2)
			},
		),
	},
	{
		name: "RFC9111/5.2.1.5/no-store", level: mustNot, text: "store a response to a request with no-store",
		test: func(e *env) {
			e.served(e.get("Cache-Control: no-store"), "v1")
			e.served(e.get(), "v2")
			e.served(e.get(), "v2")
		},
	},
	{
		name: "RFC9111/5.2.1.5/stored", level: may, text: "answer such a request with what is stored already",
		test: func(e *env) {
			e.get()
			a := e.get("Cache-Control: no-store")
			if a.body != "v1" && a.body != "v2" {
				e.t.Errorf("got %s %q", a.Status, a.body)
			}
			e.served(e.get(), "v1")
		},
	},
	{
		name: "RFC9111/5.2.1.6/no-transform", level: should, text: "not transform the content for a request with no-transform",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Content-Type: text/html").with(strings.Repeat("compressible ", 1000)))
			for range 2 {
				a := e.get("Cache-Control: no-transform", "Accept-Encoding: gzip, br, zstd")
				e.served(a, strings.Repeat("compressible ", 1000))
				e.has(a, "Content-Encoding", "")
			}
		},
	},
	{
		name: "RFC9111/5.2.1.7/only-if-cached", level: should, text: "answer only-if-cached from the store or with 504",
		test: func(e *env) {
			e.status(e.get("Cache-Control: only-if-cached"), http.StatusGatewayTimeout)
			e.asked(0)
			e.get()
			e.served(e.get("Cache-Control: only-if-cached"), "v1")
			e.advance(61 * time.Second)
			e.status(e.get("Cache-Control: only-if-cached"), http.StatusGatewayTimeout)
			e.asked(1)
		},
	},
}

// RFC 9111 sections 5.3 to 5.5 and 7.
var otherFields = []requirement{
	{
		name: "RFC9111/5.3/invalid", level: must, text: "take an invalid Expires, such as 0, for one in the past",
		test: each([]string{"0", "-1", "now", "Thu, 99 Foo 2099 00:00:00 GMT", "2099-01-01T00:00:00Z", "Thu, 01 Jan 2099 00:00 GMT", "4070908800", ""}, func(v string) func(*env) {
			return func(e *env) {
				staleAt(0, ok("Expires: "+v, "Last-Modified: "+e.date(-10000*time.Hour), `ETag: "1"`))(e)
			}
		}),
	},
	{
		name: "RFC9111/5.3/max-age", level: must, text: "ignore Expires beside max-age, and beside s-maxage",
		test: each([]string{"max-age=60", "s-maxage=60", "max-age=60, s-maxage=60"}, func(v string) func(*env) {
			return lifetime(60*time.Second, ok("Cache-Control: "+v, "Expires: 0"))
		}),
	},
	{
		name: "RFC9111/5.3/far", level: must, text: "bear an Expires centuries away",
		test: freshAt(20*365*24*time.Hour, ok("Expires: Fri, 31 Dec 9999 23:59:59 GMT")),
	},
	{
		name: "RFC9111/5.4/response", level: mustNot, text: "give a meaning to Pragma in a response",
		test: stored(ok("Cache-Control: max-age=60", "Pragma: no-cache")),
	},
	{
		name: "RFC9111/5.4/request", level: may, text: "treat Pragma: no-cache of a request as Cache-Control: no-cache",
		reason: "deprecated: what an edge does with it is left open",
	},
	{
		name: "RFC9111/5.5/warning", level: mustNot, text: "generate Warning, which is obsolete",
		test: unreachable(ok("Cache-Control: max-age=10"), 11*time.Second, func(e *env, a answer) {
			e.served(a, "v1")
			e.has(a, "Warning", "")
		}),
	},
	{
		name: "RFC9111/7.3/set-cookie", level: may, text: "store a response with Set-Cookie: it does not inhibit caching",
		test: stored(ok("Cache-Control: max-age=60", "Set-Cookie: a=b")),
	},
}
