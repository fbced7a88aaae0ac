package tlscert_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nearcast/internal/web/tlscert"
)

// threadTime is the processor time of this thread so far.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	return clockTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
}

func clockTime(b *testing.B, id int32) time.Duration {
	b.Helper()
	var ts unix.Timespec // getrusage would be exact only at the kernel's ticks
	if err := unix.ClockGettime(id, &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkHandshake measures what a handshake costs the server, in processor time of the thread that
// serves, by system calls and all. The client is on another, and so is the handshake of a gate: to compare that, look at what
// both sides take together.
func BenchmarkHandshake(b *testing.B) {
	ca := newAuthority(b)
	pair := ca.pair(b, leaf{names: []string{"a.test"}})
	k := open(b, tlscert.Options{}, pair)
	cert, err := tls.LoadX509KeyPair(pair.Chain, pair.Key)
	if err != nil {
		b.Fatal(err)
	}
	ours := func() *tls.Config { return k.Config(tlscert.ConfigOptions{Protocols: []string{"h2", "http/1.1"}}) }
	plain := func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	}
	gate := tlscert.NewGate(tlscert.GateOptions{})
	direct := func(nc net.Conn, c *tls.Config) (*tls.Conn, error) {
		t := tls.Server(nc, c)
		return t, t.HandshakeContext(context.Background())
	}
	gated := func(nc net.Conn, c *tls.Config) (*tls.Conn, error) {
		return gate.Handshake(context.Background(), nc, c)
	}
	for _, v := range []struct {
		name      string
		config    func() *tls.Config
		handshake func(net.Conn, *tls.Config) (*tls.Conn, error)
	}{{"plain", plain, direct}, {"ours", ours, direct}, {"gate", ours, gated}} {
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			for _, resumed := range []bool{false, true} {
				name := v.name + "/" + tls.VersionName(version)[4:] + map[bool]string{false: "/full", true: "/resumed"}[resumed]
				b.Run(name, func(b *testing.B) {
					client := ca.visitor("a.test")
					client.MaxVersion, client.NextProtos = version, []string{"h2"}
					if !resumed {
						client.ClientSessionCache = nil
						client.InsecureSkipVerify = true
					}
					benchHandshakes(b, v.config(), client, resumed, v.handshake)
				})
			}
		}
	}
}

func benchHandshakes(b *testing.B, server, client *tls.Config, resumed bool, handshake func(net.Conn, *tls.Config) (*tls.Conn, error)) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	n := b.N
	done := make(chan error, 1)
	go func() {
		for i := range n + 1 {
			c, err := tls.Dial("tcp", l.Addr().String(), client)
			if err != nil {
				done <- err
				return
			}
			var octet [1]byte
			if _, err := c.Read(octet[:]); err != nil {
				done <- err
				return
			}
			if i > 0 && c.ConnectionState().DidResume != resumed {
				b.Errorf("resumed: %v", !resumed)
			}
			c.Close()
		}
		done <- nil
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var used time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	both := clockTime(b, unix.CLOCK_PROCESS_CPUTIME_ID)
	for i := range n + 1 {
		nc, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		start := threadTime(b)
		c, err := handshake(nc, server)
		if err != nil {
			b.Fatal(err)
		}
		if i > 0 {
			used += threadTime(b) - start
		}
		c.Write([]byte{1})
		io.Copy(io.Discard, c)
		c.Close()
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	both = clockTime(b, unix.CLOCK_PROCESS_CPUTIME_ID) - both
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/handshake")
	b.ReportMetric(float64(both.Microseconds())/float64(n), "both-cpu-µs/handshake")
}
