package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/edge/visitors"
	"nearcast/internal/web/lane"
)

// laneRoutes are routes of every kind that bears on a hit.
func laneRoutes() []cdn.Route {
	hour := cdn.Duration(time.Hour)
	zero := cdn.Duration(0)
	prefix := func(p string) cdn.Match { return cdn.Match{PathPrefix: p} }
	return []cdn.Route{
		{Match: cdn.Match{PathPrefix: "/status", Status: []cdn.StatusPattern{"404"}}, TTL: hour, ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"X-Missing": "yes"}}},
		{Match: prefix("/browser"), TTL: hour, BrowserTTL: &hour},
		{Match: prefix("/nobrowser"), TTL: hour, BrowserTTL: &zero},
		{Match: prefix("/headers"), TTL: hour, ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"X-Set": "a"}, Add: map[string]string{"X-Add": "b"}, Delete: []string{"X-Origin", "Via"}}},
		{Match: prefix("/touch"), TTL: hour, ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"Age": "7"}}},
		{Match: prefix("/coded"), TTL: hour, Compress: &cdn.Compress{}},
		{Match: prefix("/cors"), TTL: hour, CORS: &cdn.CORS{Origins: []string{"https://app.example"}, Credentials: true}},
		{Match: prefix("/open"), TTL: hour, CORS: &cdn.CORS{Origins: []string{"*"}, Expose: []string{"X-Origin"}}},
		{Match: prefix("/query"), TTL: hour, CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryInclude, Names: []string{"w"}, Sorted: true}, IgnoreCase: true}},
		{Match: prefix("/device"), TTL: hour, CacheKey: cdn.KeyRule{Device: true, Cookies: []string{"tier"}, Headers: []string{"X-Plan"}}},
		{Match: cdn.Match{PathPrefix: "/member", Cookie: map[string]string{"session": "*"}}, Bypass: true},
		{Match: prefix("/obey"), TTL: hour, ObeyRequestCacheControl: true},
		{Match: prefix("/moved"), Redirect: &cdn.Redirect{To: "https://elsewhere.example/", Status: 302}},
		{TTL: hour},
	}
}

func laneOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("X-Origin", "o")
	h.Set("Etag", `"v1"`)
	h.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/vary"):
		h.Set("Vary", "Accept-Encoding, Accept-Language")
		h.Set("X-Language", r.Header.Get("Accept-Language"))
	case strings.HasPrefix(path, "/undated"):
		h["Date"] = nil
	case strings.HasPrefix(path, "/status"):
		w.WriteHeader(http.StatusNotFound)
	case strings.HasPrefix(path, "/gzip"):
		h.Set("Content-Encoding", "gzip")
	case strings.HasPrefix(path, "/empty"):
		w.WriteHeader(http.StatusNoContent)
		return
	}
	io.WriteString(w, strings.Repeat("0123456789", 300))
}

