package conformance_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// member is an item of Cache-Status: an identifier, and its parameters.
type member struct {
	id     string
	params map[string]string // a parameter without a value has "?1"
}

// cacheStatus parses Cache-Status, strictly: a list of strings or tokens with parameters
// (RFC 8941). It fails the test for anything else.
func (e *env) cacheStatus(a answer) []member {
	e.t.Helper()
	const (
		token = `[A-Za-z*][!#$%&'*+\-.^_|~0-9A-Za-z:/` + "`" + `]*`
		str   = `"(?:[ !#-\[\]-~]|\\["\\])*"`
		value = `(?:` + token + `|` + str + `|-?\d{1,15}|\?[01])`
		param = `; *([a-z*][a-z0-9_\-.*]*)(?:=(` + value + `))?`
	)
	item := regexp.MustCompile(`^(` + token + `|` + str + `)((?:` + param + `)*)(?:[ \t]*,[ \t]*|$)`)
	one := regexp.MustCompile(param)
	var members []member
	for rest := a.field("Cache-Status"); rest != ""; {
		m := item.FindStringSubmatch(rest)
		if m == nil {
			e.t.Fatalf("Cache-Status: %q is no list of items, from %q", a.field("Cache-Status"), rest)
		}
		params := map[string]string{}
		for _, p := range one.FindAllStringSubmatch(m[2], -1) {
			if params[p[1]] = p[2]; p[2] == "" {
				params[p[1]] = "?1"
			}
		}
		members, rest = append(members, member{m[1], params}), rest[len(m[0]):]
	}
	return members
}

// mine is the edge's own member: the last.
func (e *env) mine(a answer) map[string]string {
	e.t.Helper()
	all := e.cacheStatus(a)
	if len(all) == 0 {
		e.t.Fatalf("no Cache-Status in %v", a.Header)
	}
	return all[len(all)-1].params
}

// says checks parameters of the edge's member: pairs of name and value, an empty value
// for one that is not to be there.
func (e *env) says(a answer, pairs ...string) {
	e.t.Helper()
	params := e.mine(a)
	for i := 0; i < len(pairs); i += 2 {
		if got := params[pairs[i]]; got != pairs[i+1] {
			e.t.Errorf("Cache-Status %q: %s is %q, want %q", a.field("Cache-Status"), pairs[i], got, pairs[i+1])
		}
	}
}

