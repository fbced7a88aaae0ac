package fsys

import (
	"errors"
	"io"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// call is one system call on a descriptor: what goes in and what comes out. Calls are pooled, and have their functions
// made once, so that a read of the page cache allocates nothing.
type call struct {
	p       []byte
	off     int64
	n       int
	size    int64
	changed time.Time
	err     error
	vec     [1][]byte
	info    unix.Stat_t

	readCached, sync, stat, preallocate func(fd uintptr)
}

// calls is the pool of call.
var calls = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool of idle memory; nothing can be read from it
	c := new(call)
	c.readCached = func(fd uintptr) { c.n, c.err = c.doReadCached(int(fd)) }
	c.sync = func(fd uintptr) { c.err = c.doSync(int(fd)) }
	c.stat = func(fd uintptr) { c.size, c.changed, c.err = c.doStat(int(fd)) }
	c.preallocate = func(fd uintptr) { c.err = c.doPreallocate(int(fd)) }
	return c
}}

// make makes the call on an open descriptor.
func (c *call) make(raw syscall.RawConn, do func(fd uintptr)) error {
	c.n, c.size, c.err = 0, 0, nil
	if raw.Control(do) != nil { // the only reason it has
		return os.ErrClosed
	}
	return c.err
}

func (c *call) release() {
	c.p, c.err = nil, nil
	calls.Put(c)
}

// doReadCached goes on after a short read, to learn why it was one.
func (c *call) doReadCached(fd int) (n int, err error) {
	defer func() { c.vec[0] = nil }()
	for n < len(c.p) {
		c.vec[0] = c.p[n:]
		got, err := unix.Preadv2(fd, c.vec[:], c.off+int64(n), unix.RWF_NOWAIT)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN, err == unix.EOPNOTSUPP, err == unix.ENOSYS:
			return n, ErrNotCached
		case err != nil:
			return n, err
		case got == 0:
			return n, io.EOF
		default:
			n += got
		}
	}
	return n, nil
}

func (c *call) doSync(fd int) error {
	return again(func() error { return unix.Fdatasync(fd) })
}

func (c *call) doStat(fd int) (int64, time.Time, error) {
	err := unix.Fstat(fd, &c.info)
	for err == unix.EINTR {
		err = unix.Fstat(fd, &c.info)
	}
	return c.info.Size, time.Unix(c.info.Mtim.Unix()), err
}

// doPreallocate asks first, since the kernel would fill the disk before it says that there is no room.
func (c *call) doPreallocate(fd int) error {
	var s unix.Statfs_t
	err := again(func() error { return unix.Fstatfs(fd, &s) })
	if err == nil && s.Blocks > 0 && available(&s) < c.off {
		return unix.ENOSPC
	}
	err = again(func() error { return unix.Fallocate(fd, 0, 0, c.off) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = again(func() error { return unix.Ftruncate(fd, c.off) })
	}
	return err
}

func free(name string) (int64, error) {
	var s unix.Statfs_t
	if err := again(func() error { return unix.Statfs(name, &s) }); err != nil {
		return 0, err
	}
	return available(&s), nil
}

// available returns the octets that an ordinary user may still take.
func available(s *unix.Statfs_t) int64 {
	unit := s.Frsize
	if unit == 0 { // not every file system says
		unit = s.Bsize
	}
	return int64(min(s.Bavail, math.MaxInt64/uint64(unit))) * unit
}

// again makes a call until no signal interrupts it.
func again(call func() error) error {
	err := call()
	for errors.Is(err, unix.EINTR) {
		err = call()
	}
	return err
}
