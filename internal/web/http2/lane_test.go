package http2_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
	"nearcast/internal/web/lane"
)

// noLane must not be asked.
type noLane struct{ t *testing.T }

func (l noLane) Take(_ *lane.Peer, r *lane.Request, _ *lane.Answer) bool {
	l.t.Errorf("%s %q has reached the lane", r.Method, r.Target)
	return false
}

func (noLane) Sent(*lane.Peer, *lane.Request, *lane.Answer, lane.End) {}

// testLane answers /hit/N with N octets in pieces, and keeps what it is told.
type testLane struct {
	mu   sync.Mutex // guards what follows
	busy bool
	seen []string // requests
	sent []string // "target octets error"
}

func (l *testLane) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		panic("two goroutines at a time")
	}
	l.busy = true
}

func (l *testLane) leave(add func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add()
	l.busy = false
}

func (l *testLane) Take(p *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	l.enter()
	seen := fmt.Sprint(p.Client, " ", r.Method, " ", r.Host, " ", r.Target, " ", fieldsOf(r), " ", r.Major)
	defer l.leave(func() { l.seen = append(l.seen, seen) })
	size, ok := strings.CutPrefix(r.Target, "/hit/")
	if !ok {
		return false
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > 1<<24 { // a fuzzer may ask for anything
		return false
	}
	a.Status = 200
	a.Block = lane.NewBlock(200, []lane.Field{{Name: "Content-Type", Value: "text/plain"}})
	name := lane.NewName("Content-Length")
	a.AddInt(&name, "", int64(n), "")
	if r.Method == http.MethodHead {
		return true
	}
	a.Length = int64(n)
	a.Content = slices.AppendSeq(a.Content, slices.Chunk([]byte(content(n)), 10_000))
	return true
}

// fieldsOf returns the fields without their kinds.
func fieldsOf(r *lane.Request) []struct{ name, value string } {
	var list []struct{ name, value string }
	for _, f := range r.Fields {
		list = append(list, struct{ name, value string }{f.Name, f.Value})
	}
	return list
}

func (l *testLane) Sent(_ *lane.Peer, r *lane.Request, a *lane.Answer, end lane.End) {
	l.enter()
	l.leave(func() { l.sent = append(l.sent, fmt.Sprint(r.Target, " ", end.Sent, "/", a.Length, " ", end.Err)) })
}

func (l *testLane) reports() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// content is n octets, no two neighbouring of which are the same.
func content(n int) string { return strings.Repeat("0123456789abcdefghi", n/19+1)[:n] }

// largeWindows are settings of a client that takes anything.
func largeWindows() h2.Setting { return h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1<<31 - 1} }

func TestHits(t *testing.T) {
	l := new(testLane)
	c := greet(t, &http2.Server{Handler: unreachable(t), Lane: l}, largeWindows())
	c.WriteWindowUpdate(0, 1<<30)
	var want []string
	for _, n := range []int{0, 1, 9999, 16384, 65536, 65537, 300_000} {
		a := c.answerTo(c.get(":path: /hit/"+strconv.Itoa(n), "x: 1"))
		if len(a.heads) != 1 || a.heads[0] != fmt.Sprintf(":status: 200\ncontent-type: text/plain\ncontent-length: %d\n", n) || a.body != content(n) {
			t.Errorf("%d: got %d octets after %q", n, len(a.body), a.heads)
		}
		want = append(want, fmt.Sprintf("/hit/%d %d/%d <nil>", n, n, n))
	}
	if a := c.answerTo(c.get(":method: HEAD", ":path: /hit/5")); a.body != "" || a.reset {
		t.Errorf("HEAD: got %+v", a)
	}
	c.close()
	want = append(want, "/hit/5 0/0 <nil>")
	if got := l.reports(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("the lane was told %q", got)
	}
	if got := l.seen[0]; got != "pipe GET a.example /hit/0 [{x 1}] 2" {
		t.Errorf("the lane was asked %q", got)
	}
}

// What is odd goes the general way, and gets the same answer there.
func TestLaneIsNotAsked(t *testing.T) {
	c := greet(t, &http2.Server{Handler: byPath{}, Lane: noLane{t}})
	for _, lines := range [][]string{
		{"te: trailers"}, {"content-length: 0"}, {"expect: 100-continue"}, {":method: OPTIONS", ":path: *"},
	} {
		if a := c.answerTo(c.get(lines...)); a.body != "ok" {
			t.Errorf("%q: got %+v", lines, a)
		}
	}
	id := c.request(false, ":method: POST")
	c.WriteData(id, true, nil)
	if a := c.answerTo(id); a.body != "ok" {
		t.Errorf("POST: got %+v", a)
	}
}

