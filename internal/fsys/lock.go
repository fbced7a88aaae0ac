package fsys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("in use by another process")

// Locker is what a file system is besides if processes can lock each other out.
type Locker interface {
	// Lock takes the lock of a file, which is made if need be, or returns ErrLocked at once. The lock goes with Close or with the process.
	Lock(name string) (io.Closer, error)
}

// Lock implements [Locker].
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}
