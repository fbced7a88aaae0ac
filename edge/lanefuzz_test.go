package edge_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge"
)

// oddRoutes are routes that the lane could take for simpler than they are.
func oddRoutes() []cdn.Route {
	hour := cdn.Duration(time.Hour)
	set := func(name, value string) cdn.HeaderRule { return cdn.HeaderRule{Set: map[string]string{name: value}} }
	del := func(names ...string) cdn.HeaderRule { return cdn.HeaderRule{Delete: names} }
	return append([]cdn.Route{
		{Match: cdn.Match{PathPrefix: "/bycode", Status: []cdn.StatusPattern{"2xx"}, Header: map[string]string{"Accept-Encoding": "*br*"}}, TTL: hour, ResponseHeaders: set("X-Br", "yes")},
		{Match: cdn.Match{PathPrefix: "/bycode", Status: []cdn.StatusPattern{"2xx"}, Header: map[string]string{"X-Real-Ip": "*"}}, TTL: hour, ResponseHeaders: set("X-Claims", "yes")},
		{Match: cdn.Match{PathPrefix: "/nodate"}, TTL: hour, ResponseHeaders: del("Date", "Age")},
		{Match: cdn.Match{PathPrefix: "/nocache"}, TTL: hour, BrowserTTL: &hour, ResponseHeaders: del("Cache-Control")},
		{Match: cdn.Match{PathPrefix: "/notype"}, TTL: hour, ResponseHeaders: del("Content-Type", "Etag", "X-Cache")},
		{Match: cdn.Match{PathPrefix: "/force"}, TTL: hour, ForceCache: true},
		{Match: cdn.Match{PathPrefix: "/https"}, TTL: hour, ForceHTTPS: true},
		{Match: cdn.Match{PathPrefix: "/rewritten"}, TTL: hour, Rewrite: &cdn.Rewrite{Regexp: "^/rewritten", To: "/a"}},
		{Match: cdn.Match{PathPrefix: "/noquery"}, TTL: hour, CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}, Country: true}},
		{Match: cdn.Match{PathPrefix: "/nosession"}, TTL: hour, CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryExclude, Names: []string{"w"}}}, Compress: &cdn.Compress{}},
	}, laneRoutes()...)
}

// oddities are what an origin's answer can be, by the name of the last part of the path.
var oddities = map[string]func(h http.Header) (status int, size int){
	"plain":   func(http.Header) (int, int) { return 200, 300 },
	"status":  func(h http.Header) (int, int) { h.Set("Cache-Status", "Origin; hit"); return 200, 10 },
	"status2": func(h http.Header) (int, int) { h["Cache-Status"] = []string{"A; hit", "B; fwd=miss"}; return 200, 10 },
	"via":     func(h http.Header) (int, int) { h["Via"] = []string{"1.1 a", "1.0 b"}; return 200, 10 },
	"xcache":  func(h http.Header) (int, int) { h.Set("X-Cache", "TCP_HIT"); return 200, 10 },
	"cookie":  func(h http.Header) (int, int) { h["Set-Cookie"] = []string{"a=1", "b=2"}; return 200, 10 },
	"many": func(h http.Header) (int, int) {
		h["Link"] = []string{"<a>", "", "<c>"}
		h.Set("X-Empty", "")
		return 200, 10
	},
	"text":    func(h http.Header) (int, int) { h.Set("X-Text", "caf\xe9 \tx"); return 200, 10 },
	"named":   func(h http.Header) (int, int) { h.Set("Connection", "X-Named"); h.Set("X-Named", "1"); return 200, 10 },
	"aged":    func(h http.Header) (int, int) { h.Set("Age", "7"); return 200, 10 },
	"agedodd": func(h http.Header) (int, int) { h["Age"] = []string{"7", "8"}; return 200, 10 },
	"expires": func(h http.Header) (int, int) { h.Set("Expires", "0"); h.Set("Pragma", "x"); return 200, 10 },
	"nostore": func(h http.Header) (int, int) { h.Set("Cache-Control", "no-store"); return 200, 10 },
	"nocache": func(h http.Header) (int, int) { h.Set("Cache-Control", "no-cache"); return 200, 10 },
	"private": func(h http.Header) (int, int) {
		h.Set("Cache-Control", "private=\"X-Origin\", max-age=100")
		return 200, 10
	},
	"public": func(h http.Header) (int, int) {
		h.Set("Cache-Control", "public, max-age=100, no-transform")
		return 200, 2000
	},
	"varystar": func(h http.Header) (int, int) { h.Set("Vary", "*"); return 200, 10 },
	"varied": func(h http.Header) (int, int) {
		h.Set("Vary", "Cookie, X-Plan, X-Real-Ip, Range, Referer")
		return 200, 10
	},
	"unmarked": func(h http.Header) (int, int) { h.Del("Etag"); h.Del("Last-Modified"); return 200, 300 },
	"weak":     func(h http.Header) (int, int) { h.Set("Etag", `W/"v1"`); return 200, 300 },
	"nodate":   func(h http.Header) (int, int) { h["Date"] = nil; return 200, 10 },
	"notype":   func(h http.Header) (int, int) { h["Content-Type"] = nil; return 200, 10 },
	"gzip":     func(h http.Header) (int, int) { h.Set("Content-Encoding", "gzip"); return 200, 300 },
	"odd":      func(h http.Header) (int, int) { h.Set("Content-Encoding", "rot13"); return 200, 3000 },
	"text2":    func(h http.Header) (int, int) { h.Set("Content-Type", "text/css"); return 200, 3000 },
	"empty":    func(http.Header) (int, int) { return 200, 0 },
	"large":    func(http.Header) (int, int) { return 200, 300_000 },
	"sliced":   func(http.Header) (int, int) { return 200, 3 << 20 },
	"203":      func(http.Header) (int, int) { return 203, 10 },
	"204":      func(http.Header) (int, int) { return 204, 0 },
	"301":      func(h http.Header) (int, int) { h.Set("Location", "/a"); return 301, 0 },
	"304":      func(http.Header) (int, int) { return 304, 0 },
	"404":      func(http.Header) (int, int) { return 404, 10 },
	"410":      func(http.Header) (int, int) { return 410, 10 },
	"416":      func(h http.Header) (int, int) { h.Set("Content-Range", "bytes */10"); return 416, 10 },
	"600":      func(h http.Header) (int, int) { h.Set("Cache-Control", "max-age=100"); return 600, 10 },
	"999":      func(h http.Header) (int, int) { h.Set("Cache-Control", "public, max-age=100"); return 999, 10 },
	"299":      func(h http.Header) (int, int) { h.Set("Cache-Control", "public, max-age=100"); return 299, 10 },
	"206":      func(h http.Header) (int, int) { h.Set("Content-Range", "bytes 0-9/10"); return 206, 10 },
	"500":      func(http.Header) (int, int) { return 500, 10 },
}

func oddOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("X-Origin", "o")
	h.Set("Etag", `"v1"`)
	h.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
	status, size := 200, 30
	if answer := oddities[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]; answer != nil {
		status, size = answer(h)
	}
	w.WriteHeader(status)
	if size > 0 {
		w.Write(bytes.Repeat([]byte("0123456789"), size/10))
	}
}

// choices turns octets into choices; when they are used up, the first of everything is chosen.
type choices struct{ left []byte }

func (c *choices) n(n int) int {
	if len(c.left) == 0 {
		return 0
	}
	v := int(c.left[0])
	c.left = c.left[1:]
	return v % n
}

func pick[T any](c *choices, of ...T) T { return of[c.n(len(of))] }

// mostly is usual in fifteen of sixteen cases.
func mostly[T any](c *choices, usual T, odd ...T) T {
	if c.n(16) < 15 {
		return usual
	}
	return pick(c, odd...)
}

// wireRequest is one of a grammar of requests, most of which are valid.
type wireRequest struct {
	method, target, version, host string
	fields                        [][2]string // without Host
}

func (c *choices) request() wireRequest {
	r := wireRequest{method: mostly(c, pick(c, "GET", "GET", "HEAD"), "OPTIONS", "get", "TRACE"), version: mostly(c, "HTTP/1.1", "HTTP/1.0", "HTTP/1.9")}
	prefixes := []string{
		"", "/headers", "/browser", "/nobrowser", "/touch", "/coded", "/cors", "/open", "/device", "/member", "/obey", "/moved", "/status", "/bycode", "/nodate", "/nocache", "/notype", "/force",
		"/https", "/rewritten", "/noquery", "/nosession", "/query", mostly(c, "/./", "//", "/%61", "/%2e%2e", "/%zz", "/\\", "/\"<>|"),
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range oddities {
			if !yield(name) {
				return
			}
		}
	})
	r.target = pick(c, prefixes...) + "/" + pick(c, names...) + mostly(c, pick(c, "", "?w=1&z=2"), "?", "?z=2&w=1", "?%zz", "?a=%7e", "?x#y", "?\"")
	r.target = mostly(c, "", "http://"+domain, "https://"+domain+":443", "http://other.example") + r.target
	r.host = mostly(c, domain, "WWW.Shop.Example", domain+":80", domain+":9999", domain+".", domain+".:80", "127.0.0.1", "[::1]", "unknown.example", "", "a b", "x@"+domain, domain+",x")
	for range c.n(5) {
		r.fields = append(r.fields, c.field())
	}
	return r
}

