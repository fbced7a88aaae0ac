package freeport_test

import (
	"net"
	"strconv"
	"testing"

	"nearcast/internal/freeport"
)

// Ports are nobody else's, until the test ends, whether or not somebody listens there.
func TestPort(t *testing.T) {
	seen := make(map[int]bool)
	for range 100 {
		port := freeport.Port(t)
		if seen[port] || port < 32000 || port > 32767 {
			t.Errorf("port %d was there before, or is out of range", port)
		}
		seen[port] = true
	}
}

// A port on which somebody listens is not given, whether over TCP or UDP and at whatever address.
func TestTaken(t *testing.T) {
	addr := freeport.Addr(t)
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "127.0.0.1" {
		t.Fatalf("%s: %v", addr, err)
	}
	for _, network := range []string{"tcp", "udp"} {
		for _, at := range []string{"127.0.0.1", "127.0.9.9"} {
			n, err := strconv.Atoi(port)
			if err != nil {
				t.Fatal(err)
			}
			if !freeport.Free(n) {
				t.Fatalf("port %s is taken", port)
			}
			where := net.JoinHostPort(at, port)
			var c interface{ Close() error }
			if network == "tcp" {
				c, err = net.Listen(network, where)
			} else {
				c, err = net.ListenPacket(network, where)
			}
			if err != nil {
				t.Fatal(err)
			}
			if freeport.Free(n) {
				t.Errorf("port %s is free, though somebody listens over %s at %s", port, network, at)
			}
			c.Close()
		}
	}
}
