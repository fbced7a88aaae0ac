package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

// errGone says that the room of a record has been given up.
var errGone = errors.New("disk: the segment is gone")

// segment is one file of the log.
type segment struct {
	volume *volume
	number uint64
	slot   uint32
	size   int64 // of the file
	salt   record.Salt

	writer  atomic.Pointer[writer] // while it has records that are not in the file
	changed atomic.Int64           // when the file was last written to by us, as the file system says, in Unix nanoseconds
	strange atomic.Int64           // how often somebody else wrote to it, as far as that was noticed
	spoilt  atomic.Bool            // its footer has been found to be damaged
	writing atomic.Bool            // we are writing to it: nobody can tell who changed it

	// door is held for reading by whoever reads from the file. Whoever takes the segment away waits until all are out, and
	// nobody waits to get in: the segment is as good as gone then.
	door sync.RWMutex
	gone atomic.Bool  // changed under door
	held atomic.Int64 // see hold

	syncing  latch // held by whoever syncs
	unsynced error // of a sync that failed; guarded by syncing

	mu   sync.Mutex // held by whoever opens or closes the file
	file atomic.Pointer[fsys.File]

	// Guarded by volume.mu.
	known    bool        // what is in it is in the index
	sealed   bool        // it takes no more records
	class    class       // of its records, if it was there at the start
	lost     bool        // it could not be written to the end: it goes at once
	expiry   uint32      // when all that is in it is of no use any more; 0: never
	tail     int64       // where its records end
	deadline *time.Timer // while it lingers: when it goes
}

// newestFirst sorts segments by number.
func newestFirst(list []*segment) {
	slices.SortFunc(list, func(a, b *segment) int { return cmp.Compare(b.number, a.number) })
}

// newSegmentLocked makes the segment of a file. volume.mu must be held.
func (v *volume) newSegmentLocked(number uint64, size int64) (*segment, error) {
	n := len(v.freeSlots)
	if n == 0 {
		return nil, fmt.Errorf("disk: more than %d segments", len(v.slots))
	}
	g := &segment{volume: v, number: number, slot: v.freeSlots[n-1], size: size, salt: record.NewSalt(v.super.Disk, number), syncing: newLatch()}
	v.freeSlots = v.freeSlots[:n-1]
	v.used += size
	v.slots[g.slot].Store(g)
	return g, nil
}

// enter lets a reader in, until leave. It reports false if the segment is gone.
func (g *segment) enter() bool {
	if !g.door.TryRLock() {
		return false
	}
	if g.gone.Load() {
		g.door.RUnlock()
		return false
	}
	return true
}

func (g *segment) leave() { g.door.RUnlock() }

// handle returns the open file.
func (g *segment) handle() (fsys.File, error) {
	if f := g.file.Load(); f != nil {
		return *f, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.file.Load(); f != nil {
		return *f, nil
	}
	f, err := g.volume.fs.Open(g.volume.segmentName(g.number))
	if err != nil {
		return nil, err
	}
	return f, g.use(f)
}

// use makes f the segment's open file.
func (g *segment) use(f fsys.File) error {
	t, err := f.Changed()
	if err != nil {
		_ = f.Close() // nothing was written
		return err
	}
	g.changed.Store(t.UnixNano())
	g.file.Store(&f)
	return nil
}

// shut closes the file.
func (g *segment) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.file.Swap(nil); f != nil {
		_ = (*f).Close() // what had to be durable was synced
	}
}

// write writes to the file and remembers when. One writer at a time.
func (g *segment) write(p []byte, off int64) error {
	f, err := g.handle()
	if err != nil {
		return err
	}
	g.foreign(f)
	g.writing.Store(true)
	defer g.writing.Store(false)
	n, err := f.WriteAt(p, off)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if t, changedErr := f.Changed(); changedErr == nil {
		g.changed.Store(t.UnixNano())
	}
	if err != nil {
		return fmt.Errorf("writing %d octets at %d of segment %016x: %w", len(p), off, g.number, err)
	}
	return nil
}

// foreign reports whether somebody else may have written to the file since we last did, and notes it.
func (g *segment) foreign(f fsys.File) bool {
	before := g.changed.Load()
	t, err := f.Changed()
	switch {
	case err == nil && t.UnixNano() == before:
		return false
	case err == nil && !g.writing.Load() && g.changed.CompareAndSwap(before, t.UnixNano()):
		g.strange.Add(1)
	}
	return true
}

// sync makes what was written durable. An error stays: what was to be synced then may be lost, whatever another sync would say.
func (g *segment) sync() error {
	g.syncing.Lock()
	defer g.syncing.Unlock()
	if g.unsynced != nil {
		return g.unsynced
	}
	f, err := g.handle()
	if err != nil {
		return fmt.Errorf("syncing segment %016x: %w", g.number, err)
	}
	if err := f.Sync(); err != nil {
		g.unsynced = fmt.Errorf("syncing segment %016x: %w", g.number, err)
	}
	return g.unsynced
}

// remove takes the segment off the disk. What is in the index of it goes too.
func (v *volume) remove(g *segment) error {
	g.close()
	v.index.RemoveSegment(g.slot)
	if err := v.unlink(g.number); err != nil {
		return err
	}
	// Before that is durable, the file may come back: others must go on saying what in it has been replaced.
	if err := v.fs.SyncDir(v.path); err != nil {
		return err
	}
	v.dismiss(g)
	return nil
}

// unlink removes the file of a segment, unless that has been done: it is tried again when only the directory could not be synced.
func (v *volume) unlink(number uint64) error {
	if err := v.fs.Remove(v.segmentName(number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dismiss gives back what a segment took, after its removal has become durable.
func (v *volume) dismiss(g *segment) {
	v.mu.Lock()
	delete(v.segments, g.number)
	v.slots[g.slot].CompareAndSwap(g, nil)
	v.freeSlots = append(v.freeSlots, g.slot)
	var over *segment
	if g.file.Load() == nil {
		v.used -= g.size
	} else {
		over = v.lingerLocked(g)
	}
	v.mu.Unlock()
	if over != nil {
		over.expel()
	}
}

// exists reports whether records of a segment may still be on the disk.
func (v *volume) exists(number uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.segments[number] != nil
}

// over reports whether all records of a segment are of no use any more.
func (g *segment) overLocked(now time.Time) bool { return expired(g.expiry, now) }
