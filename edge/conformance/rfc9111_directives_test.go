package conformance_test

import (
	"net/http"
	"strings"
	"time"
)

// withheld: a directive names fields; they are in no answer that comes from the store
// unless the origin has said so again, and the rest of the response is.
func withheld(directive string, hidden []string, kept map[string]string) func(*env) {
	return func(e *env) {
		e.replies(ok("Cache-Control: max-age=60, "+directive, "X-One: 1", "X-Two: 2", "Set-Cookie: a=b", "X-Kept: k"))
		e.has(e.get(), "X-One", "1")
		a := e.get()
		e.served(a, "v1")
		for _, name := range hidden {
			e.has(a, name, "")
		}
		for name, value := range kept {
			e.has(a, name, value)
		}
	}
}

// RFC 9111 sections 5.2.2 and 5.2.3.
var responseDirectives = []requirement{
	{
		name: "RFC9111/5.2.2.1/max-age", level: must, text: "take a response for stale once its age is max-age",
		test: both(lifetime(60*time.Second, ok("Cache-Control: max-age=60")), staleAt(0, ok("Cache-Control: max-age=0", `ETag: "1"`)), lifetime(60*time.Second, ok("Cache-Control: max-age=00060"))),
	},
	{
		name: "RFC9111/5.2.2.2/must-revalidate", level: mustNot, text: "reuse a stale response with must-revalidate before it is validated",
		test: both(
			func(e *env) {
				e.replies(ok("Cache-Control: max-age=60, must-revalidate, stale-while-revalidate=600", `ETag: "1"`), notModified(`ETag: "1"`, "Cache-Control: max-age=60, must-revalidate"))
				e.get()
				e.advance(61 * time.Second)
				e.served(e.get(), "v1")
				e.asked(2)
			},
			failing(ok("Cache-Control: max-age=10, must-revalidate, stale-if-error=600"), 11*time.Second, code(503), isError),
		),
	},
	{
		name: "RFC9111/5.2.2.2/disconnected", level: must, text: "answer with an error rather than with it, when the origin cannot be reached",
		test: unreachable(ok("Cache-Control: max-age=10, must-revalidate"), 11*time.Second, isError),
	},
	{
		name: "RFC9111/5.2.2.2/status", level: should, text: "make that error a 504, unless another fits better",
		test: unreachable(ok("Cache-Control: max-age=10, must-revalidate"), 11*time.Second, func(e *env, a answer) {
			if a.StatusCode != http.StatusGatewayTimeout && a.StatusCode != http.StatusBadGateway {
				e.t.Errorf("got %s, want 504, or 502 for an origin that refuses the connection", a.Status)
			}
		}),
	},
	{
		name: "RFC9111/5.2.2.2/fresh", level: may, text: "reuse it while it is fresh",
		test: lifetime(60*time.Second, ok("Cache-Control: max-age=60, must-revalidate")),
	},
	{
		name: "RFC9111/5.2.2.3/overrides", level: should, text: "ignore no-store beside must-understand where it understands the status code",
		test: both(stored(ok("Cache-Control: max-age=60, must-understand, no-store")), stored(code(404, "Cache-Control: no-store, must-understand, max-age=60"))),
	},
	{
		name: "RFC9111/5.2.2.3/unknown", level: mustNot, text: "store a response with must-understand whose status code it does not understand",
		test: both(notStored(code(599, "Cache-Control: max-age=60, must-understand, no-store")), notStored(code(299, "Cache-Control: max-age=60, must-understand"))),
	},
	{
		name: "RFC9111/5.2.2.4/no-cache", level: mustNot, text: "reuse a response with no-cache unless its validation succeeds",
		test: both(
			func(e *env) {
				e.replies(ok("Cache-Control: no-cache", `ETag: "1"`), notModified(`ETag: "1"`), withETag(`"2"`))
				e.get()
				e.served(e.get(), "v1")
				e.served(e.get(), "v3")
			},
			unreachable(ok("Cache-Control: no-cache, max-age=60", `ETag: "1"`), 0, isError),
			failing(ok("Cache-Control: no-cache, max-age=60, stale-if-error=60", `ETag: "1"`), 0, code(500), isError),
		),
	},
	{
		name: "RFC9111/5.2.2.4/fields", level: mustNot, text: "reuse fields that no-cache names without validation",
		test: both(
			withheld(`no-cache="X-One"`, []string{"X-One"}, map[string]string{"X-Kept": "k"}),
			withheld(`no-cache="x-one, X-TWO"`, []string{"X-One", "X-Two"}, map[string]string{"X-Kept": "k"}),
			withheld(`no-cache="Set-Cookie"`, []string{"Set-Cookie"}, map[string]string{"X-One": "1"}),
		),
	},
	{
		name: "RFC9111/5.2.2.4/token", level: should, text: "understand a single field without quotes, too",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60, no-cache=x-one", "X-One: 1"))
			e.get()
			if a := e.get(); a.body == "v1" {
				e.has(a, "X-One", "")
			}
		},
	},
	{
		name: "RFC9111/5.2.2.5/no-store", level: mustNot, text: "store a response with no-store, or use it for another request",
		test: notStored(ok("Cache-Control: no-store, max-age=60, public")),
	},
	{
		name: "RFC9111/5.2.2.6/no-transform", level: mustNot, text: "transform content that says no-transform",
		test: func(e *env) {
			body := strings.Repeat("compressible ", 1000)
			e.replies(ok("Cache-Control: max-age=60, no-transform", "Content-Type: text/html", `ETag: "1"`).with(body))
			for range 2 {
				a := e.get("Accept-Encoding: gzip, br, zstd")
				e.served(a, body)
				e.has(a, "Content-Encoding", "")
				e.has(a, "ETag", `"1"`)
			}
		},
	},
	{
		name: "RFC9111/5.2.2.7/private", level: mustNot, text: "store a response with private",
		test: both(notStored(ok("Cache-Control: private, max-age=60, public")), notStored(ok("Cache-Control: s-maxage=60, private"))),
	},
	{
		name: "RFC9111/5.2.2.7/fields", level: mustNot, text: "store fields that private names",
		test: both(
			withheld(`private="X-One"`, []string{"X-One"}, map[string]string{"X-Kept": "k"}),
			withheld(`private="x-one, X-TWO"`, []string{"X-One", "X-Two"}, map[string]string{"X-Kept": "k"}),
		),
	},
	{
		name: "RFC9111/5.2.2.8/proxy-revalidate", level: mustNot, text: "reuse a stale response with proxy-revalidate before it is validated",
		test: both(
			unreachable(ok("Cache-Control: max-age=10, proxy-revalidate"), 11*time.Second, isError),
			failing(ok("Cache-Control: max-age=10, proxy-revalidate, stale-if-error=600"), 11*time.Second, code(503), isError),
		),
	},
	{
		name: "RFC9111/5.2.2.9/public", level: may, text: "store a response with public whose status is not cacheable by heuristics",
		test: func(e *env) {
			stored(code(403, "Cache-Control: public", "Last-Modified: "+e.date(-1000*time.Hour)))(e)
		},
	},
	{
		name: "RFC9111/5.2.2.9/heuristic", level: may, text: "give a response with public and no lifetime a heuristic one",
		test: func(e *env) {
			freshAt(50*time.Minute, ok("Cache-Control: public", "Last-Modified: "+e.date(-10*time.Hour)))(e)
		},
	},
	{
		name: "RFC9111/5.2.2.10/s-maxage", level: must, text: "let s-maxage override max-age and Expires",
		test: both(lifetime(60*time.Second, ok("Cache-Control: s-maxage=60, max-age=0")), lifetime(60*time.Second, ok("Cache-Control: s-maxage=60", "Expires: 0")), staleAt(0, ok("Cache-Control: s-maxage=0, max-age=60", `ETag: "1"`))),
	},
	{
		name: "RFC9111/5.2.2.10/revalidate", level: mustNot, text: "reuse a stale response with s-maxage before it is validated",
		test: both(
			unreachable(ok("Cache-Control: s-maxage=10"), 11*time.Second, isError),
			failing(ok("Cache-Control: s-maxage=10"), 11*time.Second, code(503), isError),
		),
	},
	{
		name: "RFC9111/5.2.2.10/extensions", level: mustNot, text: "reuse it by stale-while-revalidate or stale-if-error either",
		reason: "on purpose: an origin that writes s-maxage and such a directive in one field means both, and section 4 lets an extension override; must-revalidate and proxy-revalidate are not overridden",
	},
	{
		name: "RFC9111/5.2.3/unknown", level: must, text: "ignore directives that it does not know",
		test: both(
			lifetime(60*time.Second, ok(`Cache-Control: max-age=60, foo, bar=1, baz="x, y", max-agent=1, s-max-age=0, no-stores`)),
			notStored(ok(`Cache-Control: private, community="UCI", max-age=60`)),
		),
	},
	{
		name: "RFC9111/5.2.3/argument", level: must, text: "heed a directive though it has an argument that it should not have",
		test: both(notStored(ok("Cache-Control: no-store=1, max-age=60")), unreachable(ok("Cache-Control: max-age=10, must-revalidate=x"), 11*time.Second, isError)),
	},
	{
		name: "RFC9111/5.2.3/syntax", level: must, text: "bear empty members, stray whitespace and an unfinished quoted string",
		test: both(
			lifetime(60*time.Second, ok("Cache-Control: , ,max-age=60,,")),
			lifetime(60*time.Second, ok("Cache-Control:  \t max-age=60 \t, x")),
			notStored(ok(`Cache-Control: no-store, x="`)),
		),
	},
}
