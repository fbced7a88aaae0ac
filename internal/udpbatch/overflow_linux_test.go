package udpbatch_test

import (
	"net"
	"testing"

	"nearcast/internal/udpbatch"
)

// Packets that come faster than they are taken are dropped by the kernel, and counted.
func TestOverflow(t *testing.T) {
	s, err := udpbatch.Listen(udpbatch.Config{Addr: "127.0.0.1:0", Sockets: 1, Buffer: 4096})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 200 { // nobody takes them: Run is not called
		if _, err := conn.Write(make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats().Overflowed; got < 100 || got >= 200 {
		t.Errorf("of 200 packets %d were dropped", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Overflowed; got != 0 {
		t.Errorf("of a socket that is closed: %d", got)
	}
}
