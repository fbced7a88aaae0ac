package http2_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
)

// data receives until n octets of content have come on any stream, and returns how many came on each, in order of the
// frames, as "stream:octets".
func (c *client) data(n int) (order []string) {
	c.t.Helper()
	for n > 0 {
		g, ok := c.receive()
		if !ok || g.Type == h2.FrameRSTStream || g.Type == h2.FrameGoAway {
			c.t.Fatalf("got %v, want %d more octets; so far %q", g, n, order)
		}
		if g.Type == h2.FrameData && g.Length > 0 {
			order = append(order, fmt.Sprintf("%d:%d", g.StreamID, g.Length))
			n -= int(g.Length)
		}
	}
	return order
}

// noData fails the test if any content comes before the answer to a PING.
func (c *client) noData() {
	c.t.Helper()
	synctest.Wait()
	c.WritePing(false, [8]byte{})
	for {
		g, ok := c.receive()
		switch {
		case !ok || g.Type == h2.FrameData && g.Length > 0:
			c.t.Fatalf("got %v, want nothing", g)
		case g.Type == h2.FramePing:
			return
		}
	}
}

func window(n uint32) h2.Setting { return h2.Setting{ID: h2.SettingInitialWindowSize, Val: n} }

// Not one octet more is sent than the windows allow, for hits and for handlers.
func TestWindows(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content(100_000)) })
	for path, s := range map[string]*http2.Server{"/handler": {Handler: h}, "/hit/100000": {Handler: h, Lane: new(testLane)}} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := greet(t, s, window(10))
				id := c.get(":path: " + path)
				c.data(10)
				c.noData()
				c.WriteWindowUpdate(id, 5)
				c.data(5)
				c.noData()
				c.WriteSettings(window(0)) // the stream's window is -10 now
				c.WriteWindowUpdate(id, 10)
				c.noData()
				c.WriteWindowUpdate(id, 1)
				c.data(1)
				c.noData()
				c.WriteSettings(window(1 << 20)) // the connection's is the smaller one now
				c.data(65535 - 16)
				c.noData()
				c.WriteWindowUpdate(0, 100)
				c.data(100)
				c.noData()
				c.WriteWindowUpdate(0, 1<<20)
				c.data(100_000 - 65535 - 100)
			})
		})
	}
}

func TestWindowErrors(t *testing.T) {
	for name, row := range map[string]struct {
		send   func(c *client, id uint32)
		stream bool
		code   h2.ErrCode
	}{
		"stream overflow":      {func(c *client, id uint32) { c.WriteWindowUpdate(id, 1<<31-1); c.WriteWindowUpdate(id, 65535) }, true, h2.ErrCodeFlowControl},
		"connection overflow":  {func(c *client, _ uint32) { c.WriteWindowUpdate(0, 1<<31-1) }, false, h2.ErrCodeFlowControl},
		"overflow by settings": {func(c *client, id uint32) { c.WriteWindowUpdate(id, 1<<30); c.WriteSettings(window(1<<31 - 1)) }, false, h2.ErrCodeFlowControl},
		"settings too large":   {func(c *client, _ uint32) { c.WriteSettings(window(1 << 31)) }, false, h2.ErrCodeFlowControl},
		"stream 0":             {func(c *client, id uint32) { c.WriteWindowUpdate(id, 0) }, true, h2.ErrCodeProtocol},
		"connection 0":         {func(c *client, _ uint32) { c.WriteWindowUpdate(0, 0) }, false, h2.ErrCodeProtocol},
		"idle":                 {func(c *client, id uint32) { c.WriteWindowUpdate(id+2, 1) }, false, h2.ErrCodeProtocol},
		"size":                 {func(c *client, id uint32) { c.WriteRawFrame(h2.FrameWindowUpdate, 0, id, make([]byte, 5)) }, false, h2.ErrCodeFrameSize},
	} {
		t.Run(name, func(t *testing.T) {
			c := greet(t, &http2.Server{Handler: unreachable(t), Lane: new(testLane)}, window(1))
			id := c.get(":path: /hit/100000")
			c.data(1)
			row.send(c, id)
			if !row.stream {
				c.wantGoAway(row.code)
				return
			}
			if a := c.answerTo(id); a.code != row.code || !a.reset {
				t.Errorf("got %+v", a)
			}
			c.ping()
		})
	}
}

// Of the same urgency, streams that are incremental take turns.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greet(t, &http2.Server{Handler: unreachable(t), Lane: new(testLane)}, window(0))
		var ids []uint32
		for range 4 {
			ids = append(ids, c.get(":path: /hit/200000", "priority: i"))
		}
		c.ping()
		c.WriteWindowUpdate(0, 1<<30)
		c.WriteSettings(window(1 << 30))
		count := map[string]int{}
		for i, piece := range c.data(400_000) {
			stream, _, _ := strings.Cut(piece, ":")
			count[stream]++
			if i%len(ids) == 0 && i > 0 {
				for _, id := range ids {
					if n := count[fmt.Sprint(id)]; n < i/len(ids)-1 || n > i/len(ids)+1 {
						t.Fatalf("after %d frames: %v", i, count)
					}
				}
			}
		}
	})
}

