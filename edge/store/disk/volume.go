package disk

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"nearcast/edge/store/disk/index"
	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

const (
	superName  = "superblock"
	lockName   = "lock"
	segmentEnd = ".segment"
	// maxReadErrors is how many reads of a disk may fail before it is taken out.
	maxReadErrors = 16
)

// volume is one disk.
type volume struct {
	store   *Store
	fs      fsys.FS
	log     *slog.Logger
	path    string
	size    int64 // octets that its files may take
	segSize int64 // of new segments
	lot     uint64
	index   *index.Index
	lock    io.Closer // nil where there are no locks
	readers *readers
	buffers chan []byte // those that are not in use; an empty one is made when it is needed

	failure  atomic.Pointer[error] // set once: the disk is out
	lapped   atomic.Bool
	slots    []atomic.Pointer[segment] // by the number that the index has
	lanes    [classes]lane
	ready    chan struct{}          // closed when it is known which segments are to be filled further
	kick     chan struct{}          // there is something to reclaim
	dirty    chan struct{}          // there is something to flush
	unsynced chan struct{}          // there is something to sync
	sealing  chan struct{}          // holds a token while a segment is sealed
	ending   atomic.Pointer[writer] // of the segment that is being sealed, if that was in a lane
	counts   counts
	checked  checked

	clearing latch // held by whoever removes segments
	credit   int64 // how much may be written again, in octets; guarded by clearing

	super   record.Super // guarded by Store.session
	told    int          // records that the segments have by their ends; for rebuild
	foreign bool         // its superblock was damaged or is not of this store: it begins empty

	mu        sync.Mutex          // guards the following
	segments  map[uint64]*segment // all with records, by number, until their removal is durable
	free      []*segment          // made and empty, oldest first
	lingering []*segment          // gone, but somebody holds their files, oldest first
	stocked   chan struct{}       // closed when there is one more of them
	freeSlots []uint32
	next      uint64 // number of the next segment
	used      int64  // octets of all files
	knowing   bool   // all segments have been read
}

// newVolume opens a disk. Only what the operator must mend before anything else is an error; whatever else is
// wrong takes the disk out.
func (s *Store) newVolume(d Disk) (*volume, error) {
	segSize := min(s.config.SegmentSize, d.Size/minSegments&^4095)
	v := &volume{
		store: s, fs: s.fs, log: s.log.With("disk", d.Path), path: d.Path, size: d.Size, segSize: segSize, credit: segSize,
		index: index.New(), readers: newReaders(), buffers: make(chan []byte, numBuffers),
		ready: make(chan struct{}), kick: make(chan struct{}, 1), dirty: make(chan struct{}, 1), unsynced: make(chan struct{}, 1), sealing: make(chan struct{}, 1),
		stocked: make(chan struct{}), segments: make(map[uint64]*segment), clearing: newLatch(),
	}
	for range numBuffers {
		v.buffers <- nil
	}
	for i := range v.lanes {
		v.lanes[i].turn = make(chan struct{}, 1)
	}
	err := v.open()
	var version *record.VersionError
	switch {
	case errors.As(err, &version), errors.Is(err, fsys.ErrLocked):
		v.close()
		return nil, fmt.Errorf("disk: %s: %w", d.Path, err)
	case err != nil:
		v.fail(fmt.Errorf("opening it: %w", err))
	}
	return v, nil
}

// open takes the lock and reads the superblock.
func (v *volume) open() error {
	if err := fsys.MakeDir(v.fs, v.path); err != nil {
		return err
	}
	if l, ok := v.fs.(fsys.Locker); ok {
		lock, err := l.Lock(path.Join(v.path, lockName))
		if err != nil {
			return err
		}
		v.lock = lock
	}
	names, err := v.fs.ReadDir(v.path)
	if err != nil {
		return err
	}
	v.makeSlots(names)
	b, err := v.readSuper()
	if errors.Is(err, syscall.ENOENT) {
		v.foreign = true
		return nil
	} else if err != nil {
		return err
	}
	v.super, err = record.ParseSuper(b)
	if errors.Is(err, record.ErrDamaged) {
		v.log.Error("the superblock is damaged: the disk begins empty")
		v.foreign = true
		return nil
	}
	v.countBoots(names)
	return err
}

// countBoots notes by the numbers of the segments that the newer slot of the superblock has been lost: no number is given twice.
func (v *volume) countBoots(names []string) {
	lost := v.super.Boot + 1
	for _, name := range names {
		if n, ok := numberOf(name); ok && n>>32 == lost {
			v.super.Boot = lost
		}
	}
}

