package rawtcp

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// conn is a TCP connection. One goroutine at a time reads, and one at a time writes.
type conn struct {
	*net.TCPConn

	raw         syscall.RawConn
	read, write call
	parts       parts
	file        sending
	closing     atomic.Pointer[func()] // see OnClose
}

// parts is a write of several parts.
type parts struct {
	try  func(fd uintptr) bool
	vec  [maxParts]syscall.Iovec
	left []syscall.Iovec // of vec
	n    int64
	err  error
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
	c.read.try, c.write.try, c.parts.try = c.tryRead, c.tryWrite, c.tryParts
	c.file.try, c.file.step = c.file.trySend, c.file.sendStep
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

// WaitReadable waits until there is something to read, the end of the stream included, or the read deadline is over. It takes
// no buffer and little stack, for connections that wait for long.
func (c *conn) WaitReadable() error {
	return c.raw.Read(readable) //nolint:wrapcheck // as above
}

// readable reports whether a read would not have to wait.
func readable(fd uintptr) bool {
	var octet [1]byte
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&octet)), 1, syscall.MSG_PEEK, 0, 0)
		if errno != syscall.EINTR {
			return errno != syscall.EAGAIN
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

// WriteParts writes one part after the other, and leaves them as they are. It returns the number of octets that were
// written, and an error if that is not all.
func (c *conn) WriteParts(all [][]byte) (int64, error) {
	w := &c.parts
	w.left, w.n, w.err = w.vec[:0], 0, nil
	total := 0
	for _, p := range all {
		if total += len(p); len(p) == 0 {
			continue
		}
		if len(w.left) == maxParts || total > maxRaw {
			clear(w.vec[:])
			buffers := net.Buffers(slices.Clone(all))
			return buffers.WriteTo(c.TCPConn) //nolint:wrapcheck // as above
		}
		w.left = append(w.left, syscall.Iovec{Base: unsafe.SliceData(p), Len: uint64(len(p))})
	}
	if total == 0 {
		return 0, nil
	}
	err := c.raw.Write(w.try)
	if err == nil && w.err != nil {
		err = fmt.Errorf("write %s: %w", c.RemoteAddr(), w.err)
	}
	clear(w.vec[:])
	return w.n, err
}

func (c *conn) tryParts(fd uintptr) bool {
	w := &c.parts
	for len(w.left) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.left))), uintptr(len(w.left)))
		switch errno {
		case 0:
			w.n += int64(n)
			w.skip(uint64(n))
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

// skip takes off what has been written.
func (w *parts) skip(n uint64) {
	for len(w.left) > 0 {
		first := &w.left[0]
		if n < first.Len {
			first.Base = (*byte)(unsafe.Add(unsafe.Pointer(first.Base), n))
			first.Len -= n
			return
		}
		n -= first.Len
		w.left = w.left[1:]
	}
}
