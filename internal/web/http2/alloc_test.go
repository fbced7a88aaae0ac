package http2_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/racing"
	"nearcast/internal/web/http2"
	"nearcast/internal/web/lane"
)

// steady is a lane that costs nothing.
type steady struct {
	block   *lane.Block
	content []byte
	sent    atomic.Int64
}

func (l *steady) Take(_ *lane.Peer, _ *lane.Request, a *lane.Answer) bool {
	a.Block = l.block
	a.Content = append(a.Content, l.content)
	a.Length = int64(len(l.content))
	return true
}

func (l *steady) Sent(*lane.Peer, *lane.Request, *lane.Answer, lane.End) { l.sent.Add(1) }

// endless is a connection whose client asks for the same again and again, and takes everything.
type endless struct {
	script

	hello  []byte
	batch  []byte // of requests, whose streams are numbered on
	next   uint32
	left   int // batches
	wrote  int64
	writes int
	every  func() // batch
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.hello) > 0 {
		n := copy(p, e.hello)
		e.hello = e.hello[n:]
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	e.left--
	e.every()
	for at := 0; at < len(e.batch); {
		n := int(e.batch[at])<<16 | int(e.batch[at+1])<<8 | int(e.batch[at+2])
		if e.batch[at+3] == byte(h2.FrameHeaders) {
			e.batch[at+5], e.batch[at+6], e.batch[at+7], e.batch[at+8] = byte(e.next>>24), byte(e.next>>16), byte(e.next>>8), byte(e.next)
			e.next += 2
		}
		at += 9 + n
	}
	return copy(p, e.batch), nil
}

func (e *endless) Write(p []byte) (int, error) {
	e.wrote += int64(len(p))
	e.writes++
	return len(p), nil
}

func (e *endless) SetReadDeadline(time.Time) error  { return nil }
func (e *endless) SetWriteDeadline(time.Time) error { return nil }
func (e *endless) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// hits has so many batches of 16 requests answered.
func hits(size, batches int, every func()) (*endless, *steady) {
	l := &steady{
		block:   lane.NewBlock(200, []lane.Field{{Name: "Content-Type", Value: "text/html"}, {Name: "Content-Length", Value: fmt.Sprint(size)}}),
		content: []byte(content(size)),
	}
	e := &endless{next: 3, left: batches, every: every}
	lines := []string{":authority: www.example.com", ":path: /some/where", "user-agent: test", "accept: */*", "accept-encoding: gzip, br"}
	c := new(client)
	e.hello = octets(func(own *client) {
		c = own
		c.hello(largeWindows(), h2.Setting{ID: h2.SettingNoRFC7540Priorities, Val: 1})
		c.get(lines...)
	})
	c.nc.(*script).out.Reset()
	for range 16 {
		c.get(lines...)
	}
	c.WriteWindowUpdate(0, uint32(16*size))
	e.batch = bytes.Clone(c.nc.(*script).out.Bytes())
	(&http2.Server{Lane: l}).ServeConn(context.Background(), e, nil)
	return e, l
}

// TestHitAllocations pins that a hit costs no memory in the steady state, and one write for all that were asked for at once.
func TestHitAllocations(t *testing.T) {
	const batches = 200
	n := 0
	var before, after uint64
	e, l := hits(1024, batches, func() {
		switch n++; n {
		case batches / 2:
			before = mallocs()
		case batches:
			after = mallocs()
		}
	})
	if got := float64(after-before) / (batches / 2 * 16); got > 0.01 && !racing.Enabled {
		t.Errorf("%v allocations for each hit", got)
	}
	if l.sent.Load() != batches*16+1 || e.writes > batches+5 {
		t.Errorf("%d hits in %d batches were reported, in %d writes", l.sent.Load(), batches, e.writes)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 128 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			hits(size, b.N/16+1, func() {})
		})
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
