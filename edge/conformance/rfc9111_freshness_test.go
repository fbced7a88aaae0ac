package conformance_test

import (
	"net/http"
	"strings"
	"time"
)

// expires makes a test with an Expires that is d away, in some form.
func expires(d time.Duration, form func(time.Time) string, test func(reply) func(*env)) func(*env) {
	return func(e *env) {
		test(ok("Expires: "+form(e.clock.now().Add(d).UTC()), `ETag: "1"`))(e)
	}
}

func layout(l string) func(time.Time) string { return func(t time.Time) string { return t.Format(l) } }

// RFC 9111 sections 4.2 to 4.2.2: how long a response is fresh.
var freshness = []requirement{
	{
		name: "RFC9111/4.2/fresh", level: must, text: "take a response for fresh while its lifetime is greater than its age, and no longer",
		test: both(lifetime(60*time.Second, ok("Cache-Control: max-age=60")), lifetime(time.Second, ok("Cache-Control: max-age=1"))),
	},
	{
		name: "RFC9111/4.2/date-case", level: should, text: "match dates whatever their case",
		test: both(
			expires(time.Hour, func(t time.Time) string { return strings.ToLower(t.Format(http.TimeFormat)) }, func(r reply) func(*env) { return stored(r) }),
			expires(time.Hour, func(t time.Time) string { return strings.ToUpper(t.Format(http.TimeFormat)) }, func(r reply) func(*env) { return stored(r) }),
		),
	},
	{
		name: "RFC9111/4.2/resolution", level: must, text: "represent a date as the nearest time that is not later",
		reason: "a date is held to the nanosecond, finer than an HTTP-date is",
	},
	{
		name: "RFC9111/4.2/time-zone", level: mustNot, text: "let the local time zone influence ages and expiry (every test of this table has a clock that is half past five away from GMT)",
		test: both(
			expires(time.Hour, layout(http.TimeFormat), func(r reply) func(*env) { return lifetime(time.Hour, r) }),
			expires(-time.Hour, layout(http.TimeFormat), func(r reply) func(*env) { return staleAt(0, r) }),
		),
	},
	{
		name: "RFC9111/4.2/zone-names", level: should, text: "take a date with another zone than GMT for invalid",
		test: each([]string{"UTC", "EST", "+0000", "CET"}, func(zone string) func(*env) {
			return expires(20*time.Hour, layout("Mon, 02 Jan 2006 15:04:05 "+zone), func(r reply) func(*env) { return staleAt(0, r) })
		}),
	},
	{
		name: "RFC9111/4.2/date-forms", level: must, text: "accept all three forms of an HTTP-date (RFC 9110 section 5.6.7)",
		test: each([]string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}, func(l string) func(*env) {
			return expires(time.Hour, layout(l), func(r reply) func(*env) { return lifetime(time.Hour, r) })
		}),
	},
	{
		name: "RFC9111/4.2.1/s-maxage", level: must, text: "use s-maxage before max-age and Expires",
		test: both(
			lifetime(100*time.Second, ok("Cache-Control: max-age=10, s-maxage=100")),
			lifetime(10*time.Second, ok("Cache-Control: s-maxage=10, max-age=100")),
			expires(-time.Hour, layout(http.TimeFormat), func(r reply) func(*env) {
				r.fields = append(r.fields, "Cache-Control: s-maxage=100")
				return lifetime(100*time.Second, r)
			}),
		),
	},
	{
		name: "RFC9111/4.2.1/max-age", level: must, text: "use max-age before Expires",
		test: both(
			expires(-time.Hour, layout(http.TimeFormat), func(r reply) func(*env) {
				r.fields = append(r.fields, "Cache-Control: max-age=100")
				return lifetime(100*time.Second, r)
			}),
			expires(time.Hour, layout(http.TimeFormat), func(r reply) func(*env) {
				r.fields = append(r.fields, "Cache-Control: max-age=100")
				return lifetime(100*time.Second, r)
			}),
		),
	},
	{
		name: "RFC9111/4.2.1/expires", level: must, text: "else use Expires less Date",
		test: func(e *env) {
			// The origin's clock is ahead by an hour: only the difference counts.
			lifetime(100*time.Second, ok("Date: "+e.date(time.Hour), "Expires: "+e.date(time.Hour+100*time.Second)))(e)
		},
	},
	{
		name: "RFC9111/4.2.1/no-date", level: must, text: "use the time of receipt where there is no Date",
		test: func(e *env) {
			r := octets("HTTP/1.1 200 OK\nExpires: " + e.date(100*time.Second) + "\nContent-Length: 2\n\nv1")
			e.replies(r, ok())
			e.served(e.get(), "v1")
			e.advance(99 * time.Second)
			e.served(e.get(), "v1")
			e.advance(time.Second)
			e.served(e.get(), "v2")
		},
	},
	{
		name: "RFC9111/4.2.1/duplicates", level: should, text: "use the first of several values of a directive, or take the response for stale",
		test: both(
			staleAt(20*time.Second, ok("Cache-Control: max-age=10, max-age=100")),
			staleAt(20*time.Second, ok("Cache-Control: max-age=10", "Cache-Control: max-age=100")),
			staleAt(100*time.Second, ok("Cache-Control: max-age=100, max-age=1000")),
			func(e *env) {
				staleAt(20*time.Second, ok("Expires: "+e.date(10*time.Second), "Expires: "+e.date(time.Hour)))(e)
			},
		),
	},
	{
		name: "RFC9111/4.2.1/conflict", level: should, text: "honour the most restrictive of directives that conflict",
		test: both(
			staleAt(0, ok("Cache-Control: max-age=60, no-cache", `ETag: "1"`)),
			notStored(ok("Cache-Control: max-age=60, public, no-store")),
			notStored(ok("Cache-Control: public, private, max-age=60")),
		),
	},
	{
		name: "RFC9111/4.2.1/invalid", level: should, text: "take a response whose freshness is invalid for stale",
		test: each([]string{"max-age=a", "max-age=-1", "max-age=1.5", "max-age=", "max-age", "max-age='100'", "max-age=100a", "max-age=0x10", "s-maxage=x, max-age=100"}, func(v string) func(*env) {
			return func(e *env) {
				staleAt(11*time.Second, ok("Cache-Control: "+v, "Last-Modified: "+e.date(-10000*time.Hour), `ETag: "1"`))(e)
			}
		}),
	},
	{
		name: "RFC9111/4.2.2/explicit", level: mustNot, text: "use heuristics where there is an explicit expiry",
		test: func(e *env) {
			old := "Last-Modified: " + e.date(-10000*time.Hour)
			both(
				staleAt(10*time.Second, ok("Cache-Control: max-age=10", old)),
				staleAt(0, ok("Cache-Control: max-age=0", old)),
				staleAt(0, ok("Expires: "+e.date(-time.Hour), old)),
				staleAt(10*time.Second, ok("Cache-Control: s-maxage=10", old)),
				staleAt(0, ok("Expires: 0", old)),
			)(e)
		},
	},
	{
		name: "RFC9111/4.2.2/assign", level: may, text: "assign a heuristic lifetime where there is none",
		test: func(e *env) {
			freshAt(50*time.Minute, ok("Last-Modified: "+e.date(-10*time.Hour)))(e)
		},
	},
	{
		name: "RFC9111/4.2.2/fraction", level: should, text: "assign no more than a fraction of the time since Last-Modified, such as a tenth",
		test: func(e *env) {
			staleAt(61*time.Minute, ok("Last-Modified: "+e.date(-10*time.Hour)))(e)
		},
	},
	{
		name: "RFC9111/4.2.2/future", level: mustNot, text: "assign a lifetime by a Last-Modified that is not in the past",
		test: func(e *env) {
			staleAt(time.Second, ok("Last-Modified: "+e.date(10*time.Hour)))(e)
		},
	},
	{
		name: "RFC9111/4.2.2/query", level: may, text: "do so for URIs with a query too",
		test: func(e *env) {
			e.replies(ok("Last-Modified: " + e.date(-1000*time.Hour)))
			e.ask(http.MethodGet, "/a?b")
			e.served(e.ask(http.MethodGet, "/a?b"), "v1")
		},
	},
}

