package http2_test

import (
	"net/http"
	"testing"

	h2 "golang.org/x/net/http2"

	"nearcast/internal/web/http2"
	"nearcast/internal/web/lane"
)

// watching is a lane that answers, and keeps what it must not keep.
type watching struct {
	steady

	last *lane.Request
}

func (w *watching) Take(p *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	w.last = r
	return r.Target != "/general" && w.steady.Take(p, r, a)
}

// TestIdleConnectionKeepsNoRequest: a connection that waits does not hold the fields of the request before, which may have been as
// large as can be.
func TestIdleConnectionKeepsNoRequest(t *testing.T) {
	watched := &watching{steady: steady{block: lane.NewBlock(200, nil), content: []byte("ok")}}
	c := greet(t, &http2.Server{Handler: http.NotFoundHandler(), Lane: watched})
	for _, path := range []string{"/general", "/hit"} {
		c.answerTo(c.get(":path: "+path, "a: 1", "b: 2", "c: 3"))
		c.WritePing(false, [8]byte{1})
		for g := range c.frames { // the loop waits for more when it has answered
			if g.Type == h2.FramePing {
				break
			}
		}
		r := watched.last
		for _, f := range r.Fields[:cap(r.Fields)] {
			if f != (lane.Field{}) {
				t.Errorf("%s: the connection still has %v", path, f)
			}
		}
		if r.Method+r.Host+r.Target != "" {
			t.Errorf("%s: the connection still has %q %q %q", path, r.Method, r.Host, r.Target)
		}
	}
}
