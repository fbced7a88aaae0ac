package rawtcp

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"unsafe"
)

// conn is a TCP connection. One goroutine at a time reads, and one at a time writes.
type conn struct {
	*net.TCPConn

	raw         syscall.RawConn
	read, write call
}

// call is what one direction is doing.
type call struct {
	try func(fd uintptr) bool // does it; false means that it has to wait
	p   []byte
	n   int
	err error
}

// Wrap returns a connection that is nc in all, but costs less. One that is not TCP is returned as it is. At most one
// goroutine may read it at a time, and one write, as is the case for those that TLS or a server uses.
func Wrap(nc net.Conn) net.Conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nc
	}
	c := &conn{TCPConn: tcp, raw: raw}
	c.read.try, c.write.try = c.tryRead, c.tryWrite
	return c
}

// NetConn returns the connection below.
func (c *conn) NetConn() net.Conn { return c.TCPConn }

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 || len(p) > maxRaw {
		return c.TCPConn.Read(p) //nolint:wrapcheck // it is the caller's connection
	}
	r := &c.read
	r.p, r.n, r.err = p, 0, nil
	err := c.raw.Read(r.try)
	n := r.n
	r.p = nil
	switch {
	case err != nil:
		return 0, err //nolint:wrapcheck // as above
	case r.err != nil:
		return 0, fmt.Errorf("read %s: %w", c.RemoteAddr(), r.err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (c *conn) tryRead(fd uintptr) bool {
	r := &c.read
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.p))), uintptr(len(r.p)))
		switch errno {
		case 0:
			r.n = int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			r.err = errno
			return true
		}
	}
}

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 || len(p) > maxRaw {
		return c.TCPConn.Write(p) //nolint:wrapcheck // as above
	}
	w := &c.write
	w.p, w.n, w.err = p, 0, nil
	err := c.raw.Write(w.try)
	n := w.n
	w.p = nil
	if err == nil && w.err != nil {
		err = fmt.Errorf("write %s: %w", c.RemoteAddr(), w.err)
	}
	return n, err
}

func (c *conn) tryWrite(fd uintptr) bool {
	w := &c.write
	for w.n < len(w.p) {
		rest := w.p[w.n:]
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
		switch errno {
		case 0:
			w.n += int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			w.err = errno
			return true
		}
	}
	return true
}