func (v *volume) makeSlots(names []string) {
	n := min(len(names)+int(v.size/v.segSize)+16, index.MaxSegment+1)
	v.slots = make([]atomic.Pointer[segment], n)
	for i := range n {
		v.freeSlots = append(v.freeSlots, uint32(n-1-i)) //nolint:gosec // bounded by MaxSegment
	}
}

func (v *volume) readSuper() ([]byte, error) {
	f, err := v.fs.Open(path.Join(v.path, superName))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	b := make([]byte, record.SuperSize)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil // a short one is damaged
	}
	return b[:n], err
}

// writeSuper makes the superblock durable.
func (v *volume) writeSuper() error {
	name := path.Join(v.path, superName)
	f, err := v.fs.Open(name)
	if errors.Is(err, syscall.ENOENT) {
		f, err = v.fs.Create(name, record.SuperSize)
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it is synced
	next := v.super
	next.Serial++
	b, off := next.Slot()
	if _, err := f.WriteAt(b, off); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing the superblock: %w", err)
	}
	v.super.Serial = next.Serial // not before: the other slot is the one that is good
	return v.fs.SyncDir(v.path)
}

// wipe removes what is on the disk and gives it a new identity.
func (v *volume) wipe(seed record.Identity) error {
	numbers, err := v.list()
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := v.fs.Remove(v.segmentName(n)); err != nil {
			return err
		}
	}
	v.super = record.Super{Disk: randomIdentity(), Seed: seed, Serial: v.super.Serial}
	v.foreign = false
	return v.fs.SyncDir(v.path)
}

func (v *volume) segmentName(number uint64) string {
	return path.Join(v.path, fmt.Sprintf("%016x%s", number, segmentEnd))
}

// list returns the numbers of the segment files, ascending. Other files are none of ours, nor is what has a number that was not given yet.
func (v *volume) list() ([]uint64, error) {
	names, err := v.fs.ReadDir(v.path)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := numberOf(name); ok && (v.foreign || n>>32 != 0 && n>>32 <= v.super.Boot) {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// numberOf returns the number of the segment file of a name.
func numberOf(name string) (n uint64, ok bool) {
	hex, ok := strings.CutSuffix(name, segmentEnd)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, err == nil
}

// dead reports whether the disk has been taken out.
func (v *volume) dead() bool { return v.failure.Load() != nil }

// fail takes the disk out: what is on it is not found any more, and nothing is written to it.
func (v *volume) fail(err error) {
	if !v.failure.CompareAndSwap(nil, &err) {
		return
	}
	v.log.Error("the disk is taken out of service: what is on it is missing until the program starts again with a disk that works", "error", err)
	v.index.Clear()
	v.store.regroup()
}

// wrote judges the error of a write, a sync or of making a file. A lack of room or of descriptors is no defect of the disk.
func (v *volume) wrote(err error) {
	if err == nil {
		return
	}
	v.counts.ioErrors.Add(1)
	if !transient(err) {
		v.fail(err)
	}
}

// misread counts a read that failed. Those that did not reach the disk do not count.
func (v *volume) misread(err error) {
	if transient(err) || v.store.isClosed() {
		return
	}
	n := v.counts.readErrors.Add(1)
	v.counts.ioErrors.Add(1)
	v.log.Warn("a read failed", "error", err, "times", n)
	if n >= maxReadErrors {
		v.fail(fmt.Errorf("%d reads failed, the last one: %w", n, err))
	}
}

// transient reports whether an error tells of a lack that may pass.
func transient(err error) bool {
	for _, e := range [...]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// at returns the segment of a slot, or nil.
func (v *volume) at(slot uint32) *segment {
	if int(slot) >= len(v.slots) {
		return nil
	}
	return v.slots[slot].Load()
}

// all returns the segments with records, those that were made last first.
func (v *volume) all() []*segment {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := make([]*segment, 0, len(v.segments))
	for _, g := range v.segments {
		list = append(list, g)
	}
	newestFirst(list)
	return list
}

// poke wakes whoever waits at a channel of capacity one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// close gives back files, memory and the lock.
func (v *volume) close() {
	v.index.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, g := range v.segments {
		g.shut()
	}
	for _, g := range v.free {
		g.shut()
	}
	for _, g := range v.lingering {
		g.deadline.Stop()
		g.shut()
	}
	v.lingering = nil
	if v.lock != nil {
		_ = v.lock.Close() // nothing is left to do about it
		v.lock = nil
	}
}
