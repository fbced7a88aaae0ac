package http2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
)

func TestContextEndsWithTheStream(t *testing.T) {
	for name, end := range map[string]func(c *client, id uint32){
		"reset": func(c *client, id uint32) { c.WriteRSTStream(id, h2.ErrCodeCancel) },
		"gone":  func(c *client, _ uint32) { c.nc.Close() },
		"error": func(c *client, _ uint32) { c.WriteRawFrame(h2.FramePing, 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			handling, ended := make(chan struct{}), make(chan error, 1)
			c := greet(t, &http2.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(handling)
				<-r.Context().Done()
				if _, err := w.Write(make([]byte, 10_000)); err == nil {
					t.Error("Write returns no error")
				}
				ended <- r.Context().Err()
			})})
			id := c.get()
			<-handling
			end(c, id)
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the context ended with %v", err)
			}
		})
	}
}

func TestContextEndsWithTheHandler(t *testing.T) {
	contexts := make(chan context.Context, 1)
	c := greet(t, &http2.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { contexts <- r.Context() })})
	c.answerTo(c.get())
	<-(<-contexts).Done()
}

func TestPanics(t *testing.T) {
	var log bytes.Buffer
	var panics atomic.Int32
	c := greet(t, &http2.Server{
		Handler: byPath{
			"/panic": func(http.ResponseWriter, *http.Request) { panic("oh no") },
			"/abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		},
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
		Panicked: func(any) { panics.Add(1) },
	})
	c.wantReset(c.get(":path: /panic"), h2.ErrCodeInternal)
	c.wantReset(c.get(":path: /abort"), h2.ErrCodeInternal)
	c.close()
	if panics.Load() != 1 || strings.Count(log.String(), "oh no") != 1 || !strings.Contains(log.String(), "life_test.go") {
		t.Errorf("%d panics were counted; the log: %s", panics.Load(), &log)
	}
}

// RFC 9113 section 6.8: nothing that was on its way is lost, what runs may finish, what comes later is not begun.
func TestStopLetsRequestsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		c := greet(t, &http2.Server{Handler: byPath{"/wait": func(w http.ResponseWriter, r *http.Request) {
			<-goOn
			if r.Context().Err() != nil {
				t.Error("the context has ended")
			}
			io.WriteString(w, "done")
		}}})
		id := c.get(":path: /wait")
		c.stop()
		if g := c.wantGoAway(h2.ErrCodeNo); g.last != 1<<31-1 {
			t.Errorf("got %v", g)
		}
		g, _ := c.receive()
		if g.Type != h2.FramePing {
			t.Errorf("got %v, want PING", g)
		}
		late := c.get(":path: /late") // sent before the client has seen GOAWAY
		if a := c.answerTo(late); a.body != "ok" {
			t.Errorf("got %+v", a)
		}
		c.WritePing(true, [8]byte([]byte(g.data)))
		if g := c.wantGoAway(h2.ErrCodeNo); g.last != late {
			t.Errorf("got %v", g)
		}
		tooLate := c.request(false, ":method: POST")
		c.WriteData(tooLate, true, []byte("hello"))
		c.ping()
		close(goOn)
		if a := c.answerTo(id); a.body != "done" {
			t.Errorf("got %+v", a)
		}
		c.wantEnd()
	})
}

// A client that does not answer is not waited for.
func TestStopOfIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := greet(t, &http2.Server{Handler: byPath{}})
		c.stop()
		c.wantGoAway(h2.ErrCodeNo)
		if g := c.wantGoAway(h2.ErrCodeNo); g.last != 0 {
			t.Errorf("got %v", g)
		}
		c.wantEnd()
		if time.Since(begin) != time.Second {
			t.Errorf("it took %v", time.Since(begin))
		}
	})
}

func TestStopCutsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(testLane)
		begin := time.Now()
		c := greet(t, &http2.Server{Lane: l, Handler: byPath{"/wait": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}}, window(1))
		c.get(":path: /wait")
		c.get(":path: /hit/100")
		c.ping()
		c.stop()
		c.wantEnd()
		if time.Since(begin) != 10*time.Second || len(l.reports()) != 1 {
			t.Errorf("it took %v; the lane was told %q", time.Since(begin), l.reports())
		}
	})
}

