package http1_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/web/http1"
)

// In these tests time is that of a bubble, and the connection a pipe.

// inBubble serves one end of a pipe and hands the other to use.
func inBubble(t *testing.T, s *http1.Server, use func(c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := net.Pipe()
		served := make(chan struct{})
		go func() {
			s.ServeConn(ctx, theirs, nil)
			close(served)
		}()
		use(&client{ours, t, bufio.NewReader(ours)})
		ours.Close()
		<-served
		cancel()
	})
}

// took fails the test unless the time since start is d.
func took(t *testing.T, start time.Time, d time.Duration) {
	t.Helper()
	if got := time.Since(start); got != d {
		t.Errorf("it took %v, want %v", got, d)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	inBubble(t, &http1.Server{Handler: byPath{}}, func(c *client) {
		start := time.Now()
		if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
			c.t.Errorf("got %q (%v), want nothing", rest, err)
		}
		took(c.t, start, 75*time.Second)
	})
}

func TestConnectionThatWasUsedIsClosedWhenIdle(t *testing.T) {
	inBubble(t, &http1.Server{Handler: byPath{}}, func(c *client) {
		<-time.After(74 * time.Second) // of the bubble
		c.send(marker)
		c.want(200, "")
		start := time.Now()
		c.wantEnd()
		took(c.t, start, 75*time.Second)
	})
}

func TestSlowHeadIsRefused(t *testing.T) {
	var rejected seen
	srv := &http1.Server{Handler: byPath{}, Rejected: func(_ net.Addr, status int, reason string) { rejected.add("%d %s", status, reason) }}
	inBubble(t, srv, func(c *client) {
		<-time.After(time.Minute) // it is not the wait before that counts
		start := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"); err == nil; _, err = io.WriteString(c, "X: 1\r\n") {
				<-time.After(time.Second)
			}
		}()
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil || resp.StatusCode != http.StatusRequestTimeout {
			c.t.Fatalf("got %v (%v), want 408", resp, err)
		}
		took(c.t, start, 10*time.Second)
		c.Close()
		<-ended
		if got := strings.Join(rejected.all(), ","); got != "408 head-timeout" {
			c.t.Errorf("Rejected was told %q", got)
		}
	})
}

func TestStalledBody(t *testing.T) {
	var got error
	srv := &http1.Server{Handler: byPath{"/c": func(_ http.ResponseWriter, r *http.Request) { _, got = io.ReadAll(r.Body) }}}
	inBubble(t, srv, func(c *client) {
		start := time.Now()
		c.send(post("Content-Length: 900000\r\n") + "a")
		for range 3 { // slow, not stalled
			<-time.After(59 * time.Second)
			c.send(strings.Repeat("a", 30000))
		}
		if resp, err := http.ReadResponse(c.r, nil); err != nil || !resp.Close {
			c.t.Fatalf("got %v (%v), want the end of the connection", resp, err)
		}
		took(c.t, start, (3*59+60)*time.Second)
		if !errors.Is(got, os.ErrDeadlineExceeded) {
			c.t.Errorf("the handler got %v", got)
		}
	})
}

// TestTrickledBody: whoever sends an octet now and then is slower than the minimum rate.
func TestTrickledBody(t *testing.T) {
	var got error
	srv := &http1.Server{Handler: byPath{"/c": func(_ http.ResponseWriter, r *http.Request) { _, got = io.ReadAll(r.Body) }}}
	inBubble(t, srv, func(c *client) {
		start := time.Now()
		c.send(post("Content-Length: 900000\r\n") + "a")
		go func() {
			for range 120 {
				<-time.After(time.Second)
				c.send("a")
			}
		}()
		if resp, err := http.ReadResponse(c.r, nil); err != nil || !resp.Close {
			c.t.Fatalf("got %v (%v), want the end of the connection", resp, err)
		}
		if took := time.Since(start); took < 59*time.Second || took > 62*time.Second {
			c.t.Errorf("it took %v, want about a minute", took)
		}
		if !errors.Is(got, os.ErrDeadlineExceeded) {
			c.t.Errorf("the handler got %v", got)
		}
		<-time.After(2 * time.Minute)
	})
}

func TestStalledReader(t *testing.T) {
	var stalled time.Duration
	srv := &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		_, err := w.Write(make([]byte, large))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the handler got %v", err)
		}
		<-r.Context().Done()
		stalled = time.Since(start)
	}}}
	inBubble(t, srv, func(c *client) {
		c.send(get(""))
		<-time.After(2 * time.Hour)
	})
	if stalled != time.Minute {
		t.Errorf("the handler was held for %v, want a minute", stalled)
	}
}

func TestWriteDeadlineOfTheHandler(t *testing.T) {
	var stalled time.Duration
	srv := &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, _ *http.Request) {
		start := time.Now()
		http.NewResponseController(w).SetWriteDeadline(start.Add(time.Hour))
		w.Write(make([]byte, large))
		stalled = time.Since(start)
	}}}
	inBubble(t, srv, func(c *client) {
		c.send(get(""))
		<-time.After(2 * time.Hour)
	})
	if stalled != time.Hour {
		t.Errorf("the handler was held for %v, want an hour", stalled)
	}
}

// A read deadline that passes after the body is of no interest to anybody.
func TestReadDeadlineAfterTheBody(t *testing.T) {
	srv := &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
		select {
		case <-r.Context().Done():
			t.Error("the context ended")
		case <-time.After(time.Minute):
		}
	}}}
	inBubble(t, srv, func(c *client) {
		for range 2 {
			c.send(get(""))
			c.want(200, "")
		}
	})
}

func TestSmallerLimits(t *testing.T) {
	limits := http1.Limits{RequestLine: 50, Target: 20, HeaderBytes: 200, Fields: 5, ChunkExtension: 4, TrailerBytes: 20, Unread: 10}
	for _, row := range []struct {
		name, raw string
		status    int
	}{
		{"target that fits", line("GET /2345678901234567890 HTTP/1.1"), 200},
		{"target too long", line("GET /23456789012345678901 HTTP/1.1"), 414},
		{"line that fits", line("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL / HTTP/1.1"[2:]), 200},
		{"line too long", line("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL / HTTP/1.1"), 414},
		{"fields that fit", get(strings.Repeat("X:\r\n", 4)), 200},
		{"too many fields", get(strings.Repeat("X:\r\n", 5)), 431},
		{"head that fits", get("X: " + strings.Repeat("a", 200-33) + "\r\n"), 200},
		{"head too large", get("X: " + strings.Repeat("a", 201-33) + "\r\n"), 431},
		{"extension that fits", post(inChunks) + "1;abc\r\na\r\n0\r\n\r\n", 200},
		{"extension too long", post(inChunks) + "1;abcd\r\na\r\n0\r\n\r\n", 400},
		{"trailer that fits", post(inChunks) + "0\r\nX: 0123456789012\r\n\r\n", 200},
		{"trailer too large", post(inChunks) + "0\r\nX: 01234567890123\r\n\r\n", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			var handled seen
			c := dial(t, start(t, &http1.Server{Handler: &handled, Limits: limits}))
			c.send(row.raw)
			if a := c.receive(http.MethodGet); a.StatusCode != row.status {
				t.Errorf("got %d %q, want %d", a.StatusCode, a.body, row.status)
			}
		})
	}
}
