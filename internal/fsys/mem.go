package fsys

import (
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MemConfig says what a [Mem] is like. Its zero value is usable.
type MemConfig struct {
	// Capacity is how many octets of files fit, counted in pages of 4 KiB and whether zeros or not. 0: as many as one likes.
	Capacity int64
	// Now is the clock of File.Changed. nil: one that only counts. Whatever it says, no two changes are at the same time.
	Now func() time.Time
	// Safe makes everything durable at once, so that nothing has to be remembered of what a power cut could lose: for
	// simulators, whose terabytes nobody syncs.
	Safe bool
}

// Mem is a file system in memory, with all paths below one root. Pages of zeros take no memory. It remembers what has
// been synced and what was done since, so that [Mem.Crash] can tell what a power cut may leave. It is safe for concurrent
// use.
type Mem struct {
	cfg MemConfig

	mu      sync.RWMutex
	root    *node
	used    int64     // octets, of what is named or open
	last    time.Time // of the latest change
	seq     uint64    // of the latest operation that a power cut can undo
	nodes   uint64    // made so far
	pending []dirOp   // not yet SyncDir-ed, in order
}

var _ FS = (*Mem)(nil)

// node is a file or a directory.
type node struct {
	id   uint64
	dir  map[string]*node // of a directory: the names in it
	kept map[string]*node // of a directory: those that a power cut leaves
	file
	links, open int // of a file: its names and its users
}

// dirOp is a change of directories that happens whole or not at all.
type dirOp struct {
	seq   uint64
	edits []edit
}

// edit gives a name to a node, or takes it away (nil).
type edit struct {
	dir  *node
	name string
	node *node
}

// NewMem returns an empty file system, of nothing but "/".
func NewMem(cfg MemConfig) *Mem {
	m := &Mem{cfg: cfg, last: time.Unix(0, 0)}
	m.root = m.newDir()
	return m
}

func (m *Mem) newDir() *node {
	m.nodes++
	return &node{id: m.nodes, dir: make(map[string]*node), kept: make(map[string]*node)}
}

// Open implements [FS].
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	n.open++
	return &memFile{fs: m, node: n, name: name}, nil
}

// Create implements [FS].
func (m *Mem) Create(name string, size int64) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create(name, size)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	n.open++
	return &memFile{fs: m, node: n, name: name}, nil
}

func (m *Mem) create(name string, size int64) (*node, error) {
	dir, base, err := m.parent(name)
	switch {
	case err != nil:
		return nil, err
	case dir.dir[base] != nil:
		return nil, syscall.EEXIST
	case size < 0:
		return nil, syscall.EINVAL
	case size > maxSize:
		return nil, syscall.EFBIG
	case taken(size) > m.room():
		return nil, syscall.ENOSPC
	}
	m.nodes++
	n := &node{id: m.nodes}
	n.live.owner, n.synced.owner = new(owner), new(owner)
	m.commit(edit{dir, base, n})
	if size > 0 { // a step of its own: a power cut may leave the name without it
		m.used += taken(size)
		n.size = size
		m.log(n, 0, nil)
	}
	n.changed = m.tick()
	return n, nil
}

// Remove implements [FS].
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil {
		n := dir.dir[base]
		switch {
		case n == nil:
			err = syscall.ENOENT
		case len(n.dir) > 0:
			err = syscall.ENOTEMPTY
		default:
			m.commit(edit{dir, base, nil})
		}
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// Rename implements [FS].
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (m *Mem) rename(from, to string) error {
	fromDir, fromBase, err := m.parent(from)
	if err != nil {
		return err
	}
	toDir, toBase, err := m.parent(to)
	if err != nil {
		return err
	}
	n, old := fromDir.dir[fromBase], toDir.dir[toBase]
	switch {
	case n == nil:
		return syscall.ENOENT
	case n == old:
		return nil
	case old != nil && old.dir != nil:
		return syscall.EEXIST
	case old != nil && n.dir != nil:
		return syscall.ENOTDIR
	case n.dir != nil && strings.HasPrefix(clean(to), clean(from)+"/"):
		return syscall.EINVAL
	}
	m.commit(edit{toDir, toBase, n}, edit{fromDir, fromBase, nil})
	return nil
}

// ReadDir implements [FS].
func (m *Mem) ReadDir(name string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.walkDir(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return slices.Sorted(maps.Keys(n.dir)), nil
}

// MkdirAll implements [FS].
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.root
	for _, elem := range elems(name) {
		kid := at.dir[elem]
		switch {
		case kid == nil:
			kid = m.newDir()
			m.commit(edit{at, elem, kid})
		case kid.dir == nil:
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		at = kid
	}
	return nil
}

// Free implements [FS].
func (m *Mem) Free(name string) (int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.walk(name); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return m.room(), nil
}

// Resident returns how many octets of memory the files' content takes, at most: clones share what did not change since.
func (m *Mem) Resident() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var n int64
	for l := range m.reachable() {
		n += l.live.root.resident() * pageSize
	}
	return n
}

// room returns how many octets more fit.
func (m *Mem) room() int64 {
	if m.cfg.Capacity == 0 {
		return math.MaxInt64
	}
	return max(0, m.cfg.Capacity-m.used) / pageSize * pageSize
}

// tick returns the time of a change.
func (m *Mem) tick() time.Time {
	next := m.last.Add(1)
	if m.cfg.Now != nil {
		if now := m.cfg.Now(); now.After(next) {
			next = now
		}
	}
	m.last = next
	return next
}

// walk finds a node.
func (m *Mem) walk(name string) (*node, error) {
	at := m.root
	for _, elem := range elems(name) {
		if at.dir == nil {
			return nil, syscall.ENOTDIR
		}
		if at = at.dir[elem]; at == nil {
			return nil, syscall.ENOENT
		}
	}
	return at, nil
}

// find finds a file.
func (m *Mem) find(name string) (*node, error) {
	n, err := m.walk(name)
	if err == nil && n.dir != nil {
		err = syscall.EISDIR
	}
	return n, err
}

// walkDir finds a directory.
func (m *Mem) walkDir(name string) (*node, error) {
	n, err := m.walk(name)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	return n, err
}

// parent finds the directory of a name that need not be there.
func (m *Mem) parent(name string) (dir *node, base string, err error) {
	name = clean(name)
	if name == "/" {
		return nil, "", syscall.EBUSY
	}
	dir, err = m.walkDir(path.Dir(name))
	return dir, path.Base(name), err
}

func clean(name string) string { return path.Clean("/" + name) }

func elems(name string) []string {
	return strings.FieldsFunc(clean(name), func(r rune) bool { return r == '/' })
}

// taken returns the room that a file takes.
func taken(size int64) int64 { return (size + pageSize - 1) / pageSize * pageSize }