// The rules of RFC 9113 about frames and their order.
func TestConnectionErrors(t *testing.T) {
	for name, row := range map[string]struct {
		send func(c *client)
		code h2.ErrCode
	}{
		"HEADERS on stream 0": {func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 0, BlockFragment: c.encode(), EndHeaders: true})
		}, h2.ErrCodeProtocol},
		"HEADERS on stream 2": {func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 2, BlockFragment: c.encode(), EndHeaders: true})
		}, h2.ErrCodeProtocol},
		"HEADERS backwards":         {func(c *client) { c.next = 5; c.get(); c.answerTo(5); c.next = 3; c.get() }, h2.ErrCodeStreamClosed},
		"HEADERS on a closed one":   {func(c *client) { c.get(); c.answerTo(1); c.next = 1; c.get() }, h2.ErrCodeStreamClosed},
		"DATA on an idle one":       {func(c *client) { c.WriteData(1, true, nil) }, h2.ErrCodeProtocol},
		"RST_STREAM on an idle one": {func(c *client) { c.WriteRSTStream(1, 0) }, h2.ErrCodeProtocol},
		"DATA within a block": {func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode()})
			c.WriteData(1, true, nil)
		}, h2.ErrCodeProtocol},
		"CONTINUATION of another": {func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode()})
			c.WriteContinuation(3, true, nil)
		}, h2.ErrCodeProtocol},
		"CONTINUATION of nothing": {func(c *client) { c.WriteContinuation(1, true, nil) }, h2.ErrCodeProtocol},
		"HPACK": {func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x80}, EndHeaders: true})
		}, h2.ErrCodeCompression},
		"PUSH_PROMISE":         {func(c *client) { c.WriteRawFrame(h2.FramePushPromise, 4, 1, make([]byte, 8)) }, h2.ErrCodeProtocol},
		"large frame":          {func(c *client) { c.WriteRawFrame(h2.FrameData, 0, 1, make([]byte, 16385)) }, h2.ErrCodeFrameSize},
		"PING size":            {func(c *client) { c.WriteRawFrame(h2.FramePing, 0, 0, make([]byte, 7)) }, h2.ErrCodeFrameSize},
		"PING on a stream":     {func(c *client) { c.WriteRawFrame(h2.FramePing, 0, 1, make([]byte, 8)) }, h2.ErrCodeProtocol},
		"SETTINGS size":        {func(c *client) { c.WriteRawFrame(h2.FrameSettings, 0, 0, make([]byte, 7)) }, h2.ErrCodeFrameSize},
		"SETTINGS ack size":    {func(c *client) { c.WriteRawFrame(h2.FrameSettings, 1, 0, make([]byte, 6)) }, h2.ErrCodeFrameSize},
		"SETTINGS push":        {func(c *client) { c.WriteSettings(h2.Setting{ID: h2.SettingEnablePush, Val: 2}) }, h2.ErrCodeProtocol},
		"SETTINGS frame size":  {func(c *client) { c.WriteSettings(h2.Setting{ID: h2.SettingMaxFrameSize, Val: 1}) }, h2.ErrCodeProtocol},
		"SETTINGS priorities":  {func(c *client) { c.WriteSettings(h2.Setting{ID: h2.SettingNoRFC7540Priorities, Val: 2}) }, h2.ErrCodeProtocol},
		"PRIORITY_UPDATE of 0": {func(c *client) { c.WriteRawFrame(h2.FramePriorityUpdate, 0, 0, make([]byte, 4)) }, h2.ErrCodeProtocol},
		"padding":              {func(c *client) { c.request(false); c.WriteRawFrame(h2.FrameData, 8, 1, []byte{5, 1}) }, h2.ErrCodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := greet(t, &http2.Server{Handler: byPath{}})
			row.send(c)
			c.wantGoAway(row.code)
			c.wantEnd()
		})
	}
}

func TestPrefaces(t *testing.T) {
	for name, row := range map[string]struct {
		octets string
		code   h2.ErrCode
	}{
		"HTTP/1":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", h2.ErrCodeProtocol},
		"no settings": {h2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh", h2.ErrCodeProtocol},
		"only an ack": {h2.ClientPreface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00", h2.ErrCodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, &http2.Server{Handler: byPath{}})
			go io.WriteString(c.nc, row.octets)
			c.wantGoAway(row.code)
			c.wantEnd()
		})
	}
}

// What the client may know of our limits, it is told.
func TestSettings(t *testing.T) {
	c := connect(t, &http2.Server{Handler: byPath{}, Limits: http2.Limits{Streams: 7, HeaderBytes: 1 << 15}})
	g := <-c.frames
	want := map[h2.SettingID]uint32{
		h2.SettingMaxConcurrentStreams: 7, h2.SettingMaxHeaderListSize: 1 << 15,
		h2.SettingInitialWindowSize: 256 << 10, h2.SettingNoRFC7540Priorities: 1,
	}
	for id, v := range want {
		if g.settings[id] != v {
			t.Errorf("%v is %d, want %d", id, g.settings[id], v)
		}
	}
	if g := <-c.frames; g.Type != h2.FrameWindowUpdate || g.n != 1<<20-65535 {
		t.Errorf("got %v", g)
	}
}

// A connection that is used is not idle, whoever answers.
func TestHitsKeepTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greet(t, &http2.Server{Handler: byPath{}, Lane: new(testLane)})
		for i := range 10 {
			if a := c.answerTo(c.get(":path: /hit/100")); a.body != content(100) {
				t.Fatalf("%d: got %+v", i, a)
			}
			<-time.After(50 * time.Second)
		}
	})
}

// Settings come first even if the server is to stop already.
func TestStoppedFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		served := make(chan struct{})
		go func() {
			defer close(served)
			(&http2.Server{Handler: byPath{}}).ServeConn(ctx, theirs, nil)
		}()
		var types []h2.FrameType
		fr := h2.NewFramer(nil, ours)
		for f, err := fr.ReadFrame(); err == nil; f, err = fr.ReadFrame() {
			types = append(types, f.Header().Type)
		}
		<-served
		want := []h2.FrameType{h2.FrameSettings, h2.FrameWindowUpdate, h2.FrameGoAway, h2.FramePing, h2.FrameGoAway}
		if !slices.Equal(types, want) {
			t.Errorf("got %v, want %v", types, want)
		}
	})
}

// A handler may want the connection to end, which is said in the words of HTTP/1.
func TestHandlerEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		c := greet(t, &http2.Server{Handler: byPath{
			"/wait":  func(w http.ResponseWriter, _ *http.Request) { <-goOn; io.WriteString(w, "done") },
			"/close": func(w http.ResponseWriter, _ *http.Request) { set(w, "Connection", "Close") },
		}})
		id := c.get(":path: /wait")
		last := c.get(":path: /close")
		if a := c.answerTo(last); a.reset || strings.Contains(a.heads[0], "connection") {
			t.Errorf("got %+v", a)
		}
		if g := c.wantGoAway(h2.ErrCodeNo); g.last != last {
			t.Errorf("got %v", g)
		}
		c.stop() // says nothing more
		close(goOn)
		if a := c.answerTo(id); a.body != "done" {
			t.Errorf("got %+v", a)
		}
		c.wantEnd()
	})
}
