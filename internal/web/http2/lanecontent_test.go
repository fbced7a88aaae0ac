package http2_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
	"nearcast/internal/web/lane"
)

// contents answers with the content of the request, in the lane.
type contents struct{}

func (contents) Take(_ *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	a.Status, a.Block = 200, lane.NewBlock(200, []lane.Field{{Name: "X-By", Value: "lane"}})
	a.Content = append(a.Content, fmt.Append(nil, r.Method, " ", string(r.Content)))
	a.Length = int64(len(a.Content[0]))
	return r.Target != "/left"
}

func (contents) Sent(*lane.Peer, *lane.Request, *lane.Answer, lane.End) {}

// TestLaneContent: what came at once with its head is the lane's, all else the handler's, and nobody gets another answer for that.
func TestLaneContent(t *testing.T) {
	data := func(flags h2.Flags, p string) []byte { return frameOf(h2.FrameData, flags, 1, p) }
	end := h2.FlagDataEndStream
	for name, test := range map[string]struct {
		path   string
		fields []string
		frames [][]byte // of stream 1
		want   string   // the body, "" for a reset
		lane   bool
	}{
		"small":            {frames: [][]byte{data(end, "abc")}, want: "POST abc", lane: true},
		"its length said":  {fields: []string{"content-length: 3"}, frames: [][]byte{data(end, "abc")}, want: "POST abc", lane: true},
		"empty":            {frames: [][]byte{data(end, "")}, want: "POST ", lane: true},
		"largest":          {frames: [][]byte{data(end, strings.Repeat("x", 100))}, want: "POST " + strings.Repeat("x", 100), lane: true},
		"larger":           {frames: [][]byte{data(end, strings.Repeat("x", 101))}, want: "POST " + strings.Repeat("x", 101)},
		"two frames":       {frames: [][]byte{data(0, "ab"), data(end, "c")}, want: "POST abc"},
		"padded":           {frames: [][]byte{data(end|h2.FlagDataPadded, "\x02abc\x00\x00")}, want: "POST abc"},
		"left":             {path: "/left", frames: [][]byte{data(end, "abc")}, want: "POST abc"},
		"length too small": {fields: []string{"content-length: 2"}, frames: [][]byte{data(end, "abc")}},
		"length too large": {fields: []string{"content-length: 4"}, frames: [][]byte{data(end, "abc")}},
		"expecting":        {fields: []string{"expect: 100-continue"}, frames: [][]byte{data(end, "abc")}, want: "POST abc"},
		"trailer said":     {fields: []string{"trailer: 3"}, frames: [][]byte{data(end, "abc")}, want: "POST abc"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("X-By", "handler")
				fmt.Fprint(w, r.Method, " ", string(b))
			})
			c := greet(t, &http2.Server{Handler: h, Lane: contents{}, LaneContent: 100})
			path := test.path
			if path == "" {
				path = "/"
			}
			block := c.encode(append([]string{":method: POST", ":path: " + path}, test.fields...)...)
			out := frameOf(h2.FrameHeaders, h2.FlagHeadersEndHeaders, 1, string(block))
			c.nc.Write(slices.Concat(append([][]byte{out}, test.frames...)...))
			a := c.answerTo(1)
			if test.want == "" {
				if !a.reset || a.code != h2.ErrCodeProtocol {
					t.Fatalf("%+v, want a reset", a)
				}
				return
			}
			by := map[bool]string{true: "lane", false: "handler"}[test.lane]
			if a.body != test.want || !strings.Contains(fmt.Sprint(a.heads), "x-by: "+by) {
				t.Errorf("%+v, want %q by the %s", a, test.want, by)
			}
			c.ping() // all that came has been understood
		})
	}
}

// TestLaneContentWindow: the window that contents take is given back, however many come.
func TestLaneContentWindow(t *testing.T) {
	c := greet(t, &http2.Server{Handler: unreachable(t), Lane: contents{}, LaneContent: 1000}, largeWindows())
	c.WriteWindowUpdate(0, 1<<30)
	p := strings.Repeat("x", 1000)
	for i := range 1500 { // more than the window of a connection
		id := uint32(2*i + 1)
		block := c.encode(":method: POST")
		c.nc.Write(slices.Concat(frameOf(h2.FrameHeaders, h2.FlagHeadersEndHeaders, id, string(block)), frameOf(h2.FrameData, h2.FlagDataEndStream, id, p)))
		if a := c.answerTo(id); a.reset || a.body == "" {
			t.Fatalf("request %d: %+v", i, a)
		}
	}
}

// frameOf is a frame as it is sent.
func frameOf(kind h2.FrameType, flags h2.Flags, id uint32, p string) []byte {
	var b bytes.Buffer
	if err := h2.NewFramer(&b, nil).WriteRawFrame(kind, flags, id, []byte(p)); err != nil {
		panic(err)
	}
	return b.Bytes()
}
