// Package freeport gives tests ports that are theirs until they end: for programs that cannot be told to choose one, or that must come back to theirs.
//
// A port that the system has chosen and that was closed again is no such port: any client's next connection may get it. It is not for what can listen on port 0.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// The ports are below those that Linux gives to clients, and above those of labs.
const (
	first = 32000
	last  = 32767
)

// Port returns a port that nothing listens on, over TCP or UDP, at any address of this machine, and that no other test that asks here gets until this one has ended.
func Port(tb testing.TB) int {
	tb.Helper()
	const n = last - first + 1
	start := rand.IntN(n)
	for i := range n {
		port := first + (start+i)%n
		held, err := hold(port)
		if err != nil {
			tb.Fatalf("a free port: %v", err)
		}
		if held == nil {
			continue
		}
		tb.Cleanup(func() { held.Close() }) //nolint:errcheck // the lock goes with it
		return port
	}
	tb.Fatalf("none of the ports %d to %d is free", first, last)
	return 0
}

// Addr is [Port] at 127.0.0.1, as host:port.
func Addr(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Port(tb)))
}

// hold returns the file whose lock keeps a port, or nil if somebody else has the port.
func hold(port int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("nearcast-test-port-%d", port)), os.O_CREATE|os.O_RDWR, 0o666)
	if os.IsPermission(err) {
		return nil, nil //nolint:nilnil // another user's
	}
	if err != nil {
		return nil, err
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || !free(port) { //nolint:gosec // file descriptors are small
		return nil, f.Close()
	}
	return f, nil
}

// free reports whether nothing listens on a port.
func free(port int) bool {
	addr := ":" + strconv.Itoa(port)
	l, err := net.Listen("tcp", addr) //nolint:gosec,noctx // for a moment
	if err != nil {
		return false
	}
	defer l.Close()                         //nolint:errcheck // nobody has come
	u, err := net.ListenPacket("udp", addr) //nolint:noctx // as above
	if err != nil {
		return false
	}
	return u.Close() == nil
}