func (c *choices) field() [2]string {
	return pick(c, [][2]string{
		{"Accept-Encoding", "gzip, br"},
		{"Accept-Encoding", "br;q=0.1, gzip"},
		{"Accept-Encoding", "identity;q=0"},
		{"accept-encoding", ""},
		{"Accept-Encoding", "*"},
		{"If-None-Match", `"v1"`},
		{"If-None-Match", `W/"v1"`},
		{"If-None-Match", "*"},
		{"If-None-Match", `"v1-br"`},
		{"If-None-Match", `"x", "v1"`},
		{"If-None-Match", ""},
		{"If-None-Match", "v1"},
		{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
		{"If-Modified-Since", "yesterday"},
		{"If-Modified-Since", "Mon, 02 Jan 2036 15:04:05 GMT"},
		{"If-Match", `"v1"`},
		{"If-Unmodified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
		{"Range", "bytes=0-9"},
		{"Range", "bytes=-5"},
		{"Range", "bytes=5-"},
		{"Range", "bytes=0-1,5-6"},
		{"Range", "bytes=999999999-"},
		{"Range", ""},
		{"Range", "Bytes=0-0"},
		{"Range", "bytes=0-9, "},
		{"Range", "bytes = 0-9"},
		{"Range", "bytes=-0"},
		{"Range", "bytes=00000000000000000000000001-99999999999999999999999"},
		{"If-Range", `"v1"`},
		{"If-Range", `W/"v1"`},
		{"If-Range", "Mon, 02 Jan 2006 15:04:05 GMT"},
		{"If-Range", `"v2"`},
		{"Cookie", "tier=gold; session=1"},
		{"Cookie", "tier=iron"},
		{"cookie", ""},
		{"X-Plan", "b"},
		{"x-plan", ""},
		{"X_Plan", "c"},
		{"X-Real-Ip", "9.9.9.9"},
		{"X_Real_Ip", "9.9.9.9"},
		{"X-Forwarded-For", "9.9.9.9"},
		{"X-Forwarded-Proto", "https"},
		{"Cache-Control", "no-cache"},
		{"Cache-Control", "max-age=0"},
		{"Cache-Control", "only-if-cached"},
		{"Cache-Control", "no-transform"},
		{"Cache-Control", "max-stale, min-fresh=9999999"},
		{"pragma", "no-cache"},
		{"Authorization", "Basic eDp5"},
		{"Origin", "https://app.example"},
		{"Origin", "null"},
		{"oRiGiN", "https://evil.example"},
		{"Origin", ""},
		{"User-Agent", "Mozilla/5.0 (iPhone; Mobile)"},
		{"User-Agent", "caf\xe9 \\ \""},
		{"User-Agent", ""},
		{"Referer", "https://a/\x80\"\\"},
		{"X-Long", strings.Repeat("x", 5000)},
		{"X-Text", "\xff\xfe"},
		{"Te", "trailers"},
		{"Expect", "100-continue"},
		{"Content-Length", "0"},
		{"Upgrade", "h2c"},
		{"Trailer", "X"},
		{"Max-Forwards", "0"},
		{"Keep-Alive", "timeout=5"},
		{"Nearcast-Hop", "x"},
		{"Nearcast-Device", "tablet"},
		{"Http-Url", "/b"},
		{"X-Original-Url", "/b"},
		{"X-Http-Method-Override", "POST"},
		{"Connection", "keep-alive"},
		{"connection", "Close"},
		{"Connection", "X-Plan"},
		{"Connection", "close, X-Plan"},
		{"Connection", ""},
		{"Connection", "Cookie"},
		{"Proxy-Connection", "close"},
	}...)
}

// http1 is the request in HTTP/1, with fields of its own in front of the others.
func (r wireRequest) http1(more ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", r.method, r.target, r.version)
	if r.version == "HTTP/1.1" || r.host != "" {
		fmt.Fprintf(&b, "Host: %s\r\n", r.host)
	}
	for i := 0; i < len(more); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", more[i], more[i+1])
	}
	for _, f := range r.fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
	}
	return b.String() + "\r\n"
}

// twoWays asks a node for the same in the lane and in general.
type twoWays struct {
	addr string
	nc   net.Conn
	r    *bufio.Reader
}

// wireAnswer is an answer as it came.
type wireAnswer struct {
	status int
	header http.Header
	body   string
	closed bool // the connection ended with it
}

// errEnd is that the connection was closed in place of an answer.
var errEnd = errors.New("the connection was closed")

func (w *twoWays) dial(t testing.TB) {
	t.Helper()
	nc, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	w.close()
	w.nc, w.r = nc, bufio.NewReader(nc)
}

func (w *twoWays) close() {
	if w.nc != nil {
		w.nc.Close()
	}
}

