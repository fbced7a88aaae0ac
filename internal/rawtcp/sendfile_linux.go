package rawtcp

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// sending is a transfer from a file.
type sending struct {
	try  func(fd uintptr) bool
	step func(file int, offset int64)
	sock int
	head []byte
	from Region
	skip int64 // in the region
	left int64
	n    int64 // sent, head and file
	full bool  // the socket takes no more for now
	err  error
}

// SendFile sends head and then length octets of a region, beginning at an offset in it, without copying them, and returns how many
// went, of both. It is announced to the scheduler: the file may have to be read. The region is not held while the client
// takes its time; if it has gone meanwhile the error is [ErrGone].
func (c *conn) SendFile(head []byte, from Region, offset, length int64) (int64, error) {
	s := &c.file
	s.head, s.from, s.skip, s.left, s.n, s.err = head, from, offset, length, 0, nil
	err := c.raw.Write(s.try)
	if err == nil && s.err != nil {
		err = fmt.Errorf("send a file to %s: %w", c.RemoteAddr(), s.err)
	}
	s.head, s.from = nil, nil
	return s.n, err
}

func (s *sending) trySend(fd uintptr) bool {
	if len(s.head) > 0 && !s.sendHead(fd) {
		return s.err != nil
	}
	s.sock, s.full = int(fd), false
	if !s.from.Use(s.step) {
		s.err = ErrGone
	}
	return s.err != nil || !s.full
}

// sendHead reports whether the head is out. It says that more will follow, so that it shares a packet.
func (s *sending) sendHead(fd uintptr) bool {
	for len(s.head) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.head))), uintptr(len(s.head)), syscall.MSG_MORE, 0, 0)
		switch errno {
		case 0:
			s.head = s.head[n:]
			s.n += int64(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			s.err = errno
			return false
		}
	}
	return true
}

// sendStep sends until the socket is full or all is out.
func (s *sending) sendStep(file int, offset int64) {
	for s.left > 0 {
		at := offset + s.skip
		n, err := syscall.Sendfile(s.sock, file, &at, int(min(s.left, maxSendfile)))
		switch {
		case n > 0:
			s.skip, s.left, s.n = s.skip+int64(n), s.left-int64(n), s.n+int64(n)
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			s.full = true
			return
		case err == nil:
			s.err = ErrGone // the file ends before the region
			return
		case ofFile(err):
			s.err = fmt.Errorf("%w: %w", ErrGone, err)
			return
		default:
			s.err = err
			return
		}
	}
}

// ofFile reports whether an error of sendfile is one of reading the file, not of the connection.
func ofFile(err error) bool {
	for _, errno := range [...]syscall.Errno{syscall.EIO, syscall.EINVAL, syscall.EUCLEAN, syscall.EBADMSG, syscall.ENODATA, syscall.ESTALE, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