// RFC 9111 section 4.2.3: age.
var ages = []requirement{
	{
		name: "RFC9111/4.2.3/age-value", level: must, text: "add the Age that came with the response",
		test: both(
			staleAt(30*time.Second, ok("Cache-Control: max-age=60", "Age: 30")),
			freshAt(29*time.Second, ok("Cache-Control: max-age=60", "Age: 30")),
			staleAt(0, ok("Cache-Control: max-age=60", "Age: 60")),
		),
	},
	{
		name: "RFC9111/4.2.3/apparent", level: must, text: "count the time since Date where no cache has told it",
		test: func(e *env) {
			both(
				staleAt(30*time.Second, ok("Cache-Control: max-age=60", "Date: "+e.date(-30*time.Second))),
				func(e *env) {
					e.replies(ok("Cache-Control: max-age=60", "Date: "+e.date(-30*time.Second)))
					e.get()
					e.has(e.get(), "Age", "30")
				},
			)(e)
		},
	},
	{
		name: "RFC9111/4.2.3/greater", level: must, text: "use the greater of the two ways to tell the age",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Date: "+e.date(-30*time.Second), "Age: 10"))
			e.get()
			e.has(e.get(), "Age", "30")
		},
	},
	{
		name: "RFC9111/4.2.3/future-date", level: must, text: "take a Date in the future for an age of zero",
		test: func(e *env) {
			e.replies(ok("Cache-Control: max-age=60", "Date: "+e.date(time.Hour)))
			e.get()
			e.advance(5 * time.Second)
			e.has(e.get(), "Age", "5")
		},
	},
	{
		name: "RFC9111/4.2.3/response-delay", level: must, text: "count Age from the time of the request, not of its answer",
		test: func(e *env) {
			e.replies(does(func(w http.ResponseWriter, _ *http.Request) {
				e.advance(20 * time.Second)
				w.Header().Set("Date", e.date(0))
				w.Header().Set("Age", "5")
				w.Header().Set("Cache-Control", "max-age=60")
			}))
			e.get()
			e.has(e.get(), "Age", "25")
		},
	},
	{
		name: "RFC9111/4.2.3/resident", level: must, text: "add the time in the store, counted from the latest validation",
		test: func(e *env) {
			e.replies(withETag(`"1"`), notModified(`ETag: "1"`, "Cache-Control: max-age=60"))
			e.get()
			e.advance(61 * time.Second)
			e.get()
			e.advance(12 * time.Second)
			a := e.get()
			e.served(a, "v1")
			e.has(a, "Age", "12")
		},
	},
}

