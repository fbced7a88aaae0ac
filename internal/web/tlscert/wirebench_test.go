package tlscert_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"nearcast/internal/web/tlscert"
)

// gated shakes hands through a gate, with a client that then reads and drops whatever comes, without
// decrypting it.
func gated(t testing.TB, g *tlscert.Gate, server, client *tls.Config) (*tls.Conn, func()) {
	t.Helper()
	cn, sn := tcpPair(t)
	done := make(chan struct{})
	shaken := make(chan error, 1)
	go func() {
		defer close(done)
		c := tls.Client(cn, client)
		err := c.Handshake()
		shaken <- err
		if err == nil {
			io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{cn}, make([]byte, 256<<10))
		}
	}()
	c, err := g.Handshake(context.Background(), sn, server)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return c, func() { c.Close(); <-done }
}

// BenchmarkWrite measures what it costs the writing thread to send over TLS and loopback, corked and
// not, with small records first and without.
func BenchmarkWrite(b *testing.B) {
	ca := newAuthority(b)
	k := open(b, tlscert.Options{}, ca.pair(b, leaf{names: []string{"a.test"}}))
	for _, size := range []int{1 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20} {
		for _, corked := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dKiB/corked=%v", size>>10, corked), func(b *testing.B) {
				c, stop := gated(b, tlscert.NewGate(tlscert.GateOptions{}), k.Config(tlscert.ConfigOptions{WholeRecords: true}), ca.visitor("a.test"))
				defer stop()
				w := tlscert.WireUnder(c)
				data := make([]byte, size)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				start := threadTime(b)
				for b.Loop() {
					if corked {
						w.Cork()
					}
					if _, err := c.Write(data); err != nil {
						b.Fatal(err)
					}
					if corked {
						if err := w.Uncork(); err != nil {
							b.Fatal(err)
						}
					}
				}
				used := threadTime(b) - start
				b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(size>>10), "cpu-ns/KiB")
				b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

// BenchmarkFirstWrite measures the first response of a connection, which starts with small
// records unless that is turned off.
func BenchmarkFirstWrite(b *testing.B) {
	ca := newAuthority(b)
	k := open(b, tlscert.Options{}, ca.pair(b, leaf{names: []string{"a.test"}}))
	for _, whole := range []bool{false, true} {
		for _, corked := range []bool{false, true} {
			b.Run(fmt.Sprintf("128KiB/whole=%v/corked=%v", whole, corked), func(b *testing.B) {
				g := tlscert.NewGate(tlscert.GateOptions{})
				client := ca.visitor("a.test")
				data := make([]byte, 128<<10)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				var used int64
				for b.Loop() {
					c, stop := gated(b, g, k.Config(tlscert.ConfigOptions{WholeRecords: whole}), client)
					w := tlscert.WireUnder(c)
					start := threadTime(b)
					if corked {
						w.Cork()
					}
					c.Write(data)
					if corked {
						w.Uncork()
					}
					used += int64(threadTime(b) - start)
					stop()
				}
				b.ReportMetric(float64(used)/1e3/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

var _ net.Conn = (*tlscert.Wire)(nil)