// receive reads an answer.
func (w *twoWays) receive(method string) (wireAnswer, error) {
	for {
		resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
		if err != nil {
			return wireAnswer{}, fmt.Errorf("%w: %w", errEnd, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return wireAnswer{}, fmt.Errorf("the content: %w", err)
		}
		if resp.StatusCode < 200 {
			continue
		}
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
		return wireAnswer{resp.StatusCode, resp.Header, string(body), resp.Close}, nil
	}
}

// ask sends requests of one method at once, and returns the answers; after one that closes the connection the others are sent again.
func (w *twoWays) ask(t testing.TB, method string, raw ...string) []wireAnswer {
	t.Helper()
	var all []wireAnswer
	for len(raw) > 0 {
		w.dial(t)
		go io.WriteString(w.nc, strings.Join(raw, ""))
		for {
			got, err := w.receive(method)
			if err != nil {
				t.Fatalf("%q: %v", raw[0], err)
			}
			all, raw = append(all, got), raw[1:]
			if got.closed || len(raw) == 0 {
				break
			}
		}
		if n := w.r.Buffered(); n > 0 && len(raw) == 0 && !all[len(all)-1].closed {
			rest, _ := w.r.Peek(n)
			t.Fatalf("octets behind the last answer: %q", rest)
		}
	}
	return all
}

// comparable is the answer without what is drawn by lot or tells the time of day.
func (a wireAnswer) comparable() wireAnswer {
	if a.header == nil {
		return a
	}
	a.header = a.header.Clone()
	if a.status == http.StatusPartialContent && a.header.Get("Content-Range") == "" { // its boundary is drawn by lot
		a.header.Del("Content-Type")
		a.body = ""
	}
	if a.header.Get("X-Cache") != "HIT" {
		a.header.Del("Date")
		a.header.Del("Cache-Status")   // whether it was somebody else's fill
		a.header.Del("Age")            // likewise
		a.header.Del("Content-Length") // whether all had come when some was sent
	}
	if len(a.body) > 200 {
		a.body = a.body[:200] + "... " + strconv.Itoa(len(a.body))
	}
	return a
}

// agree asks for the same in the lane, in general, and in the lane again.
func (w *twoWays) agree(t testing.TB, r wireRequest) {
	t.Helper()
	general, lane := r.http1("CDN-Loop", "other"), r.http1()
	diff := ""
	for range 3 { // what is still being stored after one answer is there for the next
		w.ask(t, r.method, general)
		got := w.ask(t, r.method, lane, general, lane)
		compare := func(i int) string {
			return cmp.Diff(got[1].comparable(), got[i].comparable(), cmp.AllowUnexported(wireAnswer{}))
		}
		if diff = compare(0) + compare(2); diff == "" {
			return
		}
	}
	t.Fatalf("%q\nthe lane's answer is another; -general +lane:\n%s", lane, diff)
}

func startTwoWays(t testing.TB) *twoWays {
	t.Helper()
	r := newRig(t, oddOrigin, oddRoutes()...)
	r.clock.stop()
	r.start(t, "fra-1", func(cfg *edge.Config) { cfg.Usable = func(cdn.NodeName) bool { return false } })
	for _, name := range []string{"ams-1", "ams-2"} {
		r.start(t, name)
	}
	w := &twoWays{addr: r.addr("fra-1")}
	t.Cleanup(w.close)
	return w
}

// TestLaneAgreesAtRandom is FuzzLaneAgrees for some requests that are the same each time.
func TestLaneAgreesAtRandom(t *testing.T) {
	w := startTwoWays(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 700 {
		octets := make([]byte, 4+random.IntN(20))
		for i := range octets {
			octets[i] = byte(random.Uint32())
		}
		w.agree(t, (&choices{octets}).request())
	}
}

// FuzzLaneAgrees: whatever a request is, the lane answers as the general way does.
func FuzzLaneAgrees(f *testing.F) {
	w := startTwoWays(f)
	f.Add([]byte{})
	f.Add([]byte("0123456789"))
	f.Fuzz(func(t *testing.T, octets []byte) { w.agree(t, (&choices{octets}).request()) })
}

// TestLaneAgreesOnOddities is what was once found to differ.
func TestLaneAgreesOnOddities(t *testing.T) {
	w := startTwoWays(t)
	for _, row := range []struct {
		path   string
		fields [][2]string
	}{
		{"/bycode/plain", [][2]string{{"X-Real-Ip", "9.9.9.9"}}},
		{"/bycode/plain", [][2]string{{"Accept-Encoding", "br;q=0"}}},
		{"/600", nil},
		{"/999", nil},
		{"/299", nil},
		{"/206", nil},
		{"/force/999", nil},
		{"/force/600", [][2]string{{"Range", "bytes=0-1"}}},
		{"/nostore", [][2]string{{"Range", "bytes=-0"}, {"Range", "bytes=5-"}}},
	} {
		w.agree(t, wireRequest{method: http.MethodGet, target: row.path, version: "HTTP/1.1", host: domain, fields: row.fields})
	}
}
