package tlscert_test

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"

	"nearcast/internal/web/tlscert"
)

// footprint is the octets in use by heap and stacks.
func footprint() (heap, stack int64) {
	runtime.GC()
	runtime.GC() // sync.Pools need two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// BenchmarkIdle measures what a connection takes that waits for a request, goroutine and all. Run it with
// -benchtime 2000x: each of b.N is a connection. The client's end is a bare connection, measured as "tcp" with the
// goroutine and the server's.
func BenchmarkIdle(b *testing.B) {
	ca := newAuthority(b)
	k := open(b, tlscert.Options{}, ca.pair(b, leaf{names: []string{"a.test"}}))
	config := k.Config(tlscert.ConfigOptions{})
	g := tlscert.NewGate(tlscert.GateOptions{PerClient: 10_000})
	for _, v := range []struct {
		name string
		make func(net.Conn) net.Conn
	}{
		{"tcp", func(nc net.Conn) net.Conn { return nc }},
		{"own goroutine", func(nc net.Conn) net.Conn {
			c := tls.Server(nc, config)
			c.Handshake()
			return c
		}},
		{"another goroutine", func(nc net.Conn) net.Conn {
			c := tls.Server(nc, config)
			done := make(chan struct{})
			go func() { defer close(done); c.Handshake() }()
			<-done
			return c
		}},
		{"gate", func(nc net.Conn) net.Conn {
			c, err := g.Handshake(context.Background(), nc, config)
			if err != nil {
				return nc
			}
			return c
		}},
		{"stalled in gate", nil},
	} {
		b.Run(v.name, func(b *testing.B) {
			benchIdle(b, g, config, ca.visitor("a.test"), v.make, v.make != nil && v.name != "tcp")
		})
	}
}

func benchIdle(b *testing.B, g *tlscert.Gate, config, client *tls.Config, wrap func(net.Conn) net.Conn, handshake bool) {
	b.Helper()
	client.ClientSessionCache = nil
	var all sync.WaitGroup
	ends := make([]net.Conn, 0, 2*b.N)
	heap, stack := footprint()
	for range b.N {
		cn, sn := barePair(b)
		ends = append(ends, cn, sn)
		served := make(chan struct{})
		all.Go(func() {
			if wrap == nil {
				close(served)
				g.Handshake(context.Background(), sn, config)
				return
			}
			c := wrap(sn)
			close(served)
			var octet [1]byte
			c.Read(octet[:])
		})
		if handshake {
			if err := tls.Client(cn, client).Handshake(); err != nil {
				b.Fatal(err)
			}
		}
		if wrap == nil {
			cn.Write([]byte{22, 3, 1, 64, 0})
		}
		<-served
	}
	if wrap == nil {
		until(b, "all stalled", func() bool { return g.Stalled() == b.N })
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fresh := int64(m.StackInuse)
	b.ReportMetric(float64(fresh-stack)/float64(b.N), "stack-before-gc/conn")
	heapAfter, stackAfter := footprint()
	b.ReportMetric(float64(heapAfter-heap)/float64(b.N), "heap/conn")
	b.ReportMetric(float64(stackAfter-stack)/float64(b.N), "stack/conn")
	for _, c := range ends {
		c.Close()
	}
	all.Wait()
}

// barePair is tcpPair without what it leaves in the test.
func barePair(b *testing.B) (client, server net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return client, server
}
