package fsys

import (
	"io/fs"
	"slices"
	"syscall"
)

// Rot flips a bit of a file as a bad disk does: nobody is told. Bits count from 0, the lowest of the first octet.
func (m *Mem) Rot(name string, bit int64) error { return m.flip(name, bit, false) }

// Tamper is [Mem.Rot] as another program does it: with a new time of change.
func (m *Mem) Tamper(name string, bit int64) error { return m.flip(name, bit, true) }

func (m *Mem) flip(name string, bit int64, told bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && (bit < 0 || bit/8 >= n.size) {
		err = syscall.EINVAL
	}
	if err != nil {
		return &fs.PathError{Op: "flip a bit of", Path: name, Err: err}
	}
	n.flip(bit/8, 1<<(bit%8))
	if told {
		n.changed = m.tick()
	}
	return nil
}

// Truncate shortens a file, as another program does it: durably, and with a new time of change.
func (m *Mem) Truncate(name string, size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && (size < 0 || size > n.size) {
		err = syscall.EINVAL
	}
	if err != nil {
		return &fs.PathError{Op: "truncate", Path: name, Err: err}
	}
	n.live.clear(size, n.size-size)
	m.used -= taken(n.size) - taken(size)
	n.size, n.changed, n.lost = size, m.tick(), false
	n.sync()
	return nil
}

// flip changes an octet wherever it is, so that it stays flipped whatever is lost.
func (f *file) flip(off int64, mask byte) {
	for _, t := range []*pages{&f.live, &f.synced} {
		var b [1]byte
		t.read(b[:], off)
		b[0] ^= mask
		t.write(b[:], off)
	}
	f.unsynced = slices.Clone(f.unsynced)
	for i, w := range f.unsynced {
		if off < w.off || off >= w.off+w.n {
			continue
		}
		data := make([]byte, w.n)
		copy(data, w.data)
		data[off-w.off] ^= mask
		f.unsynced[i].data = data
	}
}
