package http2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"nearcast/internal/web/http2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen before it gives up. In a bubble it costs nothing.
const patience = 10 * time.Minute

// got is a frame that the server has sent.
type got struct {
	h2.FrameHeader

	fields   string // of HEADERS, "name: value" lines without the date
	data     string // of DATA and PING
	code     h2.ErrCode
	last     uint32 // of GOAWAY
	n        uint32 // of WINDOW_UPDATE
	settings map[h2.SettingID]uint32
}

func (g got) String() string {
	return fmt.Sprintf("%v stream=%d flags=%x %s%.60q code=%v last=%d n=%d", g.Type, g.StreamID, g.Flags, g.fields, g.data, g.code, g.last, g.n)
}

// ended reports whether the frame is the last one of its stream.
func (g got) ended() bool {
	return (g.Type == h2.FrameHeaders || g.Type == h2.FrameData) && g.Flags.Has(h2.FlagDataEndStream)
}

// client sends frames as it is told, and keeps those that the server sends.
type client struct {
	*h2.Framer

	t      *testing.T
	nc     net.Conn
	frames chan got // closed at the end of the connection
	block  bytes.Buffer
	enc    *hpack.Encoder
	served chan struct{} // closed when ServeConn has returned
	stop   context.CancelFunc
	next   uint32
}

// connect serves one connection, on which nothing has been sent yet.
func connect(t *testing.T, s *http2.Server) *client {
	t.Helper()
	return connectDeaf(t, s, 1<<16)
}

// connectDeaf is connect for a client that reads only so many frames ahead of its test.
func connectDeaf(t *testing.T, s *http2.Server, ahead int) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{t: t, nc: ours, frames: make(chan got, ahead), served: make(chan struct{}), next: 1, stop: cancel}
	c.Framer = h2.NewFramer(ours, ours)
	c.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	go c.read()
	go func() {
		defer close(c.served)
		s.ServeConn(ctx, theirs, nil)
	}()
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.nc.Close()
	c.stop()
	<-c.served
	for range c.frames { // until the reader has ended
	}
}

func (c *client) read() {
	defer close(c.frames)
	for {
		f, err := c.ReadFrame()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, io.ErrUnexpectedEOF) {
				c.t.Errorf("the server sends what cannot be read: %v", err)
			}
			return
		}
		c.frames <- newGot(f)
	}
}

func newGot(f h2.Frame) got {
	g := got{FrameHeader: f.Header()}
	switch f := f.(type) {
	case *h2.MetaHeadersFrame:
		for _, field := range f.Fields {
			if field.Name != "date" {
				g.fields += field.Name + ": " + field.Value + "\n"
			}
		}
	case *h2.DataFrame:
		g.data = string(f.Data())
	case *h2.PingFrame:
		g.data = string(f.Data[:])
	case *h2.RSTStreamFrame:
		g.code = f.ErrCode
	case *h2.GoAwayFrame:
		g.code, g.last = f.ErrCode, f.LastStreamID
	case *h2.WindowUpdateFrame:
		g.n = f.Increment
	case *h2.SettingsFrame:
		g.settings = map[h2.SettingID]uint32{}
		f.ForeachSetting(func(s h2.Setting) error {
			g.settings[s.ID] = s.Val
			return nil
		})
	}
	return g
}

// hello sends the preface and settings.
func (c *client) hello(settings ...h2.Setting) *client {
	io.WriteString(c.nc, h2.ClientPreface)
	c.WriteSettings(settings...)
	return c
}

// greet serves one connection and shakes hands on it.
func greet(t *testing.T, s *http2.Server, settings ...h2.Setting) *client {
	t.Helper()
	c := connect(t, s).hello(settings...)
	for g := range c.frames {
		if g.Type == h2.FrameSettings && g.Flags.Has(h2.FlagSettingsAck) {
			return c
		}
	}
	t.Fatal("the server has not acknowledged our settings")
	return nil
}

// encode encodes "name: value" lines behind those pseudo-header fields of a GET that are not among them; "-:name" leaves
// one out.
func (c *client) encode(lines ...string) []byte {
	var all []string
	for _, f := range [...]string{":method: GET", ":scheme: http", ":authority: a.example", ":path: /"} {
		name := f[:strings.Index(f[1:], ":")+1]
		given := false
		for _, l := range lines {
			given = given || strings.HasPrefix(l, name+":") || l == "-"+name
		}
		if !given {
			all = append(all, f)
		}
	}
	return c.raw(append(all, lines...)...)
}