// order returns in which order streams finish that are all asked for before anything is sent.
func order(t *testing.T, priorities []string, before func(c *client, ids []uint32)) (done []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := greet(t, &http2.Server{Handler: unreachable(t), Lane: new(testLane)}, window(0))
		var ids []uint32
		for _, p := range priorities {
			ids = append(ids, c.get(":path: /hit/100000", "priority: "+p))
		}
		before(c, ids)
		c.ping()
		c.WriteWindowUpdate(0, 1<<30)
		c.WriteSettings(window(1 << 30))
		for range ids {
			for {
				g, ok := c.receive()
				if !ok {
					t.Fatal("the connection has ended")
				}
				if g.ended() {
					done = append(done, slices.Index(ids, g.StreamID))
					break
				}
			}
		}
	})
	return done
}

func TestPriorities(t *testing.T) {
	nothing := func(*client, []uint32) {}
	for name, row := range map[string]struct {
		priorities []string
		before     func(c *client, ids []uint32)
		want       []int
	}{
		"by number":        {[]string{"", "", ""}, nothing, []int{0, 1, 2}},
		"by urgency":       {[]string{"u=5", "u=3", "u=0"}, nothing, []int{2, 1, 0}},
		"default is 3":     {[]string{"u=4", "", "u=2"}, nothing, []int{2, 1, 0}},
		"what is not one":  {[]string{"u=9", "u=x, i=2", "u=2;x=1"}, nothing, []int{2, 0, 1}},
		"update":           {[]string{"", "", ""}, func(c *client, ids []uint32) { c.WritePriorityUpdate(ids[2], "u=1") }, []int{2, 0, 1}},
		"update downwards": {[]string{"", "", ""}, func(c *client, ids []uint32) { c.WritePriorityUpdate(ids[0], "u=7") }, []int{1, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := order(t, row.priorities, row.before); !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// A priority may come before its stream.
func TestEarlyPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greet(t, &http2.Server{Handler: unreachable(t), Lane: new(testLane)}, window(0))
		c.WritePriorityUpdate(3, "u=0")
		c.get(":path: /hit/1000")
		c.get(":path: /hit/1000", "priority: u=6")
		c.ping()
		c.WriteSettings(window(2000))
		if got := c.data(2000); !slices.Equal(got, []string{"3:1000", "1:1000"}) {
			t.Errorf("got %q", got)
		}
	})
}

// A stream whose window is shut harms no other one, be it a hit's or a handler's.
func TestStalledStreamHarmsNobody(t *testing.T) {
	h := byPath{"/large": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content(1<<20)) }}
	c := greet(t, &http2.Server{Handler: h, Lane: new(testLane)}, window(100))
	c.WriteWindowUpdate(0, 1<<30)
	c.get(":path: /hit/1000000", "priority: u=0")
	c.get(":path: /large", "priority: u=0")
	c.data(200)
	for range 10 {
		if a := c.answerTo(c.get(":path: /hit/100", "priority: u=7")); a.body != content(100) {
			t.Fatalf("got %+v", a)
		}
		if a := c.answerTo(c.get()); a.body != "ok" {
			t.Fatalf("got %+v", a)
		}
	}
}

// The client's window is opened when the handler reads, and not before; what nobody reads is given back to the connection.
func TestUploadWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan int)
		h := byPath{"/slow": func(_ http.ResponseWriter, r *http.Request) {
			for n := range read {
				io.CopyN(io.Discard, r.Body, int64(n))
			}
		}}
		limits := http2.Limits{StreamWindow: 64 << 10, ConnWindow: 128 << 10}
		c := greet(t, &http2.Server{Handler: h, Limits: limits})
		id := c.request(false, ":method: POST", ":path: /slow")
		for range 4 {
			c.WriteData(id, false, make([]byte, 16<<10))
		}
		c.ping()
		read <- 64 << 10
		synctest.Wait()
		var stream, conn uint32
		for len(c.frames) > 0 {
			switch g := <-c.frames; {
			case g.Type == h2.FrameWindowUpdate && g.StreamID == id:
				stream += g.n
			case g.Type == h2.FrameWindowUpdate:
				conn += g.n
			}
		}
		if stream != 64<<10 || conn != 64<<10 {
			t.Errorf("got %d for the stream and %d for the connection", stream, conn)
		}
		close(read)
		if a := c.answerTo(id); a.reset || len(a.heads) != 1 {
			t.Errorf("got %+v", a)
		}
		if a := c.answerTo(id); a.code != h2.ErrCodeNo {
			t.Errorf("got %+v", a)
		}
		for range 100 { // on their way when the stream was reset
			c.WriteData(id, false, make([]byte, 16<<10))
		}
		c.ping()
	})
}

