package http2_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"nearcast/edge/hit"
	"nearcast/edge/http2"
)

// TestIdleConnectionKeepsNoRequest: a connection that waits does not hold the fields of the request before, which may have been as
// large as can be.
func TestIdleConnectionKeepsNoRequest(t *testing.T) {
	const conns, size = 30, 7 << 10 // of a field, of which there are eight
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what was in a pool is gone with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for name, s := range map[string]*http2.Server{
		"general": {Handler: handler}, "lane": {Handler: handler, Lane: &steady{block: hit.NewBlock(200, nil), content: []byte("ok")}},
	} {
		held := func(length int) int64 {
			before := heap()
			var all []*client
			for range conns {
				c := connectDeaf(t, s, 64).hello()
				lines := []string{}
				for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
					lines = append(lines, name+": "+strings.Repeat("x", length))
				}
				writeBlock(c, c.next, true, slices.Clone(c.encode(lines...)))
				c.answerTo(c.next)
				c.block = bytes.Buffer{}
				all = append(all, c)
			}
			n := heap() - before
			for _, c := range all {
				c.close()
			}
			return n
		}
		small := held(10)
		if more := (held(size) - small) / conns; more > 140<<10 { // buffers for frames of both ends are some 110 KB of it
			t.Errorf("%s: an idle connection holds %d octets more after large requests", name, more)
		}
	}
}
