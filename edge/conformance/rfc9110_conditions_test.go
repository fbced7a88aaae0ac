package conformance_test

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

// onFresh: a response is stored and fresh; each set of fields gets a status from the store.
func onFresh(r reply, statuses map[string]int) func(*env) {
	return func(e *env) {
		e.replies(r)
		e.get()
		for lines, want := range statuses {
			var fields []string
			if lines != "" {
				fields = strings.Split(lines, "\n")
			}
			if a := e.get(fields...); a.StatusCode != want {
				e.t.Errorf("%s: %s, want %d", lines, a.Status, want)
			}
		}
		e.asked(1)
	}
}

// RFC 9110 section 13 and 15.4.5: conditional requests.
var conditions = []requirement{
	{
		name: "RFC9110/13.1.2/weak", level: must, text: "compare the entity tags of If-None-Match weakly",
		test: both(
			onFresh(withETag(`"1"`), map[string]int{`If-None-Match: W/"1"`: 304, `If-None-Match: "1"`: 304}),
			onFresh(withETag(`W/"1"`), map[string]int{`If-None-Match: W/"1"`: 304, `If-None-Match: "1"`: 304, `If-None-Match: w/"1"`: 200}),
		),
	},
	{
		name: "RFC9110/13.1.2/list", level: must, text: "read If-None-Match as a list, with commas inside of tags",
		test: onFresh(withETag(`"a,b"`), map[string]int{
			`If-None-Match: "x", "a,b"`: 304, `If-None-Match: "x","y"`: 200, `If-None-Match: "a", "b"`: 200,
			"If-None-Match: \"x\"\nIf-None-Match: \"a,b\"": 304, `If-None-Match: ,, "a,b" ,`: 304,
		}),
	},
	{
		name: "RFC9110/13.1.2/star", level: must, text: "take If-None-Match: * for true of whatever is there",
		test: both(onFresh(withETag(`"1"`), map[string]int{"If-None-Match: *": 304}), onFresh(ok("Cache-Control: max-age=60"), map[string]int{"If-None-Match: *": 304, `If-None-Match: "1"`: 200})),
	},
	{
		name: "RFC9110/13.1.3/if-none-match", level: must, text: "ignore If-Modified-Since beside If-None-Match",
		test: onFresh(withETag(`"1"`, "Last-Modified: "+lastModified), map[string]int{"If-None-Match: \"2\"\nIf-Modified-Since: " + lastModified: 200}),
	},
	{
		name: "RFC9110/13.1.3/invalid", level: must, text: "ignore an If-Modified-Since that is not one date",
		test: onFresh(withETag(`"1"`, "Last-Modified: "+lastModified), map[string]int{
			"If-Modified-Since: yesterday": 200, "If-Modified-Since: 2099-01-01": 200, "If-Modified-Since: 0": 200,
			"If-Modified-Since: " + lastModified + "\nIf-Modified-Since: " + lastModified: 200,
		}),
	},
	{
		name: "RFC9110/13.1.3/method", level: must, text: "ignore If-Modified-Since with methods other than GET and HEAD",
		test: func(e *env) {
			e.replies(withETag(`"1"`, "Last-Modified: "+lastModified))
			e.get()
			e.status(e.ask(http.MethodHead, "/a", "If-Modified-Since: "+lastModified), http.StatusNotModified)
			e.status(e.ask(http.MethodPost, "/a", "If-Modified-Since: "+lastModified), http.StatusOK)
		},
	},
	{
		name: "RFC9110/13.1.5/false", level: must, text: "ignore Range if If-Range is false",
		test: onFresh(partialOrigin(`"1"`, "Last-Modified: "+lastModified), map[string]int{
			"Range: bytes=0-1\nIf-Range: \"2\"":                         200,
			"Range: bytes=0-1\nIf-Range: Fri, 31 Dec 1999 23:59:59 GMT": 200,
			"Range: bytes=0-1\nIf-Range: Sun, 02 Jan 2000 00:00:00 GMT": 200,
			"Range: bytes=0-1\nIf-Range: nonsense":                      200,
		}),
	},
	{
		name: "RFC9110/13.1.5/true", level: should, text: "serve the range if it is true",
		test: onFresh(partialOrigin(`"1"`, "Last-Modified: "+lastModified), map[string]int{
			"Range: bytes=0-1\nIf-Range: \"1\"": 206, "Range: bytes=0-1\nIf-Range: " + lastModified: 206,
		}),
	},
	{
		name: "RFC9110/13.1.5/strong", level: must, text: "compare If-Range strongly",
		test: both(
			onFresh(partialOrigin(`W/"1"`), map[string]int{"Range: bytes=0-1\nIf-Range: W/\"1\"": 200, "Range: bytes=0-1\nIf-Range: \"1\"": 200}),
			onFresh(partialOrigin(`"1"`), map[string]int{"Range: bytes=0-1\nIf-Range: W/\"1\"": 200}),
			func(e *env) { // a date that is a second old is weak (section 8.8.2.2)
				now := e.date(0)
				onFresh(partialOrigin(`"1"`, "Last-Modified: "+now), map[string]int{"Range: bytes=0-1\nIf-Range: " + now: 200})(e)
			},
		),
	},
	{
		name: "RFC9110/13.1.5/alone", level: must, text: "ignore If-Range without Range",
		test: onFresh(partialOrigin(`"1"`), map[string]int{`If-Range: "1"`: 200, `If-Range: "2"`: 200}),
	},
	{
		name: "RFC9110/13.2.1/status", level: must, text: "ignore conditions if the response without them would be neither 2xx nor 412",
		test: each([]int{404, 410, 301}, func(status int) func(*env) {
			return onFresh(code(status, "Cache-Control: max-age=60", `ETag: "1"`, "Last-Modified: "+lastModified), map[string]int{
				`If-None-Match: "1"`: status, "If-Modified-Since: " + lastModified: status, "If-None-Match: *": status, "Range: bytes=0-0": status,
			})
		}),
	},
	{
		name: "RFC9110/13.2.1/methods", level: must, text: "ignore conditions on methods that are not about a representation",
		test: func(e *env) {
			e.replies(withETag(`"1"`))
			e.get()
			e.status(e.ask(http.MethodOptions, "/a", `If-None-Match: "1"`), http.StatusOK)
		},
	},
	{
		name: "RFC9110/13.2.2/order", level: must, text: "evaluate If-None-Match or else If-Modified-Since, and then Range with If-Range",
		test: onFresh(partialOrigin(`"1"`, "Last-Modified: "+lastModified), map[string]int{
			"Range: bytes=0-1\nIf-None-Match: \"1\"":                   304,
			"Range: bytes=0-1\nIf-None-Match: \"2\"":                   206,
			"Range: bytes=0-1\nIf-Modified-Since: " + lastModified:     304,
			"Range: bytes=0-1\nIf-None-Match: \"2\"\nIf-Range: \"2\"":  200,
			"Range: bytes=900-\nIf-None-Match: \"1\"":                  304,
			"If-None-Match: \"2\"\nIf-Modified-Since: " + lastModified: 200,
		}),
	},
	{
		name: "RFC9110/15.4.5/fields", level: must, text: "send with a 304 those of Content-Location, Date, ETag, Vary, Cache-Control and Expires that a 200 would have",
		test: func(e *env) {
			want := map[string]string{"Content-Location": "/b", "Date": e.date(0), "ETag": `"1"`, "Vary": "X-One", "Cache-Control": "max-age=60", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT"}
			var fields []string
			for name, value := range want {
				fields = append(fields, name+": "+value)
			}
			e.replies(ok(fields...))
			e.get()
			a := e.get(`If-None-Match: "1"`)
			e.status(a, http.StatusNotModified)
			for name, value := range want {
				e.has(a, name, value)
			}
		},
	},
	{
		name: "RFC9110/15.4.5/metadata", level: shouldNot, text: "send other fields about the representation with a 304",
		test: func(e *env) {
			e.replies(withETag(`"1"`, "Content-Type: x/y", "Content-Language: de", "Content-Encoding: br"))
			e.get()
			a := e.get(`If-None-Match: "1"`)
			e.status(a, http.StatusNotModified)
			for _, name := range []string{"Content-Type", "Content-Language", "Content-Encoding", "Content-Length"} {
				e.has(a, name, "")
			}
		},
	},
	{
		name: "RFC9110/15.4.5/age", level: must, text: "send Age with a 304 from the store (RFC 9111 section 4)",
		test: func(e *env) {
			e.replies(withETag(`"1"`))
			e.get()
			e.advance(7 * time.Second)
			e.has(e.get(`If-None-Match: "1"`), "Age", "7")
		},
	},
}

// partOf checks a 206 of one range.
func (e *env) partOf(a answer, want, contentRange string) {
	e.t.Helper()
	e.status(a, http.StatusPartialContent)
	e.has(a, "Content-Range", contentRange)
	if a.body != want {
		e.t.Errorf("got %q, want %q", a.body, want)
	}
}

// RFC 9110 sections 14, 15.3.7 and 15.5.17: ranges.
var ranges = []requirement{
	{
		name: "RFC9110/14.1.1/invalid", level: must, text: "ignore a Range that is invalid",
		test: onFresh(partialOrigin(`"1"`), map[string]int{
			"Range: bytes=5-2": 200, "Range: bytes=a-b": 200, "Range: bytes=": 200, "Range: bytes": 200, "Range: bytes=-": 200, "Range: 0-5": 200, "Range: bytes=1-2-3": 200, "Range: bytes=--5": 200, "Range: bytes=+1-5": 200,
		}),
	},
	{
		name: "RFC9110/14.1.2/forms", level: must, text: "understand first-last, first- and -length, and cut what is beyond the end",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			all := content()
			e.partOf(e.get("Range: bytes=0-0"), all[:1], "bytes 0-0/100")
			e.partOf(e.get("Range: bytes=10-19"), all[10:20], "bytes 10-19/100")
			e.partOf(e.get("Range: bytes=90-"), all[90:], "bytes 90-99/100")
			e.partOf(e.get("Range: bytes=-10"), all[90:], "bytes 90-99/100")
			e.partOf(e.get("Range: bytes=90-1000"), all[90:], "bytes 90-99/100")
			e.asked(1)
		},
	},
	{
		name: "RFC9110/14.1.2/large", level: must, text: "anticipate numbers that overflow its integers",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			const huge = "99999999999999999999999"
			e.partOf(e.get("Range: bytes=90-"+huge), content()[90:], "bytes 90-99/100")
			e.status(e.get("Range: bytes="+huge+"-"), http.StatusRequestedRangeNotSatisfiable)
			if a := e.get("Range: bytes=-" + huge); a.body != content() {
				e.t.Errorf("the last %s octets are %s %q", huge, a.Status, a.body)
			}
			e.asked(1)
		},
	},
	{
		name: "RFC9110/14.1.2/suffix", level: must, text: "serve all for a suffix longer than the content",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			a := e.get("Range: bytes=-1000")
			if a.StatusCode == http.StatusPartialContent {
				e.partOf(a, content(), "bytes 0-99/100")
			} else {
				e.served(a, content())
			}
		},
	},
	{
		name: "RFC9110/14.1.2/unit-case", level: must, text: "compare range units whatever their case",
		test: onFresh(partialOrigin(`"1"`), map[string]int{"Range: BYTES=0-1": 206}),
	},
	{
		name: "RFC9110/14.2/method", level: must, text: "ignore Range with methods other than GET",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			a := e.ask(http.MethodHead, "/a", "Range: bytes=0-1")
			e.status(a, http.StatusOK)
			e.has(a, "Content-Range", "")
		},
	},
	{
		name: "RFC9110/14.2/unit", level: must, text: "ignore a range unit that it does not know, when the answer is in the store",
		test: onFresh(partialOrigin(`"1"`), map[string]int{"Range: lines=0-1": 200}),
	},
	{
		name: "RFC9110/14.2/serve", level: should, text: "answer a valid, satisfiable range with 206",
		test: onFresh(partialOrigin(`"1"`), map[string]int{"Range: bytes=0-1": 206, "Range: bytes=99-": 206}),
	},
	{
		name: "RFC9110/14.2/unsatisfiable", level: should, text: "answer a valid range of which nothing exists with 416",
		test: onFresh(partialOrigin(`"1"`), map[string]int{"Range: bytes=100-": 416, "Range: bytes=100-200": 416, "Range: bytes=-0": 416}),
	},
	{
		name: "RFC9110/14.2/miss", level: should, text: "answer a range of what is not stored with that range",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.partOf(e.get("Range: bytes=10-19"), content()[10:20], "bytes 10-19/100")
		},
	},
	{
		name: "RFC9110/14.2/origin-without", level: must, text: "bear an origin that answers a range with all of it",
		test: func(e *env) {
			e.replies(withETag(`"1"`).with(content()))
			a := e.get("Range: bytes=10-19")
			if a.StatusCode == http.StatusPartialContent {
				e.partOf(a, content()[10:20], "bytes 10-19/100")
			} else {
				e.served(a, content())
			}
			e.served(e.get(), content())
		},
	},
	{
		name: "RFC9110/14.2/many", level: may, text: "ignore or refuse a Range of many small or overlapping ranges",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			a := e.get("Range: bytes=" + strings.Repeat("0-,", 1000) + "0-")
			if len(a.body) > 2*len(content()) {
				e.t.Errorf("%d octets for 100", len(a.body))
			}
		},
	},
	{
		name: "RFC9110/14.4/foreign", level: must, text: "not combine a 206 whose Content-Range is invalid or in another unit, and forward it",
		test: each([]string{"lines 0-1/9", "bytes 5-2/100", "bytes 0-9/5", "bytes a-b/c", ""}, func(v string) func(*env) {
			return func(e *env) {
				e.replies(code(http.StatusPartialContent, "Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: "+v), withETag(`"1"`).with("whole"))
				e.get("Range: bytes=0-1")
				e.served(e.get(), "whole")
			}
		}),
	},
	{
		name: "RFC9110/14.4/other-range", level: mustNot, text: "take a 206 for the range that it asked for without looking at its Content-Range",
		test: func(e *env) {
			e.replies(code(http.StatusPartialContent, "Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: bytes 50-59/100").with(content()[50:60]), partialOrigin(`"1"`))
			if a := e.get("Range: bytes=10-19"); a.StatusCode == http.StatusPartialContent && a.field("Content-Range") == "bytes 10-19/100" && a.body != content()[10:20] {
				e.t.Errorf("%q as bytes 10 to 19", a.body)
			}
			e.partOf(e.get("Range: bytes=10-19"), content()[10:20], "bytes 10-19/100")
		},
	},
	{
		name: "RFC9110/15.3.7/fields", level: must, text: "send with a 206 those of Date, Cache-Control, ETag, Expires, Content-Location and Vary that a 200 would have",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`, "Expires: Thu, 01 Jan 2099 00:00:00 GMT", "Content-Location: /b", "Vary: X-One"))
			e.get()
			a := e.get("Range: bytes=0-1")
			for name, want := range map[string]string{"Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "Content-Location": "/b", "Vary": "X-One", "ETag": `"1"`, "Cache-Control": "max-age=60", "Date": e.date(0)} {
				e.has(a, name, want)
			}
		},
	},
	{
		name: "RFC9110/15.3.7.1/length", level: must, text: "send with a single part a Content-Range, and the Content-Length of the part",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			a := e.get("Range: bytes=10-19")
			e.has(a, "Content-Range", "bytes 10-19/100")
			e.has(a, "Content-Length", "10")
		},
	},
	{
		name: "RFC9110/15.3.7.2/multipart", level: must, text: "give each of several parts its Content-Range, and the whole none, if it serves several at all",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`, "Content-Type: text/x"))
			e.get()
			a := e.get("Range: bytes=0-1,50-59")
			if a.StatusCode == http.StatusOK {
				e.served(a, content())
				return
			}
			e.status(a, http.StatusPartialContent)
			e.has(a, "Content-Range", "")
			_, params, err := mime.ParseMediaType(a.field("Content-Type"))
			if err != nil {
				e.t.Fatal(err)
			}
			r := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
			for _, want := range []struct{ at, body string }{{"bytes 0-1/100", content()[:2]}, {"bytes 50-59/100", content()[50:60]}} {
				p, err := r.NextRawPart()
				if err != nil {
					e.t.Fatal(err)
				}
				body, err := io.ReadAll(p)
				if err != nil || string(body) != want.body || p.Header.Get("Content-Range") != want.at || p.Header.Get("Content-Type") != "text/x" {
					e.t.Errorf("part %q %v (%v), want %q at %s", body, p.Header, err, want.body, want.at)
				}
			}
		},
	},
	{
		name: "RFC9110/15.3.7.2/single", level: mustNot, text: "answer a request for one range with several parts",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`, "Content-Type: text/x"))
			e.get()
			e.has(e.get("Range: bytes=0-1"), "Content-Type", "text/x")
		},
	},
	{
		name: "RFC9110/15.3.7.3/length", level: mustNot, text: "combine parts that give different lengths of the whole",
		test: func(e *env) {
			part := func(contentRange, body string) reply {
				return code(http.StatusPartialContent, "Cache-Control: max-age=60", `ETag: "1"`, "Content-Range: "+contentRange).with(body)
			}
			e.replies(part("bytes 0-4/10", "01234"), part("bytes 5-9/12", "56789"), withETag(`"1"`).with("0123456789ab"))
			e.get("Range: bytes=0-4")
			e.get("Range: bytes=5-9")
			e.then(withETag(`"1"`).with("0123456789ab"))
			e.served(e.get(), "0123456789ab")
		},
	},
	{
		name: "RFC9110/15.5.17/length", level: should, text: "say in a 416 how long the content is",
		test: func(e *env) {
			e.replies(partialOrigin(`"1"`))
			e.get()
			e.has(e.get("Range: bytes=100-"), "Content-Range", "bytes */100")
		},
	},
	{
		name: "RFC9110/14.3/accept-ranges", level: may, text: "say that ranges are served",
		test: func(e *env) {
			e.replies(withETag(`"1"`))
			e.get()
			if v := e.get().field("Accept-Ranges"); v != "" && v != "bytes" {
				e.t.Errorf("Accept-Ranges: %q", v)
			}
		},
	},
}
