package http2_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
)

// floods send one thing after the other that costs something and brings nothing. send reports false when the
// connection does not take it any more.
func floods() map[string]struct {
	word  string
	begin func(c *client)
	send  func(c *client) error
} {
	type flood = struct {
		word  string
		begin func(c *client)
		send  func(c *client) error
	}
	nothing := func(*client) {}
	open := func(c *client) { c.request(false, ":method: POST", ":path: /wait") }
	head := func(c *client) error {
		c.next += 2
		return c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.encode(":path: /wait"), EndHeaders: true, EndStream: true})
	}
	// The ways to have the server reset streams (CVE-2025-8671).
	madeToReset := func(reset func(c *client, id uint32) error) flood {
		return flood{"resets", nothing, func(c *client) error {
			head(c)
			return reset(c, c.next)
		}}
	}
	return map[string]flood{
		"rapid reset (CVE-2023-44487)": {"resets", nothing, func(c *client) error {
			head(c)
			return c.WriteRSTStream(c.next, h2.ErrCodeCancel)
		}},
		"rapid reset of hits": {"resets", nothing, func(c *client) error {
			c.next += 2
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.encode(":path: /hit/10"), EndHeaders: true, EndStream: true})
			return c.WriteRSTStream(c.next, h2.ErrCodeCancel)
		}},
		"window update of 0": madeToReset(func(c *client, id uint32) error { return c.WriteWindowUpdate(id, 0) }),
		"window overflow":    madeToReset(func(c *client, id uint32) error { return c.WriteWindowUpdate(id, 1<<31-1) }),
		"priority size":      madeToReset(func(c *client, id uint32) error { return c.WriteRawFrame(h2.FramePriority, 0, id, []byte{1}) }),
		"self-dependency": madeToReset(func(c *client, id uint32) error {
			return c.WritePriority(id, h2.PriorityParam{StreamDep: id})
		}),
		"data after the end": madeToReset(func(c *client, id uint32) error { return c.WriteData(id, true, nil) }),
		"headers after the end": madeToReset(func(c *client, id uint32) error {
			return c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.raw("x: 1"), EndHeaders: true, EndStream: true})
		}),
		"malformed requests": {"resets", nothing, func(c *client) error {
			c.next += 2
			return c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.encode("X: 1"), EndHeaders: true, EndStream: true})
		}},
		"too many streams": {"resets", nothing, head},
		"hpack bomb (CVE-2016-6581)": {"header-bomb", func(c *client) { c.get("x-bomb: " + strings.Repeat("x", 3900)) }, func(c *client) error {
			c.next += 2
			block := append(bytes.Clone(c.encode("x-bomb: "+strings.Repeat("x", 3900))), bytes.Repeat([]byte{0x80 | 62}, 10_000)...)
			return c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: block, EndHeaders: true, EndStream: true})
		}},
		"continuation": {"continuation-flood", func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode()})
		}, func(c *client) error { return c.WriteContinuation(1, false, c.raw("x: "+strings.Repeat("~", 16000))) }},
		"empty continuation (CVE-2024-27316)": {"continuation-flood", func(c *client) {
			c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode()})
		}, func(c *client) error { return c.WriteContinuation(1, false, nil) }},
		"settings":        {"settings-flood", nothing, func(c *client) error { return c.WriteSettings() }},
		"settings ack":    {"settings-flood", nothing, func(c *client) error { return c.WriteSettingsAck() }},
		"ping":            {"ping-flood", nothing, func(c *client) error { return c.WritePing(false, [8]byte{}) }},
		"ping ack":        {"ping-flood", nothing, func(c *client) error { return c.WritePing(true, [8]byte{}) }},
		"priority":        {"priority-flood", nothing, func(c *client) error { return c.WritePriority(1, h2.PriorityParam{}) }},
		"priority update": {"priority-flood", nothing, func(c *client) error { return c.WritePriorityUpdate(1, "u=1") }},
		"empty data":      {"empty-data-flood", open, func(c *client) error { return c.WriteData(1, false, nil) }},
		"padding only":    {"empty-data-flood", open, func(c *client) error { return c.WriteDataPadded(1, false, nil, make([]byte, 200)) }},
		"window update":   {"window-update-flood", nothing, func(c *client) error { return c.WriteWindowUpdate(0, 1) }},
		"data dribble (CVE-2019-9511)": {"window-update-flood", func(c *client) {
			c.WriteSettings(window(0))
			c.request(true, ":path: /hit/1000000")
		}, func(c *client) error { return c.WriteWindowUpdate(1, 1) }},
		"unknown frames": {"unknown-frame-flood", nothing, func(c *client) error { return c.WriteRawFrame(0xbb, 0, 0, nil) }},
		"goaway":         {"goaway-flood", nothing, func(c *client) error { return c.WriteGoAway(0, h2.ErrCodeNo, nil) }},
	}
}

