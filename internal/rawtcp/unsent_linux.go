package rawtcp

import (
	"fmt"
	"net"
	"syscall"
)

// tcpNotsentLowat is TCP_NOTSENT_LOWAT, which package syscall does not name.
const tcpNotsentLowat = 25

// LimitUnsent bounds how much of what is written to a connection the kernel holds before it can send it. Without that it
// holds as much as its send buffer may grow to, 4 MiB, for a client that reads nothing. What is on its way and has not been
// acknowledged does not count, so that a fast client far away gets as much as before. The kernel fills the
// packet that it has begun, which is 64 KiB at most. A connection that is not TCP has no such bound, and needs none.
func LimitUnsent(nc net.Conn, octets int) error {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("limiting what is unsent: %w", err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, octets)
	}); err != nil {
		return fmt.Errorf("limiting what is unsent: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("limiting what is unsent: %w", failed)
	}
	return nil
}
