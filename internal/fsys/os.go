package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// OS is the file system of the machine, which is Linux's.
type OS struct{}

var _ FS = OS{}

// Open implements [FS].
func (OS) Open(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return newOSFile(f)
}

// Create implements [FS]. On a file system that cannot take room in advance ENOSPC comes from WriteAt or Sync after all.
func (OS) Create(name string, size int64) (File, error) {
	if size < 0 {
		return nil, &fs.PathError{Op: "create", Path: name, Err: syscall.EINVAL}
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	o, err := newOSFile(f)
	if err == nil && size > 0 {
		err = o.preallocate(size)
	}
	if err != nil {
		f.Close()       //nolint:errcheck // the first error is the one to report
		os.Remove(name) //nolint:errcheck // likewise
		return nil, err
	}
	return o, nil
}

// Remove implements [FS].
func (OS) Remove(name string) error { return os.Remove(name) }

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// ReadDir implements [FS].
func (OS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// MkdirAll implements [FS].
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, 0o700) }

// SyncDir implements [FS].
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Free implements [FS]. It leaves out what is reserved for root.
func (OS) Free(name string) (int64, error) {
	n, err := free(name)
	if err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return n, nil
}

// osFile is a file of [OS]. That its system calls go through os.File keeps a descriptor from being used after it was
// closed and given to another file.
type osFile struct {
	file *os.File
	raw  syscall.RawConn

	mu     sync.Mutex // guards the following
	tried  bool
	direct *os.File // the same file for writes past the page cache, opened at the first; nil if that cannot be
}

// Writes of so many octets, from memory, to a place and of a length that are multiples of the block, go past the page cache: what is
// written by the megabyte to be read once in a while would push out what is read all the time, and copying it takes longer than the disk does.
const (
	directFrom  = 1 << 20
	directBlock = 4 << 10
)

func goesDirect(p []byte, off int64) bool {
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))
	return len(p) >= directFrom && (at|off|int64(len(p)))%directBlock == 0
}

// openDirect opens a file once more. Some file systems refuse.
func openDirect(name string) *os.File {
	f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT, 0)
	if err != nil {
		return nil
	}
	return f
}

func newOSFile(f *os.File) (*osFile, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close() //nolint:errcheck // the first error is the one to report
		return nil, err
	}
	return &osFile{file: f, raw: raw}, nil
}

// ReadAt implements [File].
func (f *osFile) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, off) }

// WriteAt implements [File].
func (f *osFile) WriteAt(p []byte, off int64) (n int, err error) {
	defer func() { // [os.File] panics then
		if broken := recover(); broken != nil {
			n, err = 0, &fs.PathError{Op: "write", Path: f.file.Name(), Err: fmt.Errorf("the system claims to have written more than it was given: %v", broken)}
		}
	}()
	if goesDirect(p, off) {
		if d := f.past(); d != nil {
			n, err := d.WriteAt(p, off)
			if !errors.Is(err, syscall.EINVAL) { // it is the file system's block that counts
				return n, err
			}
		}
	}
	n, err = f.file.WriteAt(p, off)
	if errors.Is(err, io.ErrUnexpectedEOF) { // what os says when the kernel takes nothing without an error
		err = &fs.PathError{Op: "write", Path: f.file.Name(), Err: io.ErrShortWrite}
	}
	return n, err
}

// ReadCached implements [File].
func (f *osFile) ReadCached(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if off < 0 {
		return 0, f.failed("read", syscall.EINVAL)
	}
	c := calls.Get().(*call) //nolint:errcheck // the pool's only type
	defer c.release()
	c.p, c.off = p, off
	switch err := c.make(f.raw, c.readCached); err {
	case nil, io.EOF, ErrNotCached: //nolint:errorlint // not wrapped
		return c.n, err
	default:
		return c.n, f.failed("read", err)
	}
}

// Sync implements [File].
func (f *osFile) Sync() error {
	c := calls.Get().(*call) //nolint:errcheck // the pool's only type
	defer c.release()
	return f.failed("fdatasync", c.make(f.raw, c.sync))
}

// Size implements [File].
func (f *osFile) Size() (int64, error) {
	c := calls.Get().(*call) //nolint:errcheck // the pool's only type
	defer c.release()
	err := c.make(f.raw, c.stat)
	return c.size, f.failed("stat", err)
}

// Changed implements [File].
func (f *osFile) Changed() (time.Time, error) {
	c := calls.Get().(*call) //nolint:errcheck // the pool's only type
	defer c.release()
	if err := c.make(f.raw, c.stat); err != nil {
		return time.Time{}, f.failed("stat", err)
	}
	return c.changed, nil
}

// Fd implements [File].
func (f *osFile) Fd() int { return int(f.file.Fd()) }

// past returns the file for writes past the page cache.
func (f *osFile) past() *os.File {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.tried {
		f.tried = true
		f.direct = openDirect(f.file.Name())
	}
	return f.direct
}

// Close implements [File].
func (f *osFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = true
	if f.direct != nil {
		f.direct.Close() //nolint:errcheck // what was written to it is what counts
		f.direct = nil
	}
	return f.file.Close()
}

func (f *osFile) preallocate(size int64) error {
	c := calls.Get().(*call) //nolint:errcheck // the pool's only type
	defer c.release()
	c.off = size
	return f.failed("fallocate", c.make(f.raw, c.preallocate))
}

// failed returns err with operation and path, and nil for nil.
func (f *osFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.file.Name(), Err: err}
}