// Each flood ends its connection soon, with a word for it and a line in the log, and the server keeps nothing of it.
func TestFloods(t *testing.T) {
	wait := byPath{"/wait": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	for name, flood := range floods() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w words
				var log bytes.Buffer
				s := &http2.Server{Handler: wait, Lane: new(testLane), Abused: w.abused, Log: slog.New(slog.NewTextHandler(&log, nil))}
				c := greet(t, s)
				begin := time.Now()
				flood.begin(c)
				n := 0
				for n < 50_000 && flood.send(c) == nil {
					n++
				}
				c.wantGoAway(h2.ErrCodeEnhanceYourCalm)
				c.wantEnd()
				synctest.Wait()
				if left := s.UnderWay(); left != 0 {
					t.Errorf("%d requests are still counted", left)
				}
				if n > 2000 {
					t.Errorf("it took %d of them", n)
				}
				if held := time.Since(begin); held < time.Second || held > 2*time.Second {
					t.Errorf("the connection was held for %v", held)
				}
				if w.all() != flood.word || strings.Count(log.String(), "cost too much") != 1 || !strings.Contains(log.String(), "reason="+flood.word+" frames=") {
					t.Errorf("the words are %q, the log is %s", w.all(), &log)
				}
			})
		})
	}
}

// What busy honest clients do is no flood.
func TestNoFloods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := byPath{"/wait": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
		c := greet(t, &http2.Server{Handler: wait, Lane: new(testLane)}, largeWindows())
		for i := range 2000 {
			a := c.answerTo(c.get(":path: /hit/2000"))
			if a.body != content(2000) {
				t.Fatalf("got %+v", a)
			}
			c.WriteWindowUpdate(0, 2000)
			c.WriteWindowUpdate(c.next-2, 2000)
			c.WritePriorityUpdate(c.next, "u=1")
			if i%2 == 0 && i > 0 { // a browser that leaves a page
				c.WriteRSTStream(c.get(":path: /wait"), h2.ErrCodeCancel)
			}
			if i%100 == 0 {
				c.ping()
				c.WriteSettings()
				<-time.After(time.Minute)
			}
		}
		c.ping()
	})
}

// A client that does not read cannot make the answers to its control frames pile up, nor those to its requests.
func TestRepliesAreBounded(t *testing.T) {
	for name, send := range map[string]func(c *client) error{
		"requests": func(c *client) error {
			c.next += 2
			return c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.encode(":method: HEAD", ":path: /hit/10"), EndHeaders: true, EndStream: true})
		},
		"resets": func(c *client) error {
			c.next += 2
			return c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.encode("X: 1"), EndHeaders: true, EndStream: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := connectDeaf(t, &http2.Server{Handler: byPath{}, Lane: new(testLane)}, 3).hello(largeWindows())
				c.WriteWindowUpdate(0, 1<<30)
				c.get(":path: /hit/10000000")
				n := 0
				for n < 100_000 && send(c) == nil {
					n++
				}
				if n > 5000 {
					t.Errorf("it took %d of them", n)
				}
			})
		})
	}
}

// A slot is taken until the handler has returned, whatever became of its stream.
func TestSlotsOfResetStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := byPath{"/stubborn": func(http.ResponseWriter, *http.Request) { <-release }}
		var w words
		c := greet(t, &http2.Server{Handler: h, Limits: http2.Limits{Streams: 3}, Rejected: w.rejected})
		for range 3 {
			c.WriteRSTStream(c.get(":path: /stubborn"), h2.ErrCodeCancel)
		}
		c.wantReset(c.get(), h2.ErrCodeRefusedStream)
		if got := w.all(); got != "503 too-many-streams" {
			t.Errorf("got %q", got)
		}
		close(release)
		synctest.Wait()
		if a := c.answerTo(c.get()); a.body != "ok" {
			t.Errorf("got %+v", a)
		}
	})
}

// A client that costs too much is told late, and only so many connections are held for that; further ones are closed at once.
func TestHeldConnectionsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &http2.Server{Handler: byPath{}, Limits: http2.Limits{Held: 1, Linger: 400 * time.Millisecond}}
		begin := time.Now()
		told, ended := make(chan time.Duration, 2), make(chan time.Duration, 2)
		for _, c := range []*client{greet(t, s), greet(t, s)} {
			go func() {
				for c.WritePing(false, [8]byte{}) == nil { // until it is closed
				}
			}()
			go func() {
				c.wantGoAway(h2.ErrCodeEnhanceYourCalm)
				told <- time.Since(begin)
				c.wantEnd()
				ended <- time.Since(begin)
			}()
		}
		got := [4]time.Duration{<-told, <-told, <-ended, <-ended}
		if want := [4]time.Duration{0, time.Second, 100 * time.Millisecond, 1100 * time.Millisecond}; got != want {
			t.Errorf("told and ended after %v, want %v", got, want)
		}
	})
}

