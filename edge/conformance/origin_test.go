package conformance_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// reply is what the origin does with one request.
type reply struct {
	status int
	fields []string // lines; "Date: none" suppresses the Date that is added otherwise
	body   string   // empty means "v" and the number of the request
	raw    string   // octets in place of all that; the connection is closed after them
	serve  http.HandlerFunc
}

func ok(fields ...string) reply               { return reply{status: http.StatusOK, fields: fields} }
func code(status int, fields ...string) reply { return reply{status: status, fields: fields} }
func notModified(fields ...string) reply {
	return reply{status: http.StatusNotModified, fields: fields}
}
func octets(s string) reply            { return reply{raw: s} }
func (r reply) with(body string) reply { r.body = body; return r }
func does(f http.HandlerFunc) reply    { return reply{serve: f} }
func withETag(tag string, more ...string) reply {
	return ok(append(more, "ETag: "+tag, "Cache-Control: max-age=60")...)
}

// content is what a partial origin has: 100 octets that differ by their place.
func content() string {
	var b strings.Builder
	for i := range 25 {
		fmt.Fprintf(&b, "%03d.", i)
	}
	return b.String()
}

// seen is a request as the origin got it.
type seen struct {
	*http.Request

	content string
}

// origin is a real server that follows a script: the first request gets the first reply
// and so on; the last one is repeated.
type origin struct {
	url    string
	server *httptest.Server
	clock  *clock

	mu     sync.Mutex // guards the following fields
	script []reply
	got    []seen
}

func newOrigin(t *testing.T, c *clock) *origin {
	t.Helper()
	o := &origin{clock: c, script: []reply{ok("Cache-Control: max-age=60")}}
	o.server = httptest.NewServer(http.HandlerFunc(o.answer))
	o.url = o.server.URL
	t.Cleanup(o.server.Close)
	return o
}

// replies sets the script.
func (e *env) replies(script ...reply) {
	e.origin.mu.Lock()
	defer e.origin.mu.Unlock()
	e.origin.script = script
}

// then replaces what is left of the script.
func (e *env) then(r reply) {
	e.origin.mu.Lock()
	defer e.origin.mu.Unlock()
	for len(e.origin.script) > len(e.origin.got) {
		e.origin.script = e.origin.script[:len(e.origin.script)-1]
	}
	for len(e.origin.script) < len(e.origin.got) { // the last was repeated
		e.origin.script = append(e.origin.script, r)
	}
	e.origin.script = append(e.origin.script, r)
}

// disconnect makes the origin unreachable.
func (e *env) disconnect() { e.origin.server.Close() }

// requests returns what the origin has been asked so far.
func (o *origin) requests() []seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]seen(nil), o.got...)
}

// last returns the latest request that reached the origin.
func (e *env) last() seen {
	e.t.Helper()
	all := e.origin.requests()
	if len(all) == 0 {
		e.t.Fatal("nothing has reached the origin")
	}
	return all[len(all)-1]
}

// field returns all lines of a field as one.
func (s seen) field(name string) string { return strings.Join(s.Header.Values(name), ", ") }

func (o *origin) answer(w http.ResponseWriter, r *http.Request) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return // the edge has gone
	}
	o.mu.Lock()
	o.got = append(o.got, seen{r.Clone(r.Context()), string(sent)})
	n := len(o.got)
	do := o.script[min(n, len(o.script))-1]
	o.mu.Unlock()
	w.Header().Set("Date", o.clock.now().UTC().Format(http.TimeFormat))
	switch {
	case do.serve != nil:
		do.serve(w, r)
	case do.raw != "":
		writeRaw(w, do.raw)
	default:
		do.write(w, n)
	}
}

func (r reply) write(w http.ResponseWriter, n int) {
	for _, line := range r.fields {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "Date" && value == "none":
			w.Header()["Date"] = nil
		case name == "Date":
			w.Header().Set(name, value)
		default:
			w.Header().Add(name, value)
		}
	}
	body := r.body
	if body == "" {
		body = fmt.Sprint("v", n)
	}
	w.WriteHeader(r.status)
	if r.status != http.StatusNotModified && r.status != http.StatusNoContent {
		io.WriteString(w, body) // an error means that the edge has gone
	}
}

// hangup closes the connection without an answer.
func hangup() reply { return does(func(w http.ResponseWriter, _ *http.Request) { writeRaw(w, "") }) }

func writeRaw(w http.ResponseWriter, s string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	io.WriteString(c, strings.ReplaceAll(s, "\n", "\r\n")) // an error means that the edge has gone
}

// partialOrigin serves content() with ranges, under a validator and more fields.
func partialOrigin(tag string, fields ...string) reply {
	return does(func(w http.ResponseWriter, r *http.Request) {
		for _, line := range append(fields, "ETag: "+tag, "Cache-Control: max-age=60") {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		all, spec := content(), r.Header.Get("Range")
		if cond := r.Header.Get("If-Range"); cond != "" && cond != tag {
			spec = ""
		}
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		first, last, ok := parseRange(spec, len(all))
		if !ok {
			w.Header().Set("Content-Length", fmt.Sprint(len(all)))
			io.WriteString(w, all) // an error means that the edge has gone
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(all)))
		w.Header().Set("Content-Length", fmt.Sprint(last-first+1))
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, all[first:last+1]) // an error means that the edge has gone
	})
}

// parseRange understands one range of the form bytes=a-b, bytes=a- or bytes=-n.
func parseRange(spec string, size int) (first, last int, ok bool) {
	spec, found := strings.CutPrefix(spec, "bytes=")
	if !found || strings.Contains(spec, ",") {
		return 0, 0, false
	}
	last = size - 1
	switch {
	case strings.HasPrefix(spec, "-"):
		n, err := fmt.Sscanf(spec, "-%d", &first)
		return max(0, size-first), last, n == 1 && err == nil
	case strings.HasSuffix(spec, "-"):
		n, err := fmt.Sscanf(spec, "%d-", &first)
		return first, last, n == 1 && err == nil && first < size
	default:
		n, err := fmt.Sscanf(spec, "%d-%d", &first, &last)
		return first, min(last, size-1), n == 2 && err == nil && first < size && first <= last
	}
}
