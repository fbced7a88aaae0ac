package edge_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"nearcast/cdn"
	"nearcast/edge"
)

// rawH2 is a client of HTTP/2 that sends what it is told.
type rawH2 struct {
	*h2.Framer

	nc    *tls.Conn
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
	over  bool // the server has said that it is
}

// dialH2 connects, and gives the server all windows that there are.
func dialH2(t testing.TB, addr, name string) *rawH2 {
	t.Helper()
	nc, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &rawH2{Framer: h2.NewFramer(nc, nc), nc: nc, next: 1}
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.enc = hpack.NewEncoder(&c.block)
	nc.Write([]byte(h2.ClientPreface))
	c.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 30})
	c.WriteWindowUpdate(0, 1<<30)
	return c
}

// send sends a request, with content if it has some, and returns the number of its stream.
func (c *rawH2) send(fields [][2]string, content ...string) uint32 {
	c.block.Reset()
	for _, f := range fields {
		c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	id := c.next
	c.next += 2
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: len(content) == 0})
	for i, p := range content {
		c.WriteData(id, i == len(content)-1, []byte(p))
	}
	return id
}

// receive waits for the answers to some requests. One that was reset has no status, and says why in its body.
func (c *rawH2) receive(ids ...uint32) map[uint32]wireAnswer {
	all := map[uint32]wireAnswer{}
	left := map[uint32]bool{}
	for _, id := range ids {
		left[id] = true
	}
	for len(left) > 0 {
		f, err := c.ReadFrame()
		if err != nil {
			for id := range left {
				all[id] = wireAnswer{body: "the end of the connection"}
				if isTimeout(err) {
					all[id] = wireAnswer{body: "nothing in time"}
				}
			}
			c.over = true
			return all
		}
		id := f.Header().StreamID
		a := all[id]
		switch f := f.(type) {
		case *h2.MetaHeadersFrame:
			if a.header == nil {
				a.header = http.Header{}
			}
			for _, field := range f.Fields {
				if field.Name == ":status" {
					fmt.Sscan(field.Value, &a.status)
					continue
				}
				a.header.Add(field.Name, field.Value)
			}
			a.closed = f.StreamEnded()
		case *h2.DataFrame:
			a.body += string(f.Data())
			a.closed = f.StreamEnded()
		case *h2.RSTStreamFrame:
			if !a.closed {
				a = wireAnswer{body: "reset: " + f.ErrCode.String(), closed: true}
			}
		case *h2.GoAwayFrame:
			c.over = true
		}
		if left[id] {
			all[id] = a
		}
		if a.closed {
			delete(left, id)
		}
	}
	return all
}

// http2 is the request's fields in HTTP/2, with fields of its own in front of the others.
func (r wireRequest) http2(more ...string) [][2]string {
	fields := [][2]string{{":method", r.method}, {":scheme", "https"}, {":path", r.target}}
	if r.host != "" {
		fields = append(fields, [2]string{":authority", r.host})
	}
	for i := 0; i < len(more); i += 2 {
		fields = append(fields, [2]string{more[i], more[i+1]})
	}
	for _, f := range r.fields {
		fields = append(fields, [2]string{strings.ToLower(f[0]), f[1]})
	}
	return fields
}

// twoWays2 is [twoWays] for HTTP/2.
type twoWays2 struct {
	addr string
	c    *rawH2
}

func (w *twoWays2) ask(t testing.TB, all ...[][2]string) []wireAnswer {
	t.Helper()
	if w.c == nil || w.c.over || w.c.next > 1<<16 {
		w.close()
		w.c = dialH2(t, w.addr, domain)
	}
	w.c.nc.SetDeadline(time.Now().Add(20 * time.Second))
	var ids []uint32
	for _, fields := range all {
		ids = append(ids, w.c.send(fields))
	}
	got := w.c.receive(ids...)
	answers := make([]wireAnswer, len(ids))
	for i, id := range ids {
		if answers[i] = got[id]; answers[i].body == "nothing in time" {
			t.Fatalf("no answer to %q", all[i])
		}
		w.c.over = w.c.over || got[id].status == 0 // resets have a budget
	}
	return answers
}

func (w *twoWays2) close() {
	if w.c != nil {
		w.c.nc.Close()
	}
}

// agree asks for the same in the lane, in general, and in the lane again, on streams side by side.
func (w *twoWays2) agree(t testing.TB, r wireRequest) {
	t.Helper()
	general, lane := r.http2("cdn-loop", "other"), r.http2()
	diff := ""
	for range 3 {
		w.ask(t, general)
		got := w.ask(t, lane, general, lane)
		compare := func(i int) string {
			return cmp.Diff(got[1].comparable(), got[i].comparable(), cmp.AllowUnexported(wireAnswer{}))
		}
		if diff = compare(0) + compare(2); diff == "" {
			return
		}
	}
	t.Fatalf("%q\nthe lane's answer is another; -general +lane:\n%s", lane, diff)
}

func startTwoWays2(t testing.TB) *twoWays2 {
	t.Helper()
	r := newRig(t, oddOrigin, oddRoutes()...)
	r.clock.stop()
	s := r.start(t, "fra-1", withTLS(t, domain), func(cfg *edge.Config) { cfg.Usable = func(cdn.NodeName) bool { return false } })
	for _, name := range []string{"ams-1", "ams-2"} {
		r.start(t, name)
	}
	w := &twoWays2{addr: s.TLSAddr().String()}
	t.Cleanup(w.close)
	return w
}

// TestLaneAgreesAtRandomInHTTP2 is TestLaneAgreesAtRandom over HTTP/2.
func TestLaneAgreesAtRandomInHTTP2(t *testing.T) {
	w := startTwoWays2(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 700 {
		octets := make([]byte, 4+random.IntN(20))
		for i := range octets {
			octets[i] = byte(random.Uint32())
		}
		w.agree(t, (&choices{octets}).request())
	}
}

// FuzzLaneAgreesInHTTP2 is FuzzLaneAgrees over HTTP/2.
func FuzzLaneAgreesInHTTP2(f *testing.F) {
	w := startTwoWays2(f)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, octets []byte) { w.agree(t, (&choices{octets}).request()) })
}