// What begins must end, and a connection must be used.
func TestSlowClients(t *testing.T) {
	settings := []byte(h2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	frame := func(length uint32, kind h2.FrameType, flags h2.Flags, payload string) []byte {
		p := binary.BigEndian.AppendUint32(nil, length)
		return append(append(p[1:], byte(kind), byte(flags), 0, 0, 0, 1), payload...)
	}
	get := "\x82\x86\x84\x01\x01a" // GET http / with :authority a
	for name, row := range map[string]struct {
		octets []byte
		drip   bool // the last octet again and again, every 5 s
		after  time.Duration
		code   h2.ErrCode
		word   string
	}{
		"nothing":          {nil, false, 10 * time.Second, h2.ErrCodeNo, ""},
		"half a preface":   {settings[:10], false, 10 * time.Second, h2.ErrCodeEnhanceYourCalm, "slow-frame"},
		"no settings":      {settings[:30], false, 10 * time.Second, h2.ErrCodeEnhanceYourCalm, "slow-frame"},
		"no request":       {settings, false, 75 * time.Second, h2.ErrCodeNo, ""},
		"half a head":      {append(slices.Clip(settings), frame(10, h2.FrameHeaders, 5, get)...), false, 10 * time.Second, h2.ErrCodeEnhanceYourCalm, "slow-frame"},
		"no continuation":  {append(slices.Clip(settings), frame(6, h2.FrameHeaders, 1, get)...), false, 10 * time.Second, h2.ErrCodeEnhanceYourCalm, "slow-frame"},
		"dripping":         {append(slices.Clip(settings), frame(10000, h2.FrameHeaders, 5, get)...), true, 10 * time.Second, h2.ErrCodeEnhanceYourCalm, "slow-frame"},
		"half a DATA":      {append(append(slices.Clip(settings), frame(6, h2.FrameHeaders, 4, get)...), frame(10000, h2.FrameData, 0, "x")...), true, 60 * time.Second, h2.ErrCodeEnhanceYourCalm, "slow-frame"},
		"idle after a hit": {append(slices.Clip(settings), frame(6, h2.FrameHeaders, 5, get)...), false, 75 * time.Second, h2.ErrCodeNo, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w words
				h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.ContentLength != 0 {
						<-r.Context().Done()
					}
				})
				begin := time.Now()
				c := connect(t, &http2.Server{Handler: h, Abused: w.abused})
				c.nc.Write(row.octets)
				var dripping sync.WaitGroup
				if row.drip {
					dripping.Go(func() {
						for err := error(nil); err == nil; _, err = c.nc.Write([]byte("a")) {
							<-time.After(5 * time.Second)
						}
					})
				}
				c.wantGoAway(row.code)
				if got := time.Since(begin); got < row.after || got > row.after+5*time.Second {
					t.Errorf("it took %v, want %v", got, row.after)
				}
				if w.all() != row.word {
					t.Errorf("the word is %q, want %q", w.all(), row.word)
				}
				c.wantEnd()
				dripping.Wait()
			})
		})
	}
}

// The first block that is far larger than any that is served ends the connection, wherever in it that shows, and whether it is
// the size of the fields or their number.
func TestBombEndsAtOnce(t *testing.T) {
	long := "x-bomb: " + strings.Repeat("x", 3900)
	for name, block := range map[string]func(c *client) []byte{
		"large fields": func(c *client) []byte {
			c.answerTo(c.get(long))
			return append(bytes.Clone(c.encode(long)), bytes.Repeat([]byte{0x80 | 62}, 10_000)...)
		},
		"small fields": func(*client) []byte { return bytes.Repeat([]byte{0x82}, 16_000) },
		"trailers": func(c *client) []byte {
			c.next -= 2
			return bytes.Repeat([]byte{0x82}, 16_000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w words
				c := greet(t, &http2.Server{Handler: byPath{"/": func(http.ResponseWriter, *http.Request) {}, "/wait": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, Abused: w.abused})
				if name == "trailers" {
					c.request(false, ":method: POST", ":path: /wait")
				}
				// The last octets are no field at all: whoever decodes them says so.
				c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: append(block(c), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), EndHeaders: true, EndStream: true})
				c.wantGoAway(h2.ErrCodeEnhanceYourCalm)
				c.wantEnd()
				if w.all() != "header-bomb" {
					t.Errorf("the words are %q", w.all())
				}
			})
		})
	}
}

