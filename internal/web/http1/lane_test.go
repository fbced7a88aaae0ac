package http1_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/web/http1"
	"nearcast/internal/web/lane"
)

// stored is a lane that answers what begins with "/hit" with a body; sent, if it is not nil, is told of each answer.
type stored struct {
	block *lane.Block
	name  lane.Name
	body  []byte
	sent  func(lane.End)
}

func newStored(body []byte) *stored {
	return &stored{block: lane.NewBlock(http.StatusOK, nil), name: lane.NewName("Content-Length"), body: body}
}

func (s *stored) Take(_ *lane.Peer, r *lane.Request, a *lane.Answer) bool {
	if !strings.HasPrefix(r.Target, "/hit") {
		return false
	}
	a.Status, a.Block = http.StatusOK, s.block
	a.AddInt(&s.name, "", int64(len(s.body)), "")
	a.Content, a.Length = append(a.Content, s.body), int64(len(s.body))
	return true
}

func (s *stored) Sent(_ *lane.Peer, _ *lane.Request, _ *lane.Answer, end lane.End) {
	if s.sent != nil {
		s.sent(end)
	}
}

const getHit = "GET /hit HTTP/1.1\r\nHost: x\r\n\r\n"

// The deadline that a handler has set is for its own answer, not for the hits that follow on the connection.
func TestHandlersDeadlineEndsWithItsAnswer(t *testing.T) {
	deadline := byPath{"/c": func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Second))
	}}
	inBubble(t, &http1.Server{Handler: deadline, Lane: newStored([]byte("stored"))}, func(c *client) {
		c.SetDeadline(time.Time{})
		c.send(get(""))
		c.want(200, "")
		<-time.After(20 * time.Second)
		c.send(getHit)
		c.want(200, "stored")
	})
}

// A client that takes a hit slowly but steadily is given as long as one of a handler.
func TestSlowReaderOfAHit(t *testing.T) {
	body := []byte(strings.Repeat("x", 1<<20))
	inBubble(t, &http1.Server{Handler: byPath{}, Lane: newStored(body), Limits: http1.Limits{Stall: time.Minute}}, func(c *client) {
		c.SetDeadline(time.Time{})
		c.send(getHit)
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, p := 0, make([]byte, 128<<10)
		for got < len(body) { // 128 KiB in 20 s, which is 160 s for all of it
			<-time.After(20 * time.Second)
			n, err := io.ReadFull(resp.Body, p)
			if got += n; err != nil {
				t.Fatalf("cut off after %d of %d octets: %v", got, len(body), err)
			}
		}
	})
}

// What was answered is sent, even if the server is told to stop while the answer waits for the next one's company.
func TestStopWhileAnAnswerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		st := newStored([]byte("stored"))
		st.sent = func(lane.End) {
			cancel()
			<-time.After(time.Second) // of the bubble: the connection has seen it by then
		}
		ours, theirs := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			(&http1.Server{Handler: byPath{}, Lane: st}).ServeConn(ctx, theirs, nil)
		}()
		go io.WriteString(ours, getHit+getHit)
		all, _ := io.ReadAll(ours)
		ours.Close()
		<-served
		if n := strings.Count(string(all), "HTTP/1.1 200 OK"); n != 1 {
			t.Errorf("%d answers came, want the one that the lane was told was sent: %q", n, all)
		}
	})
}