// raw encodes lines and nothing else.
func (c *client) raw(lines ...string) []byte {
	c.block.Reset()
	for _, l := range lines {
		if strings.HasPrefix(l, "-:") {
			continue
		}
		i := strings.Index(l[1:], ":") + 1
		c.enc.WriteField(hpack.HeaderField{Name: l[:i], Value: strings.TrimPrefix(l[i+1:], " ")})
	}
	return c.block.Bytes()
}

// request sends a head on the next stream.
func (c *client) request(ended bool, lines ...string) (id uint32) {
	id = c.next
	c.next += 2
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.encode(lines...), EndHeaders: true, EndStream: ended})
	return id
}

func (c *client) get(lines ...string) (id uint32) { return c.request(true, lines...) }

// receive returns the next frame, but for settings and windows of the connection.
func (c *client) receive() (got, bool) {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case g, ok := <-c.frames:
			if ok && g.StreamID == 0 && (g.Type == h2.FrameWindowUpdate || g.Type == h2.FrameSettings) {
				continue
			}
			return g, ok
		case <-timer.C:
			c.t.Fatal("nothing has come")
		}
	}
}

// answer is what has come on a stream.
type answer struct {
	heads []string
	body  string
	reset bool
	code  h2.ErrCode // of RST_STREAM
}

// answerTo receives until a stream is over, and drops what is for others.
func (c *client) answerTo(id uint32) (a answer) {
	c.t.Helper()
	for {
		g, ok := c.receive()
		if !ok {
			c.t.Fatalf("the connection has ended; so far: %+v", a)
		}
		if g.Type == h2.FrameGoAway && g.code != h2.ErrCodeNo {
			c.t.Fatalf("got %v; so far: %+v", g, a)
		}
		if g.StreamID != id {
			continue
		}
		switch g.Type {
		case h2.FrameHeaders:
			a.heads = append(a.heads, g.fields)
		case h2.FrameData:
			a.body += g.data
		case h2.FrameRSTStream:
			a.reset, a.code = true, g.code
			return a
		default:
		}
		if g.ended() {
			return a
		}
	}
}

// wantReset fails the test unless a stream is reset with this code, and the connection goes on.
func (c *client) wantReset(id uint32, code h2.ErrCode) {
	c.t.Helper()
	if a := c.answerTo(id); !a.reset || a.code != code || len(a.heads) > 0 {
		c.t.Fatalf("got %+v, want RST_STREAM with %v", a, code)
	}
	c.ping()
}

// ping fails the test unless the server answers.
func (c *client) ping() {
	c.t.Helper()
	c.WritePing(false, [8]byte{1, 2, 3})
	for {
		g, ok := c.receive()
		if !ok || g.Type == h2.FrameGoAway {
			c.t.Fatalf("got %v, want an answer to PING", g)
		}
		if g.Type == h2.FramePing && g.Flags.Has(h2.FlagPingAck) {
			return
		}
	}
}

// wantGoAway fails the test unless the next GOAWAY has this code.
func (c *client) wantGoAway(code h2.ErrCode) got {
	c.t.Helper()
	for {
		g, ok := c.receive()
		if !ok {
			c.t.Fatalf("the connection has ended without GOAWAY %v", code)
		}
		if g.Type != h2.FrameGoAway {
			continue
		}
		if g.code != code {
			c.t.Fatalf("got %v, want %v", g, code)
		}
		return g
	}
}

// wantEnd waits until the server has ended the connection and returned.
func (c *client) wantEnd() {
	c.t.Helper()
	for range c.frames { // whatever comes before the end
	}
	<-c.served
}

// words collects the words of Rejected and Abused.
type words struct {
	mu   sync.Mutex // guards list
	list []string
}

func (w *words) rejected(_ net.Addr, status int, reason string) {
	w.add(fmt.Sprint(status, " ", reason))
}

func (w *words) abused(_ net.Addr, reason string) { w.add(reason) }

func (w *words) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, s)
}

func (w *words) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.list, ", ")
}

// byPath is a handler for each path; others get 200 and "ok".
type byPath map[string]http.HandlerFunc

func (h byPath) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := h[r.URL.Path]; f != nil {
		f(w, r)
		return
	}
	io.WriteString(w, "ok")
}