// A block that is decoded to more than the limit is never held, and leaves the table as the client thinks it is.
func TestBombCostsNothing(t *testing.T) {
	c := greet(t, &http2.Server{Handler: byPath{"/": func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.Header.Get("X-Last"))) }}})
	var before, after runtime.MemStats
	c.get("x-bomb: " + strings.Repeat("x", 3000))
	c.answerTo(1)
	block := append(bytes.Clone(c.encode("x-bomb: "+strings.Repeat("x", 3000))), bytes.Repeat([]byte{0x80 | 62}, 80)...)
	runtime.ReadMemStats(&before)
	for range 20 {
		c.WriteHeaders(h2.HeadersFrameParam{StreamID: c.next, BlockFragment: block, EndHeaders: true, EndStream: true})
		if a := c.answerTo(c.next); len(a.heads) != 1 || !strings.HasPrefix(a.heads[0], ":status: 431") {
			t.Fatalf("got %+v", a)
		}
		c.next += 2
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d octets were allocated", n)
	}
	if a := c.answerTo(c.get("x-last: 1")); a.body != "1" {
		t.Errorf("got %+v", a)
	}
	if a := c.answerTo(c.get("x-last: 1")); a.body != "1" {
		t.Errorf("got %+v", a)
	}
}

// A client that asks for much and takes nothing is not kept.
func TestManyStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w words
		l := new(testLane)
		c := greet(t, &http2.Server{Handler: byPath{}, Lane: l, Abused: w.abused}, window(0))
		begin := time.Now()
		for range 128 {
			c.get(":path: /hit/1000")
		}
		c.wantGoAway(h2.ErrCodeEnhanceYourCalm)
		if took := time.Since(begin); took < time.Minute || took > 75*time.Second || w.all() != "stalls" {
			t.Errorf("it took %v; the words are %q", took, w.all())
		}
		c.wantEnd()
		if len(l.reports()) != 128 {
			t.Errorf("the lane was told %d times", len(l.reports()))
		}
	})
}

// Who has given up much long ago has a new budget, and who uses what was asked for has a larger one.
func TestResetsAreCountedOverAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greet(t, &http2.Server{Handler: byPath{"/wait": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, Lane: new(testLane)})
		cancel := func(n int) {
			for range n {
				c.WriteRSTStream(c.get(":path: /wait"), h2.ErrCodeCancel)
				synctest.Wait() // the handler has returned
			}
			c.ping()
		}
		cancel(100)
		<-time.After(time.Minute)
		for range 200 {
			c.answerTo(c.get(":path: /hit/10"))
		}
		cancel(200)
	})
}

// What is reset in the same breath never begins, and takes no slot; what stands beside it does begin.
func TestResetInTheSameBreath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var began []string
		c := greet(t, &http2.Server{Handler: byPath{"/": func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			began = append(began, r.URL.RawQuery)
		}}, Limits: http2.Limits{Streams: 4}})
		var breath bytes.Buffer
		frames := h2.NewFramer(&breath, nil)
		for i := range uint32(20) {
			id := c.next + 2*i
			query := "gone"
			if i == 7 {
				query = "stays"
			}
			frames.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.encode(":path: /?" + query), EndHeaders: true, EndStream: true})
			if i != 7 {
				frames.WriteRSTStream(id, h2.ErrCodeCancel)
			}
		}
		c.nc.Write(breath.Bytes())
		if a := c.answerTo(c.next + 14); len(a.heads) != 1 {
			t.Errorf("got %+v", a)
		}
		if mu.Lock(); len(began) != 1 || began[0] != "stays" {
			t.Errorf("these have begun: %q", began)
		}
		mu.Unlock()
	})
}

// Where very many requests are under way, each connection may have a few.
func TestFewStreamsOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &http2.Server{Handler: byPath{}, Lane: new(testLane)}
		s.Occupy(1 << 16)
		c := greet(t, s, window(0))
		for range 16 {
			c.get(":path: /hit/1000")
		}
		if a := c.answerTo(c.get(":path: /hit/1000")); !a.reset || a.code != h2.ErrCodeRefusedStream {
			t.Errorf("got %+v, want a refusal", a)
		}
		for range 1000 { // the client cannot know the limit, and is not sent away for it
			c.get(":path: /hit/1000")
		}
		s.Occupy(-1 << 16)
		if a := c.answerTo(c.get(":path: /hit/0")); a.reset {
			t.Errorf("got %+v", a)
		}
	})
}
