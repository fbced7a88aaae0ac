package tlscert_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"nearcast/internal/web/tlscert"
)

// hello records the ClientHello that a client would send.
func hello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	go func() {
		tls.Client(a, config).Handshake()
		a.Close()
	}()
	buf := make([]byte, 4096)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	return buf[:n]
}

// BenchmarkVisitorUnderFlood measures how long a connected visitor waits for one octet while others send
// as many ClientHellos as they can and drop what comes back, with a gate's slots, with more, and with as good as none.
func BenchmarkVisitorUnderFlood(b *testing.B) {
	ca := newAuthority(b)
	config := open(b, tlscert.Options{}, ca.pair(b, leaf{names: []string{"a.test"}})).Config(tlscert.ConfigOptions{})
	octets := hello(b, ca.visitor("a.test"))
	for _, v := range []struct {
		name            string
		slots, flooders int
	}{{"quiet", 0, 0}, {"gate", 0, 500}, {"a slot for each processor", runtime.GOMAXPROCS(0), 500}, {"no gate", 10_000, 500}} {
		b.Run(v.name, func(b *testing.B) {
			g := tlscert.NewGate(tlscert.GateOptions{Computing: v.slots})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var all sync.WaitGroup
			all.Go(func() { echo(ctx, l, g, config, &all) })
			visitor, err := tls.Dial("tcp", l.Addr().String(), ca.visitor("a.test"))
			if err != nil {
				b.Fatal(err)
			}
			stop := startFlood(b, l.Addr().String(), v.flooders, octets)
			until(b, "the flood", func() bool { return v.flooders == 0 || g.Counts().Pending > 100 })
			var octet [1]byte
			var waits []time.Duration
			pace := time.NewTicker(2 * time.Millisecond)
			defer pace.Stop()
			for b.Loop() {
				<-pace.C
				start := time.Now()
				visitor.Write(octet[:])
				if _, err := io.ReadFull(visitor, octet[:]); err != nil {
					b.Fatal(err)
				}
				waits = append(waits, time.Since(start))
			}
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "median-µs")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(g.Counts().Failed)/b.Elapsed().Seconds(), "flooders/s")
			stop()
			cancel()
			l.Close()
			visitor.Close()
			all.Wait()
		})
	}
}

func echo(ctx context.Context, l net.Listener, g *tlscert.Gate, config *tls.Config, all *sync.WaitGroup) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			if c, err := g.Handshake(ctx, nc, config); err == nil {
				io.Copy(c, c)
				c.Close()
			}
		})
	}
}

// startFlood runs the test binary again as another process, so that flooders do not stand in this one's queues.
func startFlood(b *testing.B, addr string, flooders int, octets []byte) (stop func()) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^TestFlooders$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("FLOOD=%s %d %x", addr, flooders, octets))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// TestFlooders is the other process of BenchmarkVisitorUnderFlood, and otherwise nothing.
func TestFlooders(t *testing.T) {
	var (
		addr     string
		flooders int
		octets   []byte
	)
	if n, _ := fmt.Sscanf(os.Getenv("FLOOD"), "%s %d %x", &addr, &flooders, &octets); n < 3 {
		t.Skip("nobody asked for a flood")
	}
	var all sync.WaitGroup
	for range flooders {
		all.Go(func() {
			for {
				flood(addr, octets)
			}
		})
	}
	all.Wait()
}

func flood(addr string, octets []byte) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	c.(*net.TCPConn).SetLinger(0) // no ports in TIME-WAIT
	c.Write(octets)
	var one [1]byte
	c.Read(one[:])
}