// RFC 9211: Cache-Status.
var rfc9211 = []requirement{
	{
		name: "RFC9211/2/local", level: shouldNot, text: "add itself to a response of its own making that is based on no stored response",
		reason: "on purpose on a 502 or 504, where operators look first for which tier gave up and why; on no other response of an edge's own making",
	},
	{
		name: "RFC9211/2/refused", level: shouldNot, text: "add itself to the refusal of a malformed request",
		test: func(e *env) {
			head := e.raw("GET / HTTP/1.1\r\nHost: bad host\r\nConnection: close\r\n\r\n")
			if strings.Contains(strings.ToLower(head), "\ncache-status:") {
				e.t.Errorf("a refused request got %q", head)
			}
		},
	},
	{
		name: "RFC9211/2/preserve", level: should, text: "keep the members that are there, and add its own at the end",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", `Cache-Status: "Origin Cache"; hit; ttl=5`, "Cache-Status: second; fwd=miss"))
			members := e.cacheStatus(e.get())
			if len(members) != 3 || members[0].id != `"Origin Cache"` || members[1].id != "second" {
				e.t.Errorf("%v, want both of the origin's members and one more", members)
			}
		},
	},
	{
		name: "RFC9211/2/identifier", level: must, text: "name itself with a string or a token",
		test: func(e *env) {
			for _, a := range []answer{e.get(), e.get(), e.ask(http.MethodPost, "/a")} {
				if len(e.cacheStatus(a)) != 1 {
					e.t.Errorf("Cache-Status: %q, want one member", a.field("Cache-Status"))
				}
			}
		},
	},
	{
		name: "RFC9211/2.1/hit", level: must, text: "say hit of a response from the store that did not go forward, a 304 or 206 included",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			for _, fields := range [][]string{nil, {`If-None-Match: "1"`}, {"Range: bytes=0-3"}} {
				e.says(e.get(fields...), "hit", "?1", "fwd", "")
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9211/2.1/not-hit", level: mustNot, text: "say hit of a response that went forward to be validated",
		test: func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`))
			e.says(e.get(), "hit", "")
			e.advance(61 * time.Second)
			e.says(e.get(), "hit", "")
		},
	},
	{
		name: "RFC9211/2.1/exclusive", level: must, text: "say either hit or fwd",
		test: func(e *env) {
			for _, a := range []answer{e.get(), e.get(), e.ask(http.MethodPost, "/a")} {
				if p := e.mine(a); (p["hit"] == "") == (p["fwd"] == "") {
					e.t.Errorf("Cache-Status: %q", a.field("Cache-Status"))
				}
			}
		},
	},
	{
		name: "RFC9211/2.2/miss", level: should, text: "say the most specific reason that it knows: uri-miss for a URI of which nothing is stored",
		test: func(e *env) { e.says(e.get(), "fwd", "uri-miss") },
	},
	{
		name: "RFC9211/2.2/vary-miss", level: should, text: "say vary-miss where another variant is stored",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Vary: X-One"))
			e.get("X-One: 1")
			e.says(e.get("X-One: 2"), "fwd", "vary-miss")
		},
	},
	{
		name: "RFC9211/2.2/stale", level: should, text: "say stale where the stored response was",
		test: func(e *env) {
			e.get()
			e.advance(61 * time.Second)
			e.says(e.get(), "fwd", "stale")
		},
	},
	{
		name: "RFC9211/2.2/method", level: should, text: "say method of a request whose method has to be forwarded",
		test: func(e *env) { e.says(e.ask(http.MethodPost, "/a"), "fwd", "method") },
	},
	{
		name: "RFC9211/2.2/request", level: should, text: "say request where a fresh response is stored and the request does not want it",
		test: func(e *env) {
			e.get()
			e.says(e.get("Cache-Control: no-cache"), "fwd", "request")
		},
	},
	{
		name: "RFC9211/2.2/partial", level: should, text: "say partial where a part is stored and more was asked for",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get("Range: bytes=0-9")
			if a := e.get(); e.mine(a)["hit"] == "" {
				e.says(a, "fwd", "partial")
			}
		},
	},
	{
		name: "RFC9211/2.3/fwd-status", level: should, text: "say the status of the next hop where it is not the one sent",
		test: func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`))
			e.get()
			e.advance(61 * time.Second)
			a := e.get()
			e.served(a, "v1")
			e.says(a, "fwd-status", "304")
		},
	},
	{
		name: "RFC9211/2.4/ttl", level: must, text: "say in ttl what is left of the lifetime, negative once stale",
		test: both(
			func(e *env) {
				e.get()
				e.advance(20 * time.Second)
				e.says(e.get(), "ttl", "40")
			},
			unreachable(ok("Cache-Control: max-age=10"), 15*time.Second, func(e *env, a answer) {
				if ttl, err := strconv.Atoi(e.mine(a)["ttl"]); err != nil || ttl != -5 {
					e.t.Errorf("Cache-Status: %q, want ttl=-5", a.field("Cache-Status"))
				}
			}),
		),
	},
	{
		name: "RFC9211/2.5/stored", level: must, text: "say stored only of what it has stored",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60"), ok("Cache-Control: no-store"))
			e.says(e.ask(http.MethodGet, "/a"), "stored", "?1")
			if v := e.mine(e.ask(http.MethodGet, "/b"))["stored"]; v == "?1" {
				e.t.Error("stored, of a response with no-store")
			}
		},
	},
	{
		name: "RFC9211/2.6/collapsed", level: must, text: "say collapsed only of a request that was answered with another's response",
		test: func(e *env) {
			if v := e.mine(e.get())["collapsed"]; v == "?1" {
				e.t.Error("collapsed, of the only request")
			}
		},
	},
	{
		name: "RFC9211/2.7/key", level: may, text: "show the cache key",
		reason: "left out: section 6 warns that a key helps whoever wants to poison a cache",
	},
	{
		name: "RFC9211/2.8/detail", level: may, text: "give details of its own in detail",
		test: func(e *env) {
			e.replies(ok("Cache-Control: no-store"))
			e.cacheStatus(e.get()) // whatever it says is well-formed
		},
	},
	{
		name: "RFC9211/2/stored-response", level: mustNot, text: "repeat what other caches said of another exchange, in a response from the store",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Cache-Status: other; fwd=miss; stored"))
			e.get()
			members := e.cacheStatus(e.get())
			if len(members) > 1 && members[0].params["fwd"] != "" {
				e.t.Errorf("%v: nothing was forwarded for this request", members)
			}
		},
	},
}

