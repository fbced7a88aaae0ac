package http1_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nearcast/internal/web/http1"
)

func TestClientThatHangsUpEndsTheContext(t *testing.T) {
	for name, raw := range map[string]string{
		"no body": get(""), "length": post("Content-Length: 3\r\n") + "abc", "chunks": post(inChunks) + "3\r\nabc\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			handling, ended := make(chan struct{}), make(chan error, 1)
			h := byPath{"/c": func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				close(handling)
				<-r.Context().Done()
				ended <- r.Context().Err()
			}}
			c := dial(t, start(t, &http1.Server{Handler: h}))
			c.send(raw)
			<-handling
			c.Close()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the context ended with %v", err)
			}
		})
	}
}

// What is read ahead to notice that is not lost.
func TestPipelineWhileHandling(t *testing.T) {
	h := byPath{"/c": func(http.ResponseWriter, *http.Request) {
		<-time.After(time.Second) // of the bubble: everybody else is waiting by then
	}}
	inBubble(t, &http1.Server{Handler: h}, func(c *client) {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			c.send(get(""))
			c.send(get("") + get(""))
			c.send(marker)
		}()
		for range 4 {
			c.want(200, "")
		}
		<-sent
	})
}

func TestContextEndsWithTheHandler(t *testing.T) {
	contexts := make(chan context.Context, 1)
	c := dial(t, start(t, &http1.Server{Handler: byPath{"/c": func(_ http.ResponseWriter, r *http.Request) { contexts <- r.Context() }}}))
	c.send(get("") + marker)
	c.want(200, "")
	c.want(200, "")
	if (<-contexts).Err() == nil {
		t.Error("the context outlives its request")
	}
}

func TestPanics(t *testing.T) {
	var log bytes.Buffer
	var panics atomic.Int32
	addr, stop := startStoppable(t, &http1.Server{
		Handler: byPath{
			"/c":     func(http.ResponseWriter, *http.Request) { panic("oh no") },
			"/abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		},
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
		Panicked: func(any) { panics.Add(1) },
	})
	for _, path := range []string{"/c", "/abort"} {
		c := dial(t, addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		c.wantEnd()
	}
	stop()
	if panics.Load() != 1 || strings.Count(log.String(), "oh no") != 1 || !strings.Contains(log.String(), "life_test.go") {
		t.Errorf("%d panics were counted; the log: %s", panics.Load(), &log)
	}
}

// The end of the connection is the end of the content here, so it must not look like one.
func TestAbortOfContentThatTheConnectionEnds(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: byPath{"/": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}}))
	c.send(asOld)
	if _, err := io.ReadAll(c.r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset connection", err)
	}
}

func TestStopLetsRequestsFinish(t *testing.T) {
	handling, goOn := make(chan struct{}), make(chan struct{})
	addr, stop := startStoppable(t, &http1.Server{Handler: byPath{"/c": func(w http.ResponseWriter, r *http.Request) {
		close(handling)
		<-goOn
		for !http1.Draining(w) { // each connection hears of the end by itself
			runtime.Gosched()
		}
		if r.Context().Err() != nil {
			t.Error("the context has ended")
		}
		io.WriteString(w, "done")
	}}})
	idle, fresh, busy := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.send(marker)
	idle.want(200, "")
	busy.send(get("") + marker)
	<-handling
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	idle.wantEnd()
	fresh.wantEnd()
	closed := time.Now().Add(patience) // it is at about the same time
	for nc, err := net.Dial("tcp", addr); err == nil; nc, err = net.Dial("tcp", addr) {
		nc.Close()
		if time.Now().After(closed) {
			t.Fatal("the listener is open")
		}
	}
	close(goOn)
	if a := busy.want(200, "done"); !a.Close {
		t.Error("the answer does not say that the connection ends")
	}
	busy.wantEnd()
	<-stopped
}

func TestStopCutsRequests(t *testing.T) {
	handling := make(chan struct{})
	addr, stop := startStoppable(t, &http1.Server{
		Limits: http1.Limits{Drain: 20 * time.Millisecond},
		Handler: byPath{"/c": func(_ http.ResponseWriter, r *http.Request) {
			close(handling)
			<-r.Context().Done()
		}},
	})
	c := dial(t, addr)
	c.send(get(""))
	<-handling
	stop()
	c.wantEnd()
}

func TestHijack(t *testing.T) {
	h := byPath{
		"/raw": func(w http.ResponseWriter, r *http.Request) {
			nc, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("Write after Hijack: %v", err)
			}
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
			rw.Flush()
			io.CopyN(nc, rw, 10)
		},
		"/head": func(w http.ResponseWriter, r *http.Request) {
			set(w, "Connection", "Upgrade", "Upgrade", "x")
			w.WriteHeader(http.StatusSwitchingProtocols)
			nc, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			io.CopyN(nc, rw, 10)
		},
	}
	addr := start(t, &http1.Server{Handler: h})
	for path := range h {
		c := dial(t, addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nahead")
		if a := c.receive(http.MethodGet); a.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s: got %d, want 101", path, a.StatusCode)
		}
		c.send("after")
		if got, _ := io.ReadAll(c.r); string(got) != "aheadafter" {
			t.Errorf("%s: got %q back", path, got)
		}
	}
}