// laneRequests are pairs of a path and fields. Each is sent twice before answers are compared.
func laneRequests() [][]string {
	plain := [][]string{
		{},
		{"If-None-Match", `"v1"`},
		{"If-None-Match", `"v1-br"`},
		{"If-None-Match", `"v2"`},
		{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
		{"Range", "bytes=0-9"},
		{"Range", "bytes=-5"},
		{"Range", "bytes=2990-"},
		{"Range", "bytes=0-1,5-6"},
		{"Range", "bytes=9999-"},
		{"Range", "lines=1-2"},
		{"Range", "bytes=0-9", "If-Range", `"v1"`},
		{"Range", "bytes=0-9", "If-Range", `"v2"`},
		{"Range", "bytes=0-9", "Range", "bytes=5-6"},
		{"Accept-Encoding", "gzip, br"},
		{"Accept-Encoding", "gzip;q=0"},
		{"Accept-Encoding", "br", "Range", "bytes=0-3"},
		{"Origin", "https://app.example"},
		{"Origin", "https://evil.example"},
		{"Accept-Language", "de"},
		{"Accept-Language", "en", "Accept-Encoding", "br"},
		{"Cookie", "tier=gold; session=1"},
		{"User-Agent", "Mozilla/5.0 (iPhone; Mobile)"},
		{"X-Plan", "b"},
		{"Cache-Control", "no-cache"},
		{"Cache-Control", "no-transform"},
		{"Pragma", "no-cache"},
		{"Authorization", "Basic eDp5"},
		{"X-Forwarded-Host", "evil.example"},
		{"Te", "trailers"},
		{"If-Match", `"v1"`},
	}
	var all [][]string
	for _, path := range []string{
		"/a", "/a?x=%7e", "/./a/../a", "/browser", "/nobrowser", "/headers", "/touch", "/coded", "/cors", "/open", "/Query?w=1&z=2", "/query?z=2&w=1", "/query?w=1",
		"/device", "/member", "/obey", "/moved", "/vary", "/undated", "/status", "/gzip", "/empty",
	} {
		for _, fields := range plain {
			all = append(all, append([]string{path}, fields...))
		}
	}
	return all
}

// TestLaneAgrees asks for everything once in the lane and once the general way, which a CDN-Loop of somebody else
// forces, and finds no difference.
func TestLaneAgrees(t *testing.T) {
	r := newRig(t, laneOrigin, laneRoutes()...)
	r.clock.stop() // or ages would differ
	s := r.start(t, "fra-1", func(cfg *edge.Config) { cfg.Usable = func(cdn.NodeName) bool { return false } })
	for _, name := range []string{"ams-1", "ams-2"} {
		r.start(t, name)
	}
	addr := r.addr("fra-1")
	inLane := 0
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, q := range laneRequests() {
			path, fields := q[0], q[1:]
			for range 2 {
				r.ask(t, method, addr, domain, path, fields...)
			}
			if takes(t, s, method, path, fields...) {
				inLane++
			}
			got := r.ask(t, method, addr, domain, path, fields...)
			want := r.ask(t, method, addr, domain, path, append([]string{"Cdn-Loop", "other"}, fields...)...)
			for _, h := range []http.Header{got.Header, want.Header} {
				if ct := h.Get("Content-Type"); strings.HasPrefix(ct, "multipart/") {
					h.Set("Content-Type", "multipart/byteranges") // its boundary is drawn by lot
				}
			}
			if diff := cmp.Diff(want.Header, got.Header); diff != "" || got.StatusCode != want.StatusCode {
				t.Errorf("%s %q: %d, in general %d; -general +lane:\n%s", method, q, got.StatusCode, want.StatusCode, diff)
			}
			if got.body != want.body && !strings.Contains(got.Header.Get("Content-Type"), "multipart") {
				t.Errorf("%s %q: a body of %d octets, in general of %d", method, q, len(got.body), len(want.body))
			}
		}
	}
	if all := 2 * len(laneRequests()); inLane < all/2 {
		t.Errorf("the lane took %d of %d requests, which says little", inLane, all)
	}
}

// takes reports whether the lane takes a request.
func takes(t *testing.T, s *edge.Server, method, path string, fields ...string) bool {
	t.Helper()
	var r lane.Request
	r.Method, r.Host, r.Target, r.Major, r.Minor, r.At = method, domain, path, 1, 1, time.Now()
	for i := 0; i < len(fields); i += 2 {
		r.Add(fields[i], fields[i+1])
	}
	var a lane.Answer
	p := lane.Peer{Client: "127.0.0.1"}
	ok := s.Lane().Take(&p, &r, &a)
	if ok {
		s.Lane().Sent(&p, &r, &a, lane.End{At: time.Now(), Sent: a.Length})
	}
	return ok
}

// TestLaneFollows: what changes after a hit changes the next: the configuration, a purge, the time.
func TestLaneFollows(t *testing.T) {
	r := newRig(t, laneOrigin, cdn.Route{TTL: cdn.Duration(time.Hour), ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"X-Rule": "one"}}})
	r.clock.stop()
	s := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	ask := func(word, rule, age string) {
		t.Helper()
		a := r.get(t, addr, "/a")
		if a.word() != word || a.Header.Get("X-Rule") != rule || a.Header.Get("Age") != age {
			t.Errorf("%s, rule %q, age %q; want %s, %q, %q", a.word(), a.Header.Get("X-Rule"), a.Header.Get("Age"), word, rule, age)
		}
	}
	ask("MISS", "one", "")
	ask("HIT", "one", "0")
	r.clock.advance(90 * time.Second)
	ask("HIT", "one", "90")
	r.sites[0].Routes = []cdn.Route{{TTL: cdn.Duration(time.Hour), ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"X-Rule": "two"}}}}
	if err := s.Apply(&cdn.Snapshot{Generation: 2, Fleet: r.fleet, Sites: r.sites}); err != nil {
		t.Fatal(err)
	}
	ask("HIT", "two", "90")
	s.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/a")}})
	ask("MISS", "two", "")
	ask("HIT", "two", "0")
	r.clock.advance(time.Hour)
	ask("MISS", "two", "") // it was validated, and the origin had another
}