// RFC 9111 section 4.2.4: stale responses.
var stale = []requirement{
	{
		name: "RFC9111/4.2.4/prohibited", level: mustNot, text: "serve stale what a directive forbids: must-revalidate, proxy-revalidate, s-maxage, no-cache",
		test: each([]string{"max-age=10, must-revalidate", "max-age=10, proxy-revalidate", "s-maxage=10", "max-age=10, no-cache", "max-age=10, must-revalidate, stale-if-error=1000"}, func(v string) func(*env) {
			return unreachable(ok("Cache-Control: "+v, `ETag: "1"`), 11*time.Second, isError)
		}),
	},
	{
		name: "RFC9111/4.2.4/connected", level: mustNot, text: "serve stale while the origin answers, unless somebody has allowed it",
		test: both(
			failing(ok("Cache-Control: max-age=10", `ETag: "1"`), 11*time.Second, code(503), isError),
			failing(ok("Cache-Control: max-age=10"), 11*time.Second, code(500), isError),
			failing(ok("Cache-Control: max-age=10"), 11*time.Second, code(404), func(e *env, a answer) { e.status(a, 404) }),
		),
	},
	{
		name: "RFC9111/4.2.4/disconnected", level: may, text: "serve stale when the origin cannot be reached and nothing forbids it",
		test: unreachable(ok("Cache-Control: max-age=10"), 11*time.Second, isFirst),
	},
	{
		name: "RFC9111/4.2.4/age", level: must, text: "tell the age of what it serves stale",
		test: unreachable(ok("Cache-Control: max-age=10"), 11*time.Second, func(e *env, a answer) {
			e.served(a, "v1")
			e.has(a, "Age", "11")
		}),
	},
}