func TestCookiesAreJoinedForTheLane(t *testing.T) {
	l := new(testLane)
	c := greet(t, &http2.Server{Handler: byPath{}, Lane: l})
	c.answerTo(c.get("cookie: a=1", "x: 1", "cookie: b=2"))
	if got := l.seen[0]; got != "pipe GET a.example / [{cookie a=1; b=2} {x 1}] 2" {
		t.Errorf("the lane was asked %q", got)
	}
}

// A hit that waits for its window is reported when it is over, whatever ends it.
func TestHitsThatDoNotEnd(t *testing.T) {
	for name, row := range map[string]struct {
		end  func(c *client, id uint32)
		want string
	}{
		"sent":    {func(c *client, id uint32) { c.WriteWindowUpdate(id, 90); c.answerTo(id) }, "/hit/100 100/100 <nil>"},
		"reset":   {func(c *client, id uint32) { c.WriteRSTStream(id, h2.ErrCodeCancel); c.ping() }, "/hit/100 10/100 http2: the client has reset the stream"},
		"gone":    {func(c *client, _ uint32) { c.nc.Close() }, "/hit/100 10/100 http2: the connection is closed"},
		"stalled": {func(c *client, id uint32) { c.answerTo(id) }, "/hit/100 10/100 http2: the stream has been reset"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(testLane)
				c := greet(t, &http2.Server{Handler: unreachable(t), Lane: l}, h2.Setting{ID: h2.SettingInitialWindowSize, Val: 10})
				id := c.get(":path: /hit/100")
				c.ping()
				row.end(c, id)
				c.close()
				if got := l.reports(); !slices.Equal(got, []string{row.want}) {
					t.Errorf("the lane was told %q, want %q", got, row.want)
				}
			})
		})
	}
}

// Many hits share a write.
func TestHitsAreWrittenTogether(t *testing.T) {
	l := new(testLane)
	c := greet(t, &http2.Server{Handler: unreachable(t), Lane: l})
	var all strings.Builder
	fr := h2.NewFramer(&all, nil)
	for range 20 {
		fr.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.encode(":path: /hit/100"), EndHeaders: true, EndStream: true})
		c.next += 2
	}
	c.nc.SetDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write([]byte(all.String())); err != nil {
		t.Fatal(err)
	}
	for id := c.next - 40; id < c.next; id += 2 {
		if a := c.answerTo(id); a.body != content(100) {
			t.Errorf("got %+v", a)
		}
	}
}

// The error of a broken connection is what the lane is told.
func TestHitsOnABrokenConnection(t *testing.T) {
	l := new(testLane)
	c := greet(t, &http2.Server{Handler: unreachable(t), Lane: l}, largeWindows())
	c.WriteWindowUpdate(0, 1<<30)
	c.get(":path: /hit/10000000")
	for g := range c.frames {
		if g.Type == h2.FrameData {
			break
		}
	}
	c.close()
	got := l.reports()
	if len(got) != 1 || !strings.HasPrefix(got[0], "/hit/10000000 ") || strings.HasSuffix(got[0], "<nil>") {
		t.Errorf("the lane was told %q", got)
	}
}

// largeHead answers with a head that does not fit into one frame.
type largeHead struct{ size int }

func (l largeHead) Take(_ *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	a.Block = lane.NewBlock(200, []lane.Field{{Name: "X", Value: strings.Repeat("\"", l.size)}})
	if r.Target == "/content" {
		a.Content, a.Length = append(a.Content, []byte("hello")), 5
	}
	return true
}

func (largeHead) Sent(*lane.Peer, *lane.Request, *lane.Answer, lane.End) {}

func TestHitsWithLargeHeads(t *testing.T) {
	for _, size := range []int{16_000, 17_000, 50_000} {
		c := greet(t, &http2.Server{Handler: unreachable(t), Lane: largeHead{size}})
		for path, body := range map[string]string{"/": "", "/content": "hello"} {
			a := c.answerTo(c.get(":path: " + path))
			if want := ":status: 200\nx: " + strings.Repeat("\"", size) + "\n"; len(a.heads) != 1 || a.heads[0] != want || a.body != body {
				t.Errorf("%d%s: got %.100q and %q", size, path, a.heads, a.body)
			}
		}
	}
}