// RFC 9213: Cache-Control for CDNs alone.
var rfc9213 = []requirement{
	{
		name: "RFC9213/2.1/ignored", level: must, text: "ignore a targeted field that is empty or cannot be parsed",
		test: each([]string{"", "max-age=100,", "max-age=100 no-store", `max-age="`, "Max-Age=100", "max-age=100;", "=100", "max-age = 100", "no store"}, func(v string) func(*env) {
			return lifetime(10*time.Second, ok("Cache-Control: max-age=10", "CDN-Cache-Control: "+v))
		}),
	},
	{
		name: "RFC9213/2.1/types", level: shouldNot, text: "use a value of another type than the directive's",
		test: each([]string{`max-age="100"`, "max-age=100.5", "max-age=a", "max-age", "max-age=-1"}, func(v string) func(*env) {
			return staleAt(11*time.Second, ok("Cache-Control: max-age=10", "CDN-Cache-Control: "+v))
		}),
	},
	{
		name: "RFC9213/2.1/parameters", level: must, text: "ignore parameters of a directive",
		test: lifetime(100*time.Second, ok("Cache-Control: max-age=10", "CDN-Cache-Control: max-age=100;foo=bar;baz")),
	},
	{
		name: "RFC9213/2.1/last", level: must, text: "use the last of several values, as a dictionary does (RFC 8941 section 3.2)",
		test: lifetime(100*time.Second, ok("CDN-Cache-Control: max-age=10, max-age=100")),
	},
	{
		name: "RFC9213/2.2/select", level: must, text: "use the first valid field of its target list, and ignore Cache-Control and Expires",
		test: both(
			lifetime(100*time.Second, ok("Cache-Control: max-age=10", "CDN-Cache-Control: max-age=100")),
			lifetime(100*time.Second, ok("Cache-Control: no-store", "CDN-Cache-Control: max-age=100")),
			lifetime(10*time.Second, ok("Cache-Control: s-maxage=100", "CDN-Cache-Control: max-age=10")),
			lifetime(100*time.Second, ok("Expires: 0", "CDN-Cache-Control: max-age=100")),
			func(e *env) {
				notStored(code(403, "Cache-Control: max-age=100", "Expires: "+e.date(time.Hour), "CDN-Cache-Control: none"))(e)
			},
			stored(ok("Cache-Control: private", "CDN-Cache-Control: max-age=100")),
		),
	},
	{
		name: "RFC9213/2.2/fallback", level: must, text: "fall back to Cache-Control where no field of the list is there",
		test: both(lifetime(10*time.Second, ok("Cache-Control: max-age=10")), notStored(ok("Cache-Control: no-store"))),
	},
	{
		name: "RFC9213/2.2/others", level: mustNot, text: "be changed by targeted fields of others",
		test: lifetime(10*time.Second, ok("Cache-Control: max-age=10", "Other-Cache-Control: no-store", "Surrogate-Cache-Control: max-age=100")),
	},
	{
		name: "RFC9213/2.2/passed", level: must, text: "pass on targeted fields that are not on its list",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=10", "Other-Cache-Control: no-store"))
			e.has(e.get(), "Other-Cache-Control", "no-store")
			e.has(e.get(), "Other-Cache-Control", "no-store")
		},
	},
	{
		name: "RFC9213/2.2/directives", level: must, text: "implement max-age, must-revalidate, no-store, no-cache and private there",
		test: both(
			notStored(ok("Cache-Control: max-age=60", "CDN-Cache-Control: no-store")),
			notStored(ok("Cache-Control: max-age=60", "CDN-Cache-Control: private")),
			staleAt(0, ok("Cache-Control: max-age=60", "CDN-Cache-Control: no-cache, max-age=60", `ETag: "1"`)),
			unreachable(ok("CDN-Cache-Control: max-age=10, must-revalidate"), 11*time.Second, isError),
			unreachable(ok("Cache-Control: must-revalidate", "CDN-Cache-Control: max-age=10"), 11*time.Second, isFirst),
		),
	},
	{
		name: "RFC9213/2.2/more", level: should, text: "implement there the other directives that it implements in Cache-Control",
		test: both(
			lifetime(100*time.Second, ok("CDN-Cache-Control: max-age=10, s-maxage=100")),
			failing(ok("CDN-Cache-Control: max-age=10, stale-if-error=100"), 11*time.Second, code(503), isFirst),
			func(e *env) {
				e.replies(ok("CDN-Cache-Control: max-age=10, stale-while-revalidate=100"))
				e.get()
				e.advance(11 * time.Second)
				e.served(e.get(), "v1")
			},
			withheldBy(`CDN-Cache-Control: max-age=60, no-cache="X-One"`),
		),
	},
	{
		name: "RFC9213/2.2/precedence", level: must, text: "give the directives there the precedence that they have in Cache-Control",
		test: both(notStored(ok("CDN-Cache-Control: max-age=60, no-store")), stored(ok("CDN-Cache-Control: foo, max-age=60, bar=(1 2)"))),
	},
	{
		name: "RFC9213/2.2/authorization", level: must, text: "judge by the targeted field whether a response to a request with Authorization may be shared",
		test: both(
			func(e *env) {
				e.replies(ok("Cache-Control: public, max-age=60", "CDN-Cache-Control: max-age=60"))
				e.get("Authorization: x")
				e.served(e.get(), "v2")
			},
			func(e *env) {
				e.replies(ok("Cache-Control: max-age=60", "CDN-Cache-Control: public, max-age=60"))
				e.get("Authorization: x")
				e.served(e.get(), "v1")
			},
		),
	},
	{
		name: "RFC9213/2.4/suffix", level: mustNot, text: "know a targeted field by its suffix alone",
		test: lifetime(10*time.Second, ok("Cache-Control: max-age=10", "X-Cache-Control: max-age=100")),
	},
	{
		name: "RFC9213/3/forward", level: may, text: "remove CDN-Cache-Control, or forward it for CDNs downstream",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=10", "CDN-Cache-Control: max-age=100"))
			first, second := e.get(), e.get()
			if first.field("CDN-Cache-Control") != second.field("CDN-Cache-Control") {
				e.t.Errorf("%q, then %q", first.field("CDN-Cache-Control"), second.field("CDN-Cache-Control"))
			}
			e.has(second, "Cache-Control", "max-age=10")
		},
	},
}

// withheldBy: a field's directive names X-One, which is then not in the second answer.
func withheldBy(line string) func(*env) {
	return func(e *env) {
		e.replies(ok(line, "X-One: 1"))
		e.get()
		a := e.get()
		e.served(a, "v1")
		e.has(a, "X-One", "")
	}
}
