package conformance_test

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// RFC 9111 section 4.0: when a stored response may answer.
var reusing = []requirement{
	{
		name: "RFC9111/4/uri", level: mustNot, text: "reuse a response for another target URI",
		test: func(e *env) {
			e.served(e.ask(http.MethodGet, "/a/b"), "v1")
			for i, path := range []string{"/a%2Fb", "/a/b/", "/a/b?", "/a//b", "/a;b"} {
				if a := e.ask(http.MethodGet, path); a.StatusCode == http.StatusOK && path != "/a/b?" && a.body == "v1" {
					e.t.Errorf("%d: %s answered with what /a/b got", i, path)
				}
			}
		},
	},
	{
		name: "RFC9111/4/head-from-get", level: may, text: "answer HEAD from a response to GET",
		test: func(e *env) {
			e.get()
			a := e.ask(http.MethodHead, "/a")
			e.status(a, http.StatusOK)
			if a.body != "" || a.ContentLength != 2 {
				e.t.Errorf("body %q, Content-Length %d", a.body, a.ContentLength)
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4/get-from-head", level: mustNot, text: "answer GET from a response to HEAD",
		test: func(e *env) {
			e.ask(http.MethodHead, "/a")
			a := e.get()
			if a.StatusCode != http.StatusOK || a.body == "" {
				e.t.Errorf("got %s %q\n%s", a.Status, a.body, e.history(a))
			}
		},
	},
	{
		name: "RFC9111/4/no-cache", level: mustNot, text: "reuse a response with no-cache without validating it",
		test: func(e *env) {
			e.replies(ok("Cache-Control: no-cache, max-age=60", `ETag: "1"`), notModified(`ETag: "1"`, "Cache-Control: no-cache, max-age=60"), ok())
			e.get()
			e.served(e.get(), "v1")
			e.served(e.get(), "v3")
		},
	},
	{
		name: "RFC9111/4/stale", level: mustNot, text: "reuse a response that is neither fresh nor allowed to be stale nor validated",
		test: both(staleAt(60*time.Second, ok("Cache-Control: max-age=60")), staleAt(0, ok("Cache-Control: max-age=0", `ETag: "1"`))),
	},
	{
		name: "RFC9111/4/age", level: must, text: "send an Age equal to the current age with a response that it reuses without validation",
		test: func(e *env) {
			e.get()
			for i, d := range []time.Duration{0, 7 * time.Second, 30 * time.Second} {
				e.advance(d)
				e.has(e.get(), "Age", []string{"0", "7", "37"}[i])
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4/age-replaced", level: must, text: "replace an Age that came with the response",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Age: 20"))
			e.get()
			e.advance(10 * time.Second)
			e.has(e.get(), "Age", "30")
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4/write-through", level: must, text: "forward a request with an unsafe or unknown method, and answer it only then",
		test: each([]string{"POST", "PUT", "DELETE", "PATCH", "BREW", "M-SEARCH"}, func(method string) func(*env) {
			return func(e *env) {
				e.get()
				e.served(e.ask(method, "/a"), "v2")
				if got := e.last().Method; got != method {
					e.t.Errorf("the origin got %s, want %s", got, method)
				}
				e.disconnect()
				isError(e, e.ask(method, "/a"))
			}
		}),
	},
	{
		name: "RFC9111/4/collapse", level: may, text: "answer several requests with the response to one",
		test: func(e *env) {
			started, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			e.replies(does(func(w http.ResponseWriter, _ *http.Request) {
				once.Do(func() { close(started) })
				<-release
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "shared")
			}))
			for a := range concurrently(e, 8, started, release) {
				if a.body != "shared" {
					e.t.Errorf("got %q", a.body)
				}
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9111/4/collapse-private", level: must, text: "forward each of several requests if the response to the first may not be reused",
		test: func(e *env) {
			started, release := make(chan struct{}), make(chan struct{})
			var mu sync.Mutex
			n := 0
			e.replies(does(func(w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				n++
				mine := n
				mu.Unlock()
				if mine == 1 {
					close(started)
				}
				<-release
				w.Header().Set("Cache-Control", "private")
				fmt.Fprint(w, mine)
			}))
			seen := map[string]bool{}
			for a := range concurrently(e, 8, started, release) {
				if seen[a.body] {
					e.t.Errorf("%q was given to two", a.body)
				}
				seen[a.body] = true
			}
			e.asked(8)
		},
	},
	{
		name: "RFC9111/4/most-recent", level: must, text: "use the most recent by Date of several stored responses that suit",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=600", "Vary: Accept-Language"), ok("Cache-Control: max-age=600", "Vary: X-Other"))
			e.get("Accept-Language: de")
			e.advance(10 * time.Second)
			e.served(e.get("Accept-Language: en"), "v2")
			e.advance(10 * time.Second)
			e.served(e.get("Accept-Language: de"), "v2") // both suit
		},
	},
	{
		name: "RFC9111/4/clock", level: must, text: "validate upon every use if it has no clock",
		reason: "an edge has a clock: it runs on nothing that lacks one",
	},
}

// concurrently sends n requests at once, lets the origin answer once the first has got
// there, and returns the answers.
func concurrently(e *env, n int, started <-chan struct{}, release chan<- struct{}) <-chan answer {
	e.t.Helper()
	e.alone()
	answers := make(chan answer, n)
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			a, err := e.try(http.MethodGet, "/a", nil)
			if err != nil {
				e.t.Error(err)
				return
			}
			answers <- a
		})
	}
	<-started
	close(release)
	group.Wait()
	close(answers)
	return answers
}

