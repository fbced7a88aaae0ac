package fsys

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// maxSize is how large a file of [Mem] can be, in octets.
const maxSize = 1 << 60

// file is the content of a file: what it is, what of it is synced, and what was written since.
type file struct {
	live    pages
	size    int64
	changed time.Time

	synced     pages
	syncedSize int64
	unsynced   []write // in order; never changed in place: clones share it
	lost       bool    // a Sync has failed: what live has is not what the disk will get
}

// write is one that is not synced.
type write struct {
	seq  uint64
	off  int64
	n    int64
	data []byte // nil: zeros
	size int64  // of the file, after it
}

// memFile is an open file of [Mem].
type memFile struct {
	fs     *Mem
	node   *node
	name   string
	closed atomic.Bool
}

// ReadAt implements [File].
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", off); err != nil || len(p) == 0 {
		return 0, err
	}
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	n := max(0, min(int64(len(p)), f.node.size-off))
	f.node.live.read(p[:n], off)
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// ReadCached implements [File]: all of it is in memory.
func (f *memFile) ReadCached(p []byte, off int64) (int, error) { return f.ReadAt(p, off) }

// WriteAt implements [File].
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", off); err != nil || len(p) == 0 {
		return 0, err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n, err := f.fs.write(f.node, p, off)
	return n, f.failed("write", err)
}

// Sync implements [File].
func (f *memFile) Sync() error {
	if err := f.check("fdatasync", 0); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.sync()
	return nil
}

// Size implements [File].
func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", 0); err != nil {
		return 0, err
	}
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	return f.node.size, nil
}

// Changed implements [File].
func (f *memFile) Changed() (time.Time, error) {
	if err := f.check("stat", 0); err != nil {
		return time.Time{}, err
	}
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	return f.node.changed, nil
}

// Fd implements [File]: there is none.
func (f *memFile) Fd() int { return -1 }

// Close implements [File].
func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return f.failed("close", os.ErrClosed)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.open--
	f.fs.reclaim(f.node)
	return nil
}

// check says what is wrong with a call whatever is in the file.
func (f *memFile) check(op string, off int64) error {
	switch {
	case f.closed.Load():
		return f.failed(op, os.ErrClosed)
	case off < 0:
		return f.failed(op, syscall.EINVAL)
	}
	return nil
}

// failed returns err with operation and path, and nil for nil.
func (f *memFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// write writes what there is room for.
func (m *Mem) write(n *node, p []byte, off int64) (int, error) {
	if off > maxSize-int64(len(p)) {
		return 0, syscall.EFBIG
	}
	var err error
	end := off + int64(len(p))
	if most := taken(n.size) + min(maxSize, m.room()); end > n.size && end > most {
		end, err = max(off, most), syscall.ENOSPC
		p = p[:end-off]
	}
	if len(p) == 0 {
		return 0, err
	}
	if end > n.size {
		m.used += taken(end) - taken(n.size)
		n.size = end
	}
	n.live.write(p, off)
	n.changed = m.tick()
	m.log(n, off, p)
	return len(p), err
}

// log remembers a write until it is synced.
func (m *Mem) log(n *node, off int64, p []byte) {
	if m.cfg.Safe {
		return
	}
	m.seq++
	w := write{seq: m.seq, off: off, n: int64(len(p)), size: n.size}
	for rest := p; len(rest) > 0; rest = rest[min(len(rest), pageSize):] {
		if k := min(len(rest), pageSize); !bytes.Equal(rest[:k], zeros[:k]) {
			w.data = bytes.Clone(p)
			break
		}
	}
	n.unsynced = append(n.unsynced, w)
}

// sync makes durable what the file has, or, if a Sync has ever failed, what was written since it did.
func (f *file) sync() {
	if f.lost {
		for _, w := range f.unsynced {
			w.apply(&f.synced, w.off, w.off+w.n)
		}
	} else {
		f.synced = f.live.snapshot()
	}
	f.syncedSize, f.unsynced = f.size, nil
}

// lose is a Sync that fails: the kernel has tried, given up and taken what was unsynced for clean. It stays readable.
func (f *file) lose() {
	f.unsynced, f.lost = nil, true
}

// apply writes the part of w from one offset in the file to another.
func (w write) apply(to *pages, from, end int64) {
	if w.data == nil {
		to.clear(from, end-from)
	} else {
		to.write(w.data[from-w.off:end-w.off], from)
	}
}

// lose is what [Faulty] does to a file whose Sync it fails.
func (f *memFile) lose() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.lose()
}
