package http2_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	h2 "golang.org/x/net/http2"
	"pgregory.net/rapid"

	"nearcast/internal/web/http2"
)

// model is what a client knows of its windows.
type model struct {
	c       *client
	initial int64
	conn    int64
	streams map[uint32]*modelStream
	acks    []int64 // initial windows that the server has not acknowledged
}

type modelStream struct {
	size   int
	window int64
	got    []byte
	ended  bool
}

// take takes a frame, and fails unless the server was allowed to send it.
func (m *model) take(t *rapid.T, g got) {
	switch {
	case g.Type == h2.FrameSettings && g.Flags.Has(h2.FlagSettingsAck):
		for _, st := range m.streams {
			st.window += m.acks[0] - m.initial
		}
		m.initial = m.acks[0]
		m.acks = m.acks[1:]
	case g.Type == h2.FrameHeaders:
		m.streams[g.StreamID].ended = g.ended()
	case g.Type == h2.FrameData:
		st := m.streams[g.StreamID]
		m.conn -= int64(g.Length)
		st.window -= int64(g.Length)
		if g.Length > 0 && (m.conn < 0 || st.window < 0 && len(m.acks) == 0) || st.ended {
			t.Fatalf("got %v with windows of %d and %d left", g, st.window, m.conn)
		}
		st.got = append(st.got, g.data...)
		st.ended = g.ended()
	case g.Type == h2.FrameRSTStream || g.Type == h2.FrameGoAway:
		t.Fatalf("got %v", g)
	}
}

// drain takes what has come so far.
func (m *model) drain(t *rapid.T) {
	m.c.WritePing(false, [8]byte{})
	for {
		g, ok := <-m.c.frames
		if !ok {
			t.Fatal("the connection has ended")
		}
		m.take(t, g)
		if g.Type == h2.FramePing {
			return
		}
	}
}

func (m *model) resize(n int64) {
	m.acks = append(m.acks, n)
	m.c.WriteSettings(window(uint32(n)))
}

// Whatever a client does with windows and priorities, never is more sent than they allow, and all arrives once they do.
func TestWindowsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := greet(t, &http2.Server{Handler: unreachable(t), Lane: new(testLane)})
		defer c.close()
		m := &model{c: c, initial: 65535, conn: 65535, streams: map[uint32]*modelStream{}}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				st := &modelStream{size: rapid.IntRange(0, 100_000).Draw(rt, "size"), window: m.initial}
				priority := fmt.Sprintf("priority: u=%d%s", rapid.IntRange(0, 7).Draw(rt, "urgency"), rapid.SampledFrom([]string{"", ", i"}).Draw(rt, "incremental"))
				m.drain(rt)
				st.window = m.initial
				m.streams[c.next] = st
				c.get(fmt.Sprint(":path: /hit/", st.size), priority)
			case 1:
				n := rapid.Int64Range(1, 50_000).Draw(rt, "conn")
				m.conn += n
				c.WriteWindowUpdate(0, uint32(n))
			case 2:
				for _, id := range slices.Sorted(maps.Keys(m.streams)) {
					n := rapid.Int64Range(1, 50_000).Draw(rt, "stream")
					m.streams[id].window += n
					c.WriteWindowUpdate(id, uint32(n))
				}
			case 3:
				m.resize(rapid.Int64Range(0, 100_000).Draw(rt, "initial"))
			case 4:
				for _, id := range slices.Sorted(maps.Keys(m.streams)) {
					c.WritePriorityUpdate(id, fmt.Sprintf("u=%d", rapid.IntRange(0, 7).Draw(rt, "update")))
				}
			}
			m.drain(rt)
		}
		m.conn += 1 << 30
		c.WriteWindowUpdate(0, 1<<30)
		m.resize(1 << 29)
		for id, st := range m.streams {
			for !st.ended {
				m.take(rt, <-c.frames)
			}
			if string(st.got) != content(st.size) {
				rt.Errorf("stream %d: got %d octets of %d", id, len(st.got), st.size)
			}
		}
	})
}