// RFC 9111 section 4.1: Vary.
var varying = []requirement{
	{
		name: "RFC9111/4.1/mismatch", level: mustNot, text: "reuse a response if a request field that its Vary names has another value",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One, X-Two"))
			e.served(e.get("X-One: 1", "X-Two: 2"), "v1")
			e.served(e.get("X-One: 1", "X-Two: 3"), "v2")
			e.served(e.get("X-One: 2", "X-Two: 1"), "v3")
			e.served(e.get("X-One: 1", "X-Two: 2", "X-Three: 3"), "v1")
		},
	},
	{
		name: "RFC9111/4.1/lines", level: must, text: "heed every line of Vary, whatever the case of the names",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: x-one", "Vary: X-TWO"))
			e.served(e.get("X-One: 1", "X-Two: 2"), "v1")
			e.served(e.get("X-One: 1", "X-Two: 3"), "v2")
			e.served(e.get("X-One: 2", "X-Two: 2"), "v3")
			e.served(e.get("X-One: 1", "X-Two: 2"), "v1")
		},
	},
	{
		name: "RFC9111/4.1/absent", level: must, text: "let an absent field match only an absent one",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One"))
			e.served(e.get(), "v1")
			e.served(e.get("X-One: 1"), "v2")
			e.served(e.get(), "v1")
		},
	},
	{
		name: "RFC9111/4.1/empty", level: must, text: "tell an empty field from an absent one",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One"))
			e.served(e.get(), "v1")
			_, body := e.rawGet("/a", "X-One:")
			if string(body) != "v2" {
				e.t.Errorf("an empty field got %q", body)
			}
		},
	},
	{
		name: "RFC9111/4.1/star", level: mustNot, text: "reuse a response whose Vary has the member *",
		test: each([]string{"Vary: *", "Vary: X-One, *", "Vary: *, X-One"}, func(line string) func(*env) {
			return staleAt(0, ok("Cache-Control: max-age=60", line), "X-One: 1")
		}),
	},
	{
		name: "RFC9111/4.1/star-second-line", level: mustNot, text: "overlook the member * in a later line",
		test: staleAt(0, ok("Cache-Control: max-age=60", "Vary: X-One", "Vary: *"), "X-One: 1"),
	},
	{
		name: "RFC9111/4.1/whitespace", level: may, text: "match fields that differ in optional whitespace or in how they are spread over lines",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: Accept-Language"))
			e.served(e.get("Accept-Language: en, de"), "v1")
			e.served(e.get("Accept-Language: en", "Accept-Language: de"), "v1")
			e.served(e.get("Accept-Language: en,de"), "v1")
			e.served(e.get("Accept-Language: en,  de"), "v1")
		},
	},
	{
		name: "RFC9111/4.1/order", level: mustNot, text: "match fields that differ in more than that: the order of members counts unless the field is known to be without order",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-List"))
			e.served(e.get("X-List: a, b"), "v1")
			e.served(e.get("X-List: b, a"), "v2")
			e.served(e.get("X-List: A, b"), "v3")
		},
	},
	{
		name: "RFC9111/4.1/variants", level: may, text: "keep several responses of one URI",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One"))
			for i, v := range []string{"1", "2", "3", "1", "2", "3"} {
				e.served(e.get("X-One: "+v), fmt.Sprint("v", i%3+1))
			}
			e.asked(3)
		},
	},
	{
		name: "RFC9111/4.1/without-vary", level: should, text: "prefer a stored response with Vary to one that forgets it, if both suit",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=600", "Vary: Accept-Language"), ok("Cache-Control: max-age=600"))
			e.served(e.get("Accept-Language: de"), "v1")
			e.advance(time.Second)
			e.served(e.get(), "v2")
			e.advance(time.Second)
			e.served(e.get("Accept-Language: de"), "v1")
		},
	},
	{
		name: "RFC9111/4.1/authority", level: mustNot, text: "match a request for another host by its fields",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One"))
			e.served(e.get("X-One: 1"), "v1")
			e.served(e.get("X-One: 1", "Host: other.example"), "v2")
		},
	},
}
