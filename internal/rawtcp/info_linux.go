package rawtcp

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OnClose has f called once, just before a connection is closed for the first time, while the kernel can still be asked about it. It reports
// false for a connection that is not one of [Wrap]'s. It must be called before the connection is used by others. f must not wait, nor use
// the connection for anything but [InfoOf].
func OnClose(nc net.Conn, f func()) bool {
	c, ok := nc.(*conn)
	if ok {
		c.closing.Store(&f)
	}
	return ok
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	if f := c.closing.Swap(nil); f != nil {
		(*f)()
	}
	return c.TCPConn.Close() //nolint:wrapcheck // it is the caller's connection
}

// InfoOf asks the kernel about a connection.
func InfoOf(nc net.Conn) (Info, error) {
	raw, err := rawOf(nc)
	if err != nil {
		return Info{}, err
	}
	var info *unix.TCPInfo
	var failed error
	if err := raw.Control(func(fd uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil {
		return Info{}, fmt.Errorf("asking the kernel about a connection: %w", err)
	}
	if failed != nil {
		return Info{}, fmt.Errorf("asking the kernel about a connection: %w", failed)
	}
	return infoFrom(info), nil
}

func rawOf(nc net.Conn) (syscall.RawConn, error) {
	switch c := nc.(type) {
	case *conn:
		return c.raw, nil
	case *net.TCPConn:
		raw, err := c.SyscallConn()
		if err != nil {
			return nil, fmt.Errorf("asking the kernel about a connection: %w", err)
		}
		return raw, nil
	}
	return nil, errNotTCP
}

// noMinimum is what the kernel says while it has no sample, or a version that has no such field.
const noMinimum = ^uint32(0)

func infoFrom(i *unix.TCPInfo) Info {
	least := i.Min_rtt
	if least == noMinimum {
		least = 0
	}
	return Info{
		MinRTT: time.Duration(least) * time.Microsecond, RTT: time.Duration(i.Rtt) * time.Microsecond,
		Sent: i.Data_segs_out, Resent: i.Total_retrans, Unanswered: int(i.Retransmits),
	}
}
