package front_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nearcast/internal/web/front"
	"nearcast/internal/web/http1"
	"nearcast/internal/web/http2"
)

// reportCPU reports the processor time that both ends took for an operation, in microseconds.
func reportCPU(b *testing.B) {
	b.Helper()
	now := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	begun := now()
	b.Cleanup(func() { b.ReportMetric(float64(now()-begun)/1000/float64(b.N), "cpu-us/op") })
}

// BenchmarkListeners is new connections with one request each, accepted by one listener or by several of the same address
// (SO_REUSEPORT). docs/decisions/0009 argues with it.
func BenchmarkListeners(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			addr := listeners(b, n)
			reportCPU(b)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						b.Error(err)
						return
					}
					io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					bufio.NewReader(c).ReadString('\n')
					c.(*net.TCPConn).SetLinger(0) // or the ports run out
					c.Close()
				}
			})
		})
	}
}

func listeners(b *testing.B, n int) (addr string) {
	b.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	s := &front.Server{HTTP1: &http1.Server{Handler: h}}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	b.Cleanup(func() { cancel(); served.Wait() })
	addr = "127.0.0.1:0"
	for range n {
		l, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		addr = l.Addr().String()
		served.Go(func() { s.Serve(ctx, l, false) })
	}
	return addr
}

// BenchmarkBetweenTiers is what one node asks another: 16 KiB by net/http's client, over HTTP/1.1 or over HTTP/2 with prior
// knowledge. docs/decisions/0010 argues with it.
func BenchmarkBetweenTiers(b *testing.B) {
	body := make([]byte, 16<<10)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	})
	for name, serve := range map[string]func(context.Context, net.Conn){
		"HTTP1": func(ctx context.Context, nc net.Conn) { (&http1.Server{Handler: h}).ServeConn(ctx, nc, nil) },
		"HTTP2": func(ctx context.Context, nc net.Conn) { (&http2.Server{Handler: h}).ServeConn(ctx, nc, nil) },
	} {
		b.Run(name, func(b *testing.B) {
			transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
			if name == "HTTP2" {
				transport.Protocols = new(http.Protocols)
				transport.Protocols.SetUnencryptedHTTP2(true)
			}
			url := "http://" + acceptAll(b, serve) + "/a"
			defer transport.CloseIdleConnections()
			b.SetParallelism(32)
			reportCPU(b)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
					if err != nil {
						b.Fatal(err)
					}
					resp, err := transport.RoundTrip(req)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		})
	}
}

func acceptAll(b *testing.B, serve func(context.Context, net.Conn)) (addr string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	b.Cleanup(func() { l.Close(); cancel(); served.Wait() })
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { serve(ctx, nc) })
		}
	})
	return l.Addr().String()
}