// TestLaneKeepsLittle: a connection may wait for long after a request that was as large as can be.
func TestLaneKeepsLittle(t *testing.T) {
	r := newRig(t, laneOrigin, laneRoutes()...)
	r.clock.stop()
	s := r.start(t, "ams-1")
	target := "/device?" + strings.Repeat("x", 10_000)
	var q lane.Request
	q.Method, q.Host, q.Target, q.Major, q.Minor, q.At = http.MethodGet, domain, target, 1, 1, time.Now()
	q.Add("Accept-Encoding", "br"+strings.Repeat(" ", 20_000))
	for i := range 190 {
		q.Add(fmt.Sprintf("X-Field-%d", i), "value")
	}
	for range 2 {
		r.get(t, r.addr("ams-1"), target)
	}
	var p lane.Peer
	var a lane.Answer
	if !s.Lane().Take(&p, &q, &a) {
		t.Fatal("not in the lane")
	}
	s.Lane().Sent(&p, &q, &a, lane.End{At: time.Now(), Sent: a.Length})
	if octets, fields := edge.KeptFor(&p); octets > 4<<10 || fields > 0 {
		t.Errorf("%d octets and %d fields are kept", octets, fields)
	}
}

// TestHitAllocatesNothing counts all that is allocated in the process while hits are served over TCP, with access log and
// metrics.
func TestHitAllocatesNothing(t *testing.T) {
	r := newRig(t, laneOrigin)
	_, addr := r.startAlone(t, func(cfg *edge.Config) {
		cfg.AccessLog, cfg.Now = filepath.Join(t.TempDir(), "access.ndjson"), nil
	})
	for _, request := range []string{
		"GET /a HTTP/1.1\r\nHost: x.example\r\n\r\n",
		"GET /a?b=c HTTP/1.1\r\nHost: x.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux)\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\nReferer: https://x.example/\r\nCookie: a=b\r\nConnection: keep-alive\r\n\r\n",
		"HEAD /a HTTP/1.1\r\nHost: x.example\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x.example\r\nIf-None-Match: \"v1\"\r\n\r\n",
	} {
		c := dialHits(t, addr)
		octets, headOnly := []byte(request), strings.HasPrefix(request, "HEAD") || strings.Contains(request, "If-None-Match")
		exchange := func() {
			if _, err := c.Write(octets); err != nil {
				t.Fatal(err)
			}
			c.skipAnswer(t, headOnly)
		}
		for range 200 {
			exchange()
		}
		gc := debug.SetGCPercent(-1)
		n := testing.AllocsPerRun(2000, exchange)
		debug.SetGCPercent(gc)
		if n > 0 {
			t.Errorf("%v allocations a hit, want none:\n%s", n, request)
		}
	}
}

// hitClient reads answers without allocating.
type hitClient struct {
	net.Conn
	r *bufio.Reader
}

func dialHits(t testing.TB, addr string) *hitClient {
	t.Helper()
	nc, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &hitClient{nc, bufio.NewReaderSize(nc, 64<<10)}
}

func (c *hitClient) skipAnswer(t testing.TB, headOnly bool) {
	t.Helper()
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			t.Fatal(err)
		}
		if len(line) == 2 {
			break
		}
		if rest, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			for i := range len(rest) - 2 {
				length = 10*length + int(rest[i]-'0')
			}
		}
	}
	if !headOnly {
		if _, err := c.r.Discard(length); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkLane is the lane alone: from a parsed request to an answer's head, and its record.
func BenchmarkLane(b *testing.B) { benchmarkLane(b, &lane.Peer{Client: "127.0.0.1"}) }

// BenchmarkLaneOfVisitors is the lane on a node that measures its visitors.
func BenchmarkLaneOfVisitors(b *testing.B) {
	nc, other := net.Pipe()
	b.Cleanup(func() { nc.Close(); other.Close() })
	benchmarkLane(b, &lane.Peer{Client: "127.0.0.1", Watched: visitors.New(visitors.Config{}).Enter(nc)})
}

func benchmarkLane(b *testing.B, p *lane.Peer) {
	b.Helper()
	origin := httptest.NewServer(http.HandlerFunc(laneOrigin))
	defer origin.Close()
	s, err := edge.New(edge.Config{Origin: fetcher{&http.Transport{}}, AccessLog: filepath.Join(b.TempDir(), "access.ndjson")})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.ApplyStandalone(&cdn.Origin{URLs: []string{origin.URL}}, cdn.Route{TTL: cdn.Duration(time.Hour)}); err != nil {
		b.Fatal(err)
	}
	for i := range 2 {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://x.example/a", http.NoBody))
		if i == 1 && w.Header().Get("X-Cache") != "HIT" {
			b.Fatal(fmt.Sprint("no hit: ", w.Header()))
		}
	}
	l, r, a, out := s.Lane(), lane.Request{}, lane.Answer{}, []byte(nil)
	r.Method, r.Host, r.Target, r.Major, r.Minor, r.At = http.MethodGet, "x.example", "/a", 1, 1, time.Now()
	r.Add("User-Agent", "Mozilla/5.0")
	b.ReportAllocs()
	for b.Loop() {
		a.Reset()
		if !l.Take(p, &r, &a) {
			b.Fatal("not in the lane")
		}
		out = a.AppendHTTP1(out[:0])
		l.Sent(p, &r, &a, lane.End{At: r.At, Sent: a.Length})
	}
}
