package conformance_test

import (
	"fmt"
	"net/http"
	"time"
)

// RFC 9111 sections 3.3 and 3.4: incomplete responses and parts.
var partial = []requirement{
	{
		name: "RFC9111/3.3/incomplete", level: mustNot, text: "answer with an incomplete response, unless the request is for a range that is wholly in it",
		test: func(e *env) {
			all := content()
			e.replies(octets("HTTP/1.1 200 OK\nCache-Control: max-age=60\nETag: \"1\"\nContent-Length: 100\n\n"+all[:30]), partialOrigin(`"1"`))
			if a, err := e.tryGet(); err == nil && a.err == nil && a.StatusCode == http.StatusOK && len(a.body) < len(all) {
				e.t.Errorf("%d of 100 octets as a whole response\n%s", len(a.body), e.history(a))
			}
			e.served(e.get(), all)
			e.served(e.get(), all)
		},
	},
	{
		name: "RFC9111/3.3/incomplete-chunked", level: mustNot, text: "take a chunked response whose last chunk is missing for a complete one (RFC 9112 section 8)",
		test: func(e *env) {
			e.replies(octets("HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked\n\n2\nv1\n"), ok("Cache-Control: max-age=60"))
			if a, err := e.tryGet(); err == nil && a.err == nil && a.StatusCode == http.StatusOK {
				e.t.Errorf("%q as a whole response\n%s", a.body, e.history(a))
			}
			e.served(e.get(), "v2")
		},
	},
	{
		name: "RFC9111/3.3/marked", level: mustNot, text: "send a part to a client without marking it as a 206",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			a := e.get("Range: bytes=10-19")
			e.status(a, http.StatusPartialContent)
			e.has(a, "Content-Range", "bytes 10-19/100")
			e.served(e.get(), content())
		},
	},
	{
		name: "RFC9111/3.3/store-partial", level: may, text: "store a 206 and answer ranges that are wholly in it",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get("Range: bytes=10-29")
			n := len(e.origin.requests())
			for spec, want := range map[string]string{"bytes=10-29": content()[10:30], "bytes=12-15": content()[12:16]} {
				a := e.get("Range: " + spec)
				if a.StatusCode != http.StatusPartialContent || a.body != want {
					e.t.Errorf("%s: %s %q, want 206 %q", spec, a.Status, a.body, want)
				}
			}
			e.asked(n)
		},
	},
	{
		name: "RFC9111/3.3/units", level: mustNot, text: "store incomplete or partial responses in range units that it does not understand",
		test: func(e *env) {
			e.replies(code(http.StatusPartialContent, "Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: lines 0-1/9"))
			e.get("Range: lines=0-1")
			e.get("Range: lines=0-1")
			e.asked(2)
		},
	},
	{
		name: "RFC9111/3.3/complete", level: may, text: "complete an incomplete response by asking for the rest",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get("Range: bytes=0-49")
			e.served(e.get(), content())
			e.served(e.get(), content())
		},
	},
	{
		name: "RFC9111/3.4/combine", level: may, text: "combine parts that share one strong validator, and reuse them",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			for from := 0; from < 100; from += 25 {
				a := e.get(fmt.Sprintf("Range: bytes=%d-%d", from, from+24))
				if a.body != content()[from:from+25] {
					e.t.Errorf("from %d: %s %q", from, a.Status, a.body)
				}
			}
			e.disconnect()
			e.served(e.get(), content())
		},
	},
	{
		name: "RFC9111/3.4/versions", level: mustNot, text: "combine parts whose strong validators differ",
		test: differentVersions(`"1"`, `"2"`),
	},
	{
		name: "RFC9111/3.4/weak", level: mustNot, text: "combine parts by a weak validator",
		test: differentVersions(`W/"1"`, `W/"1"`),
	},
	{
		name: "RFC9111/3.4/none", level: mustNot, text: "combine parts that have no validator",
		test: func(e *env) {
			part := func(from, to int, of string) reply {
				return code(http.StatusPartialContent, "Cache-Control: max-age=60", fmt.Sprintf("Content-Range: bytes %d-%d/100", from, to)).with(of[from : to+1])
			}
			upper := content()
			lower := fmt.Sprintf("%0100d", 7)
			e.replies(part(0, 49, upper), part(50, 99, lower), ok("Cache-Control: max-age=60").with(lower))
			e.get("Range: bytes=0-49")
			e.get("Range: bytes=50-99")
			e.then(ok("Cache-Control: max-age=60").with(lower))
			e.served(e.get(), lower)
		},
	},
	{
		name: "RFC9111/3.4/update", level: must, text: "update the stored fields with those of the part that it combines",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`, "X-Part: 1"))
			e.get("Range: bytes=0-49")
			e.then(partialOrigin(`"1"`, "X-Part: 2"))
			e.advance(time.Second)
			e.get("Range: bytes=50-99")
			combined := len(e.origin.requests()) > 1 // or it had asked for all
			a := e.get()
			e.served(a, content())
			if combined {
				e.has(a, "X-Part", "2")
			}
		},
	},
}

// tryGet is get for a response that may break off.
func (e *env) tryGet() (answer, error) {
	e.alone()
	return e.try(http.MethodGet, "/a", nil)
}

// differentVersions: the first half is of one version and the second of another.
func differentVersions(first, second string) func(*env) {
	return func(e *env) {
		other := fmt.Sprintf("%0100d", 7)
		e.replies(partialOrigin(first))
		e.get("Range: bytes=0-49")
		e.then(does(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", second)
			w.Header().Set("Cache-Control", "max-age=60")
			if r.Header.Get("If-Range") == "" {
				if from, to, ok := parseRange(r.Header.Get("Range"), 100); ok {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/100", from, to))
					w.WriteHeader(http.StatusPartialContent)
					fmt.Fprint(w, other[from:to+1])
					return
				}
			}
			fmt.Fprint(w, other)
		}))
		a := e.get("Range: bytes=50-99")
		if len(e.origin.requests()) == 1 {
			e.served(e.get(), content()) // it had asked for all, which is of one version
			return
		}
		if a.body != other[50:] && a.body != other {
			e.t.Errorf("the second half is %s %q", a.Status, a.body)
		}
		e.served(e.get(), other)
	}
}

// RFC 9111 section 3.5.
var authenticated = []requirement{
	{
		name: "RFC9111/3.5/not-reused", level: mustNot, text: "reuse a response to a request with Authorization, unless the response allows it",
		test: func(e *env) {
			e.get("Authorization: Basic YTpi")
			e.served(e.get("Authorization: Basic YTpi"), "v2")
			e.served(e.get(), "v3")
			e = e.fresh()
			e.replies(ok("Cache-Control: max-age=60, no-transform, immutable"))
			e.get("Authorization: Basic YTpi")
			e.served(e.get(), "v2")
		},
	},
	{
		name: "RFC9111/3.5/allowed", level: may, text: "reuse such a response if it says public, s-maxage or must-revalidate",
		test: each([]string{"public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60"}, func(v string) func(*env) {
			return func(e *env) {
				e.replies(ok("Cache-Control: " + v))
				e.get("Authorization: Basic YTpi")
				e.served(e.get(), "v1")
			}
		}),
	},
	{
		name: "RFC9111/3.5/conforms", level: must, text: "then do what that directive asks: with s-maxage or must-revalidate, validate once stale",
		test: each([]string{"s-maxage=60", "must-revalidate, max-age=60"}, func(v string) func(*env) {
			return func(e *env) {
				e.replies(ok("Cache-Control: " + v))
				e.get("Authorization: Basic YTpi")
				e.disconnect()
				e.advance(61 * time.Second)
				isError(e, e.get())
			}
		}),
	},
	{
		name: "RFC9111/3.5/stored-before", level: may, text: "answer a request with Authorization from a response that was stored for a request without",
		test: func(e *env) {
			e.get()
			a := e.get("Authorization: Basic YTpi")
			if a.body != "v1" && a.body != "v2" {
				e.t.Errorf("got %s %q", a.Status, a.body)
			}
		},
	},
}
