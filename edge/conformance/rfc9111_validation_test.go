package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const lastModified = "Sat, 01 Jan 2000 00:00:00 GMT"

// revalidated: a stored response is stale and is asked for again; the test looks at what
// the origin is asked.
func revalidated(first reply, check func(*env, seen), request ...string) func(*env) {
	return func(e *env) {
		e.replies(first, code(http.StatusOK, "Cache-Control: max-age=60"))
		e.get(request...)
		e.advance(61 * time.Second)
		e.get(request...)
		e.asked(2)
		check(e, e.last())
	}
}

// sent checks a field of a request that the origin got.
func (e *env) sent(s seen, name, want string) {
	e.t.Helper()
	if got := s.field(name); got != want {
		e.t.Errorf("the origin was sent %s: %q, want %q", name, got, want)
	}
}

// RFC 9111 sections 4.3.1 to 4.3.3: asking whether a response still holds.
var validating = []requirement{
	{
		name: "RFC9111/4.3.1/entity-tag", level: must, text: "send the entity tag of the response that it validates",
		test: each([]string{`"1"`, `W/"1"`, `"a,b"`}, func(tag string) func(*env) {
			return revalidated(withETag(tag), func(e *env, s seen) { e.sent(s, "If-None-Match", tag) })
		}),
	},
	{
		name: "RFC9111/4.3.1/last-modified", level: should, text: "send its Last-Modified",
		test: both(
			revalidated(ok("Cache-Control: max-age=60", "Last-Modified: "+lastModified), func(e *env, s seen) { e.sent(s, "If-Modified-Since", lastModified) }),
			revalidated(withETag(`"1"`, "Last-Modified: "+lastModified), func(e *env, s seen) {
				e.sent(s, "If-Modified-Since", lastModified)
				e.sent(s, "If-None-Match", `"1"`)
			}),
		),
	},
	{
		name: "RFC9111/4.3.1/no-validator", level: mustNot, text: "make up a validator that the response did not have",
		test: revalidated(ok("Cache-Control: max-age=60"), func(e *env, s seen) {
			e.sent(s, "If-None-Match", "")
			e.sent(s, "If-Modified-Since", "")
		}),
	},
	{
		name: "RFC9111/4.3.1/request", level: must, text: "start from the request that it wants to answer",
		test: revalidated(withETag(`"1"`), func(e *env, s seen) { e.sent(s, "X-Kept", "1") }, "X-Kept: 1"),
	},
	{
		name: "RFC9111/4.3.1/vary", level: must, text: "copy the fields that Vary names into a validation of its own accord",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=10, stale-while-revalidate=100", `ETag: "1"`, "Vary: Accept-Language"), notModified(`ETag: "1"`, "Cache-Control: max-age=10"))
			e.get("Accept-Language: de")
			e.advance(11 * time.Second)
			e.served(e.get("Accept-Language: de"), "v1")
			e.eventually("the origin is asked", func() bool { return len(e.origin.requests()) == 2 })
			e.sent(e.last(), "Accept-Language", "de")
			e.sent(e.last(), "If-None-Match", `"1"`)
		},
	},
	{
		name: "RFC9111/4.3.1/partial", level: may, text: "send Last-Modified in If-Range when it asks for a subrange",
		reason: "left open: a strong entity tag is better, and a date is only as good as its second",
	},
	{
		name: "RFC9111/4.3.2/evaluate", level: should, text: "evaluate the conditions of a request against the stored response that answers it",
		test: func(e *env) {
			e.replies(withETag(`"1"`, "Last-Modified: "+lastModified))
			e.get()
			for line, status := range map[string]int{
				`If-None-Match: "1"`: 304, `If-None-Match: W/"1"`: 304, `If-None-Match: "0", "1"`: 304, `If-None-Match: *`: 304, `If-None-Match: "2"`: 200,
				"If-Modified-Since: " + lastModified: 304, "If-Modified-Since: " + e.date(0): 304, "If-Modified-Since: Fri, 31 Dec 1999 23:59:59 GMT": 200,
			} {
				if a := e.get(line); a.StatusCode != status {
					e.t.Errorf("%s: %s, want %d", line, a.Status, status)
				}
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4.3.2/origin-conditions", level: mustNot, text: "evaluate If-Match and If-Unmodified-Since, which are for the origin",
		test: func(e *env) {
			e.replies(withETag(`"1"`, "Last-Modified: "+lastModified))
			e.get()
			for _, line := range []string{`If-Match: "2"`, "If-Unmodified-Since: Fri, 31 Dec 1999 23:59:59 GMT"} {
				if a := e.get(line); a.StatusCode != http.StatusOK {
					e.t.Errorf("%s: %s", line, a.Status)
				}
			}
		},
	},
	{
		name: "RFC9111/4.3.2/other-methods", level: mustNot, text: "evaluate the conditions of a request that a stored response cannot answer",
		test: func(e *env) {
			e.replies(withETag(`"1"`))
			e.get()
			for _, line := range []string{`If-None-Match: "1"`, "If-None-Match: *", `If-Match: "2"`} {
				name, value, _ := strings.Cut(line, ": ")
				e.status(e.ask(http.MethodPut, "/a", line), http.StatusOK)
				e.sent(e.last(), name, value)
			}
		},
	},
	{
		name: "RFC9111/4.3.2/nothing-stored", level: mustNot, text: "answer by the conditions of a request for what it has not stored: the origin's answer decides",
		test: func(e *env) {
			e.replies(ok("Cache-Control: no-store", `ETag: "2"`))
			e.served(e.get(`If-None-Match: "1"`), "v1")
			e.replies(ok("Cache-Control: no-store", `ETag: "1"`)) // what it makes of the condition, if it is sent, is the same
			e.status(e.ask(http.MethodGet, "/b", `If-None-Match: "1"`), http.StatusNotModified)
		},
	},
	{
		name: "RFC9111/4.3.2/precedence", level: must, text: "let If-None-Match take precedence over If-Modified-Since",
		test: func(e *env) {
			e.replies(withETag(`"1"`, "Last-Modified: "+lastModified))
			e.get()
			e.status(e.get(`If-None-Match: "2"`, "If-Modified-Since: "+lastModified), http.StatusOK)
			e.status(e.get(`If-None-Match: "1"`, "If-Modified-Since: Fri, 31 Dec 1999 23:59:59 GMT"), http.StatusNotModified)
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4.3.2/date", level: should, text: "evaluate If-Modified-Since against Date where there is no Last-Modified",
		test: func(e *env) {
			e.get()
			since := e.date(0)
			before := e.date(-time.Hour)
			e.advance(10 * time.Second)
			e.status(e.get("If-Modified-Since: "+since), http.StatusNotModified)
			e.status(e.get("If-Modified-Since: "+before), http.StatusOK)
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4.3.2/if-range", level: must, text: "evaluate If-Range if it serves ranges",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			e.status(e.get("Range: bytes=0-3", `If-Range: "1"`), http.StatusPartialContent)
			e.served(e.get("Range: bytes=0-3", `If-Range: "2"`), content())
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4.3.2/union", level: must, text: "answer 200 with the stored response when a 304 names an entity tag that the client did not",
		test: func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`, "Cache-Control: max-age=60"))
			e.get()
			e.advance(61 * time.Second)
			a := e.get(`If-None-Match: "0"`)
			e.served(a, "v1")
		},
	},
	{
		name: "RFC9111/4.3.2/client-tag", level: must, text: "answer 304 when the entity tag that was confirmed is the client's",
		test: func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`, "Cache-Control: max-age=60"))
			e.get()
			e.advance(61 * time.Second)
			e.status(e.get(`If-None-Match: "1"`), http.StatusNotModified)
			e.served(e.get(), "v1")
			e.asked(2)
		},
	},
	{
		name: "RFC9111/4.3.2/union-partial", level: mustNot, text: "put the tag of a stored part into the union, unless the part has all that is asked for",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get("Range: bytes=0-9")
			e.get(`If-None-Match: "0"`)
			if s := e.last(); s.field("Range") == "" {
				if got := s.field("If-None-Match"); strings.Contains(got, `"1"`) {
					e.t.Errorf("the origin was sent If-None-Match: %s for the whole", got)
				}
			}
			e.served(e.get(), content())
		},
	},
	{
		name: "RFC9111/4.3.3/not-modified", level: must, text: "reuse the stored response upon a 304",
		test: func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`))
			e.get()
			e.advance(61 * time.Second)
			e.served(e.get(), "v1")
			e.served(e.get(), "v1")
			e.asked(2)
		},
	},
	{
		name: "RFC9111/4.3.3/full", level: must, text: "answer with a full response that a validation brings",
		test: func(e *env) {
			e.replies(withETag(`"1"`), withETag(`"2"`))
			e.get()
			e.advance(61 * time.Second)
			e.served(e.get(), "v2")
			e.served(e.get(), "v2")
			e.asked(2)
		},
	},
	{
		name: "RFC9111/4.3.3/server-error", level: may, text: "pass a 5xx on, or act as if the server had not answered",
		test: failing(withETag(`"1"`), 61*time.Second, code(503), func(e *env, a answer) {
			e.status(a, 503)
			e.served(newAfter(e), "v3")
		}),
	},
	{
		name: "RFC9111/4.3.3/constraints", level: mustNot, text: "keep a full response that may not be stored",
		test: func(e *env) {
			e.replies(withETag(`"1"`), ok("Cache-Control: no-store"), ok())
			e.get()
			e.advance(61 * time.Second)
			e.served(e.get(), "v2")
			e.served(e.get(), "v3")
		},
	},
}

// newAfter asks once more, after the origin has recovered.
func newAfter(e *env) answer {
	e.t.Helper()
	e.then(ok("Cache-Control: max-age=60"))
	return e.get()
}

// RFC 9111 section 4.3.4.
var freshening = []requirement{
	{
		name: "RFC9111/4.3.4/strong", level: mustNot, text: "update anything by a 304 whose strong validator no stored response has",
		reason: "on purpose, where one stored response alone was validated: the origin was asked about nothing else, and origins that make their entity tags anew for each answer are common. The stored entity tag stays, so that the next validation asks again",
	},
	{
		name: "RFC9111/4.3.4/weak", level: must, text: "update the most recent response that a weak validator names",
		test: func(e *env) {
			e.replies(withETag(`W/"1"`), notModified(`ETag: W/"1"`, "Cache-Control: max-age=60", "X-New: 1"))
			e.get()
			e.advance(61 * time.Second)
			for range 2 {
				a := e.get()
				e.served(a, "v1")
				e.has(a, "X-New", "1")
			}
			e.asked(2)
		},
	},
	{
		name: "RFC9111/4.3.4/last-modified", level: must, text: "update by a 304 to a request that had nothing but Last-Modified",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Last-Modified: "+lastModified), notModified("Last-Modified: "+lastModified, "Cache-Control: max-age=60", "X-New: 1"))
			e.get()
			e.advance(61 * time.Second)
			for range 2 {
				a := e.get()
				e.served(a, "v1")
				e.has(a, "X-New", "1")
			}
			e.asked(2)
		},
	},
	{
		name: "RFC9111/4.3.4/none", level: may, text: "update a sole stored response that has no validator by a 304 that has none",
		reason: "the edge asks conditionally only where it has a validator; a 304 to a client's own condition is passed on",
	},
	{
		name: "RFC9111/4.3.4/stored", level: must, text: "update the stored fields for the requests that follow, too",
		test: updates([]string{"X-Changed: 2"}, map[string]string{"X-Changed": "2"}),
	},
	{
		name: "RFC9111/4.3.4/variant", level: mustNot, text: "update a response of another variant, unless the validator is its own",
		test: func(e *env) {
			vary := "Vary: X-One"
			e.replies(withETag(`"1"`, vary), withETag(`"2"`, vary), notModified(`ETag: "2"`, vary, "Cache-Control: max-age=60", "X-New: 1"))
			e.get("X-One: 1")
			e.get("X-One: 2")
			e.advance(30 * time.Second)
			e.served(e.get("X-One: 1"), "v1")
			e.advance(31 * time.Second)
			e.served(e.get("X-One: 2"), "v2")
			a := e.get("X-One: 2")
			e.has(a, "X-New", "1")
			e.then(withETag(`"3"`, vary))
			e.served(e.get("X-One: 1"), "v4")
		},
	},
}

// headOrigin answers GET and HEAD of one content under a validator.
func headOrigin(tag, body string, more ...string) reply {
	return does(func(w http.ResponseWriter, r *http.Request) {
		for _, line := range append(more, "ETag: "+tag, "Cache-Control: max-age=60") {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Set(name, value)
		}
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method != http.MethodHead {
			fmt.Fprint(w, body)
		}
	})
}

// headAfter: a GET is stored and stale, a HEAD follows, then a GET.
func headAfter(first, then reply, check func(*env)) func(*env) {
	return func(e *env) {
		e.replies(first, then)
		e.get()
		e.advance(61 * time.Second)
		e.status(e.ask(http.MethodHead, "/a"), http.StatusOK)
		check(e)
	}
}

// RFC 9111 section 4.3.5.
var head = []requirement{
	{
		name: "RFC9111/4.3.5/update", level: should, text: "update a stored response by the answer to a HEAD that has the same validators and length",
		test: headAfter(headOrigin(`"1"`, "same"), headOrigin(`"1"`, "same", "X-New: 1"), func(e *env) {
			n := len(e.origin.requests())
			a := e.get()
			e.served(a, "same")
			e.has(a, "X-New", "1")
			e.asked(n)
		}),
	},
	{
		name: "RFC9111/4.3.5/validator", level: should, text: "take the stored response for stale if a validator differs",
		test: headAfter(headOrigin(`"1"`, "old."), headOrigin(`"2"`, "new."), func(e *env) { e.served(e.get(), "new.") }),
	},
	{
		name: "RFC9111/4.3.5/validator-fresh", level: should, text: "do so for a fresh response too, when a HEAD went to the origin",
		test: func(e *env) {
			e.replies(headOrigin(`"1"`, "old."), headOrigin(`"2"`, "new."))
			e.get()
			e.ask(http.MethodHead, "/a", "Cache-Control: no-cache")
			if len(e.origin.requests()) == 1 {
				return // it did not go there
			}
			e.served(e.get(), "new.")
		},
	},
	{
		name: "RFC9111/4.3.5/length", level: should, text: "take the stored response for stale if the length differs",
		test: headAfter(ok("Cache-Control: max-age=60", "Last-Modified: "+lastModified).with("old"),
			does(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Last-Modified", lastModified)
				w.Header().Set("Content-Length", "6")
				if r.Method != http.MethodHead {
					fmt.Fprint(w, "longer")
				}
			}), func(e *env) { e.served(e.get(), "longer") }),
	},
	{
		name: "RFC9111/4.3.5/fields", level: must, text: "use all fields of that answer, if it updates at all",
		test: headAfter(headOrigin(`"1"`, "same", "X-One: 1", "X-Two: 1"), headOrigin(`"1"`, "same", "X-One: 2", "X-Two: 2"), func(e *env) {
			a := e.get()
			e.served(a, "same")
			if a.field("X-One") != a.field("X-Two") {
				e.t.Errorf("updated in part: %v", a.Header)
			}
		}),
	},
}

// invalidates: an unsafe request that is answered so makes the stored response unusable.
func invalidates(method string, r reply, want string) func(*env) {
	return func(e *env) {
		e.replies(ok("Cache-Control: max-age=60"), r, ok("Cache-Control: max-age=60"))
		e.get()
		e.ask(method, "/a")
		e.served(e.get(), want)
	}
}

// unsafe are the methods that may change something, and some that nobody knows.
var unsafe = []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "BREW"}

// RFC 9111 section 4.4.
var invalidating = []requirement{
	{
		name: "RFC9111/4.4/target", level: must, text: "invalidate the target URI upon a 2xx or 3xx answer to an unsafe or unknown method",
		test: each(unsafe, func(method string) func(*env) {
			return both(invalidates(method, code(200), "v3"), invalidates(method, code(204), "v3"), invalidates(method, code(303, "Location: /b"), "v3"))
		}),
	},
	{
		name: "RFC9111/4.4/all-variants", level: must, text: "invalidate all stored responses of that URI",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One"))
			e.get("X-One: 1")
			e.get("X-One: 2")
			e.ask(http.MethodPost, "/a")
			e.served(e.get("X-One: 1"), "v4")
			e.served(e.get("X-One: 2"), "v5")
		},
	},
	{
		name: "RFC9111/4.4/error", level: may, text: "keep the stored response upon an error",
		test: each([]int{400, 404, 500, 503}, func(status int) func(*env) {
			return both(invalidates("POST", code(status), "v1"), invalidates("BREW", code(status), "v1"))
		}),
	},
	{
		name: "RFC9111/4.4/location", level: may, text: "invalidate the URIs of Location and Content-Location",
		test: each([]string{"Location: /b", "Content-Location: /b", "Location: SCHEME://" + domain + "/b"}, func(line string) func(*env) {
			return func(e *env) {
				line := strings.Replace(line, "SCHEME", e.scheme(), 1)
				e.ask(http.MethodGet, "/b")
				e.then(code(201, line))
				e.ask(http.MethodPost, "/a")
				e.then(ok("Cache-Control: max-age=60"))
				e.served(e.ask(http.MethodGet, "/b"), "v3")
			}
		}),
	},
	{
		name: "RFC9111/4.4/other-origin", level: mustNot, text: "invalidate a URI of another origin",
		test: each([]string{"Location: http://other.example/b", "Content-Location: http://other.example/b", "Location: //other.example/b"}, func(line string) func(*env) {
			return func(e *env) {
				e.ask(http.MethodGet, "/b", "Host: other.example")
				e.then(code(201, line))
				e.ask(http.MethodPost, "/a")
				e.served(e.ask(http.MethodGet, "/b", "Host: other.example"), "v1")
			}
		}),
	},
	{
		name: "RFC9111/4.4/safe", level: mustNot, text: "invalidate by a safe method",
		test: each([]string{"HEAD", "OPTIONS"}, func(method string) func(*env) {
			return invalidates(method, code(200), "v1")
		}),
	},
	{
		name: "RFC9111/4.4/in-flight", level: must, text: "not store afterwards what the origin said before the change",
		test: func(e *env) {
			started, release := make(chan struct{}), make(chan struct{})
			e.replies(does(func(w http.ResponseWriter, _ *http.Request) {
				close(started)
				<-release
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "before")
			}), ok("Cache-Control: max-age=60"))
			e.alone()
			done := make(chan error, 1)
			go func() {
				_, err := e.try(http.MethodGet, "/a", nil)
				done <- err
			}()
			<-started
			e.ask(http.MethodPost, "/a")
			close(release)
			if err := <-done; err != nil {
				e.t.Fatal(err)
			}
			e.served(e.get(), "v3")
		},
	},
}
