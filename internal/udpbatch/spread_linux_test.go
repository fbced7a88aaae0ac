package udpbatch

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
)

// Packets go to as many sockets as they are to, and to all again.
func TestSpread(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0", Sockets: 3})
	if err != nil {
		t.Fatal(err)
	}
	var counts [3]atomic.Int64
	var next atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, func() Handler {
			mine := &counts[next.Add(1)-1]
			return func(dst, packet []byte, _ netip.AddrPort) []byte { mine.Add(1); return append(dst, packet...) }
		})
	}()
	defer func() { cancel(); <-done }()
	for _, n := range []int{1, 2, 3} {
		// The server itself does the same once a second, as there are processors; few may have changed it in between.
		for i := range counts {
			counts[i].Store(0)
		}
		for range 60 {
			if err := spread(s.sockets[0], n, 3); err != nil {
				t.Fatal(err)
			}
			exchange(t, s.Addr())
		}
		busy := 0
		for i := range counts {
			if counts[i].Load() > 5 {
				busy++
			}
		}
		if busy != n {
			t.Errorf("%d sockets get packets, want %d: %d, %d, %d", busy, n, counts[0].Load(), counts[1].Load(), counts[2].Load())
		}
	}
}

// exchange sends a packet from a port of its own and takes the answer.
func exchange(t *testing.T, to netip.AddrPort) {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
}
