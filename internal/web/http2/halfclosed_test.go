package http2_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
)

// A client that is told at once that nobody reads its content may take that for a failure: curl 7.88 loses the answer. What is on its way
// gets the time to arrive.
func TestAnswerBeforeContent(t *testing.T) {
	for name, test := range map[string]struct {
		send func(c *client, id uint32)
		want h2.ErrCode
		at   time.Duration // when RST_STREAM comes; below zero if none does
	}{
		"the rest comes":              {func(c *client, id uint32) { c.WriteData(id, true, []byte("x=y")) }, 0, -1},
		"the rest comes in parts":     {func(c *client, id uint32) { c.WriteData(id, false, []byte("x=")); c.WriteData(id, true, nil) }, 0, -1},
		"trailers come":               {func(c *client, id uint32) { c.trailers(id, true, "x: y") }, 0, -1},
		"the client gives up":         {func(c *client, id uint32) { c.WriteRSTStream(id, h2.ErrCodeCancel) }, 0, -1},
		"nothing comes":               {func(*client, uint32) {}, h2.ErrCodeNo, 500 * time.Millisecond},
		"it does not end":             {func(c *client, id uint32) { c.WriteData(id, false, []byte("x")) }, h2.ErrCodeNo, 500 * time.Millisecond},
		"window of zero":              {func(c *client, id uint32) { c.WriteWindowUpdate(id, 0) }, h2.ErrCodeProtocol, 0},
		"window grows, nothing comes": {func(c *client, id uint32) { c.WriteWindowUpdate(id, 9) }, h2.ErrCodeNo, 500 * time.Millisecond},
		"trailers that are not last":  {func(c *client, id uint32) { c.trailers(id, false, "x: y") }, h2.ErrCodeProtocol, 0},
		"trailers with a path":        {func(c *client, id uint32) { c.trailers(id, true, ":path: /") }, h2.ErrCodeProtocol, 0},
		"settings, nothing comes":     {func(c *client, _ uint32) { c.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 9}) }, h2.ErrCodeNo, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				redirected := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTemporaryRedirect) }
				c := greet(t, &http2.Server{Handler: byPath{"/moved": redirected}})
				for _, path := range []string{"/", "/moved"} {
					id := c.request(false, ":method: POST", ":path: "+path)
					if a := c.answerTo(id); a.reset || len(a.heads) != 1 {
						t.Fatalf("%s: got %+v", path, a)
					}
					answered := time.Now()
					test.send(c, id)
					if test.at >= 0 {
						c.wantReset(id, test.want)
						if late := time.Since(answered); late != test.at {
							t.Errorf("%s: reset after %v, want %v", path, late, test.at)
						}
						continue
					}
					synctest.Wait()
					<-time.After(time.Second)
					c.wantNothing()
				}
			})
		})
	}
}

// An answered stream counts until both sides have ended, and no longer.
func TestAnsweredStreamsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &http2.Server{Handler: byPath{}, Limits: http2.Limits{Streams: 2}}
		c := greet(t, s)
		var ids []uint32
		for range 2 {
			ids = append(ids, c.request(false, ":method: POST"))
			c.answerTo(ids[len(ids)-1])
		}
		if n := s.UnderWay(); n != 2 {
			t.Errorf("%d requests are under way, want 2", n)
		}
		c.wantReset(c.get(), h2.ErrCodeRefusedStream)
		c.WriteData(ids[0], true, nil)
		c.ping()
		if a := c.answerTo(c.get()); a.body != "ok" {
			t.Errorf("got %+v", a)
		}
		c.wantReset(ids[1], h2.ErrCodeNo)
		if n := s.UnderWay(); n != 0 {
			t.Errorf("%d requests are under way, want none", n)
		}
	})
}

// Who gives up content of a request that has been answered has not made us work in vain: Go's client does so with each upload that is redirected.
func TestAnsweredStreamsGivenUp(t *testing.T) {
	for _, code := range []h2.ErrCode{h2.ErrCodeNo, h2.ErrCodeCancel} {
		synctest.Test(t, func(t *testing.T) {
			s := &http2.Server{Handler: byPath{}}
			c := greet(t, s)
			for n := range 300 {
				id := c.request(false, ":method: POST")
				if a := c.answerTo(id); a.reset || len(a.heads) != 1 {
					t.Fatalf("request %d: got %+v", n, a)
				}
				c.WriteRSTStream(id, code)
			}
			c.wantNothing()
			if n := s.UnderWay(); n != 0 {
				t.Errorf("%d requests are under way, want none", n)
			}
		})
	}
}

// trailers sends a second header block of a stream.
func (c *client) trailers(id uint32, ended bool, lines ...string) {
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.raw(lines...), EndHeaders: true, EndStream: ended})
}

// wantNothing fails the test if something is there.
func (c *client) wantNothing() {
	c.t.Helper()
	c.WritePing(false, [8]byte{})
	if g, ok := c.receive(); !ok || g.Type != h2.FramePing {
		c.t.Fatalf("got %v, want nothing", g)
	}
}
