package udpbatch_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/internal/udpbatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends back who has sent what; "silence" is not answered, "long" is with 9,000 octets.
func echo() udpbatch.Handler {
	return func(dst, packet []byte, from netip.AddrPort) []byte {
		switch string(packet) {
		case "silence":
			return nil
		case "long":
			return append(dst, bytes.Repeat([]byte("x"), 9000)...)
		case "impossible":
			return append(dst, make([]byte, 70000)...)
		}
		return append(fmt.Appendf(dst, "%s ", from), packet...)
	}
}

func start(t testing.TB, cfg udpbatch.Config, newHandler func() udpbatch.Handler) *udpbatch.Server {
	t.Helper()
	s, err := udpbatch.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, newHandler) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not return within 5 s")
		}
	})
	return s
}

func dial(t testing.TB, host string, port uint16) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// A connected socket takes answers from the address only that it has sent to.
func TestAddresses(t *testing.T) {
	for _, test := range []struct{ listen, ask, client string }{
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"[::1]:0", "::1", "[::1]"},
		{"0.0.0.0:0", "127.0.0.77", "127.0.0.1"},
		{":0", "127.0.0.77", "127.0.0.1"},
		{":0", "::1", "[::1]"},
	} {
		t.Run(strings.NewReplacer(":", "", ".", "").Replace(test.listen+"by"+test.ask), func(t *testing.T) {
			s := start(t, udpbatch.Config{Addr: test.listen}, echo)
			c := dial(t, test.ask, s.Addr().Port())
			buf := make([]byte, 100)
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(buf[:n]), c.LocalAddr().String()+" hello"; got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
		})
	}
}

// Every packet of many senders gets the answer that belongs to it, over any number of sockets, also where some are not answered.
func TestMany(t *testing.T) {
	for _, sockets := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(sockets), func(t *testing.T) {
			s := start(t, udpbatch.Config{Addr: "127.0.0.1:0", Sockets: sockets, Gather: time.Duration(sockets-1) * 20 * time.Microsecond}, echo)
			var wg sync.WaitGroup
			for range 20 {
				c := dial(t, "127.0.0.1", s.Addr().Port())
				wg.Go(func() { burst(t, c) })
			}
			wg.Wait()
			got := s.Stats()
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for deadline := time.Now().Add(5 * time.Second); got.Packets < 20*200*2 && time.Now().Before(deadline); got = s.Stats() {
				<-tick.C // a batch is counted after its answers have left
			}
			if got.Packets != 20*200*2 || got.Sent != 20*200 || got.Batches == 0 || got.Batches > got.Packets || got.Unsent+got.TooLong != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func burst(t *testing.T, c net.Conn) {
	want := make(map[string]bool)
	for i := range 200 {
		text := fmt.Sprint(i, strings.Repeat("x", i))
		want[c.LocalAddr().String()+" "+text] = true
		for _, p := range []string{"silence", text} {
			if _, err := c.Write([]byte(p)); err != nil {
				t.Error(err)
				return
			}
		}
	}
	buf := make([]byte, 1000)
	for range 200 {
		n, err := c.Read(buf)
		if err != nil || !want[string(buf[:n])] {
			t.Errorf("%d missing: %v, %q", len(want), err, buf[:n])
			return
		}
		delete(want, string(buf[:n]))
	}
}

// Packets that are too long are dropped, answers that are longer than usual are not, and those that cannot be sent harm no other.
func TestLengths(t *testing.T) {
	s := start(t, udpbatch.Config{Addr: "127.0.0.1:0", Sockets: 1, MaxPacket: 100}, echo)
	c := dial(t, "127.0.0.1", s.Addr().Port())
	for _, p := range []string{strings.Repeat("x", 101), "impossible", "", "long"} {
		if _, err := c.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 10000)
	for _, want := range []int{len(c.LocalAddr().String()) + 1, 9000} {
		if n, err := c.Read(buf); err != nil || n != want {
			t.Fatalf("%d octets, %v; want %d", n, err, want)
		}
	}
	for range 2 { // counts are made after sending: the second answer comes after those of the first batch
		c.Write([]byte("again")) //nolint:errcheck // seen below
		c.Read(buf)              //nolint:errcheck // as above
	}
	if got := s.Stats(); got.TooLong != 1 || got.Unsent != 1 || got.Sent < 3 {
		t.Errorf("%+v", got)
	}
}

// A port that another socket has is an error, also where that would share it.
func TestTaken(t *testing.T) {
	s := start(t, udpbatch.Config{Addr: "127.0.0.1:0"}, echo)
	for _, addr := range []string{s.Addr().String(), "nonsense", "192.0.2.1:0"} {
		if other, err := udpbatch.Listen(udpbatch.Config{Addr: addr}); err == nil {
			t.Errorf("listening on %s did not fail", addr)
			other.Close()
		}
	}
}

// A server that is never run is closed.
func TestClose(t *testing.T) {
	s, err := udpbatch.Listen(udpbatch.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What comes and goes costs no allocation.
func BenchmarkEcho(b *testing.B) {
	s := start(b, udpbatch.Config{Addr: "127.0.0.1:0"}, func() udpbatch.Handler {
		return func(dst, packet []byte, _ netip.AddrPort) []byte { return append(dst, packet...) }
	})
	c := dial(b, "127.0.0.1", s.Addr().Port())
	c.SetDeadline(time.Time{})
	packet := make([]byte, 60)
	b.ReportAllocs()
	for b.Loop() {
		for range 16 {
			c.Write(packet) //nolint:errcheck // seen in reading
		}
		for range 16 {
			if _, err := c.Read(packet); err != nil {
				b.Fatal(err)
			}
		}
	}
}