func TestUploadBeyondTheWindow(t *testing.T) {
	h := byPath{"/slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	for name, code := range map[string]h2.ErrCode{"stream": h2.ErrCodeFlowControl, "connection": h2.ErrCodeFlowControl} {
		t.Run(name, func(t *testing.T) {
			c := greet(t, &http2.Server{Handler: h, Limits: http2.Limits{StreamWindow: 64 << 10, ConnWindow: 100 << 10}})
			first := c.request(false, ":method: POST", ":path: /slow")
			second := c.request(false, ":method: POST", ":path: /slow")
			for range 4 {
				c.WriteData(first, false, make([]byte, 16<<10))
			}
			if name == "stream" {
				c.WriteDataPadded(first, false, nil, []byte{})
				if a := c.answerTo(first); a.code != code {
					t.Errorf("got %+v", a)
				}
				return
			}
			for range 3 {
				c.WriteData(second, false, make([]byte, 16<<10))
			}
			c.wantGoAway(code)
		})
	}
}

// A handler whose client takes or sends nothing is told after Limits.Stall, or at its own deadline.
func TestStallsOfHandlers(t *testing.T) {
	for name, row := range map[string]struct {
		before func(rc *http.ResponseController)
		want   time.Duration
	}{
		"default": {func(*http.ResponseController) {}, 30 * time.Second},
		"own": {func(rc *http.ResponseController) {
			rc.SetReadDeadline(time.Now().Add(3 * time.Minute))
			rc.SetWriteDeadline(time.Now().Add(3 * time.Minute))
		}, 3 * time.Minute},
	} {
		for _, path := range []string{"/read", "/write"} {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					begin := time.Now()
					stalled := make(chan error, 1)
					h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						row.before(http.NewResponseController(w))
						var err error
						if path == "/read" {
							_, err = r.Body.Read(make([]byte, 1))
						} else {
							_, err = io.WriteString(w, content(10_000))
						}
						stalled <- err
						panic(http.ErrAbortHandler)
					})
					c := greet(t, &http2.Server{Handler: h, Limits: http2.Limits{Stall: 30 * time.Second}}, window(1))
					id := c.request(false, ":method: POST", ":path: "+path)
					if err := <-stalled; err != os.ErrDeadlineExceeded || time.Since(begin) != row.want {
						t.Errorf("got %v after %v", err, time.Since(begin))
					}
					if a := c.answerTo(id); a.code != h2.ErrCodeInternal {
						t.Errorf("got %+v", a)
					}
				})
			})
		}
	}
}

// A client that sends an octet now and then is slower than the minimum rate.
func TestTrickledContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ended := make(chan error, 1)
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
			panic(http.ErrAbortHandler)
		})
		c := greet(t, &http2.Server{Handler: h, Limits: http2.Limits{Stall: 30 * time.Second}})
		id := c.request(false, ":method: POST", ":path: /")
		var err error
		for done := false; !done; {
			select {
			case err = <-ended:
				done = true
			case <-time.After(time.Second):
				c.WriteData(id, false, []byte("a"))
			}
		}
		if took := time.Since(begin); err != os.ErrDeadlineExceeded || took < 29*time.Second || took > 32*time.Second {
			t.Errorf("got %v after %v, want a time-out after half a minute", err, took)
		}
	})
}

// What the client does not take from the socket does not keep us from hearing what it says.
func TestBlockedWriterDoesNotBlockTheReader(t *testing.T) {
	handling, ended := make(chan struct{}), make(chan struct{})
	h := byPath{"/wait": func(_ http.ResponseWriter, r *http.Request) {
		close(handling)
		<-r.Context().Done()
		close(ended)
	}}
	c := connectDeaf(t, &http2.Server{Handler: h, Lane: new(testLane)}, 8).hello(largeWindows())
	c.WriteWindowUpdate(0, 1<<30)
	id := c.get(":path: /wait")
	<-handling
	c.get(":path: /hit/10000000")
	c.WriteRSTStream(id, h2.ErrCodeCancel)
	<-ended
}

// Of one urgency, neither those that are incremental starve nor those that are not.
func TestMixedPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greet(t, &http2.Server{Handler: unreachable(t), Lane: new(testLane)}, window(0))
		c.get(":path: /hit/400000")
		c.get(":path: /hit/400000", "priority: i")
		c.get(":path: /hit/400000", "priority: i")
		c.ping()
		c.WriteWindowUpdate(0, 1<<30)
		c.WriteSettings(window(1 << 30))
		got := map[string]int{}
		for _, piece := range c.data(400_000) {
			stream, _, _ := strings.Cut(piece, ":")
			got[stream]++
		}
		if got["1"] < 11 || got["3"] < 5 || got["5"] < 5 {
			t.Errorf("the frames of each stream: %v", got)
		}
	})
}

// TestManyThatTakeNothing: where many connections have something to send, each gets its answers all the same, in smaller pieces.
func TestManyThatTakeNothing(t *testing.T) {
	s := &http2.Server{Handler: byPath{"/large": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content(1<<20)) }}, Lane: new(testLane)}
	s.Lend(1 << 20)
	c := greet(t, s, largeWindows())
	c.WriteWindowUpdate(0, 1<<24)
	for _, path := range []string{"/large", "/hit/1048576", "/hit/10"} {
		a := c.answerTo(c.get(":path: " + path))
		if want := content(max(10, len(a.body))); a.body != want || len(a.body) != 10 && len(a.body) != 1<<20 {
			t.Errorf("%s: %d octets", path, len(a.body))
		}
	}
}
