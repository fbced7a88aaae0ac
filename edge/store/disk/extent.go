package disk

import (
	"cmp"
	"io"
	"sync/atomic"
	"time"

	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

const (
	// minExtent is the size from which bodies come as extents, in octets.
	minExtent = 64 << 10
	// freshFor is how long after its checksums were compared an extent may be sent as it is.
	freshFor = 10 * time.Second
	// verifyAtOnce is how much is read at a time for that, in octets: a multiple of a chunk.
	verifyAtOnce = 4 * record.Chunk
)

// extent is a body in a segment file.
type extent struct {
	volume   *volume
	segment  *segment
	hash     uint64
	entry    entry
	offset   int64        // in the file
	end      int64        // likewise
	verified atomic.Int64 // when, in Unix nanoseconds; zero for never
	strange  atomic.Int64 // the segment's then
}

// Use implements [store.Extent].
func (x *extent) Use(f func(fd int, offset int64)) bool {
	file := x.enter()
	defer x.segment.door.RUnlock()
	if file == nil || file.Fd() < 0 {
		return false
	}
	f(file.Fd(), x.offset)
	return true
}

// ReadAt implements [store.Extent].
func (x *extent) ReadAt(p []byte, off int64) (int, error) {
	file := x.enter()
	defer x.segment.door.RUnlock()
	if file == nil || off < 0 || off+int64(len(p)) > x.end-x.offset {
		return 0, errGone
	}
	n, err := file.ReadAt(p, x.offset+off)
	if n == len(p) {
		return n, nil
	}
	return n, cmp.Or(err, io.ErrUnexpectedEOF)
}

// enter lets a reader in, who holds the segment's door then. There is no file if the octets are gone. Who holds the segment finds it though it
// has been given up, or the disk has: one that takes no more writes may well be read.
func (x *extent) enter() fsys.File {
	g := x.segment
	g.door.RLock()
	if x.volume.dead() && g.held.Load() == 0 || g.gone.Load() && g.file.Load() == nil {
		return nil
	}
	file, err := g.handle()
	if err != nil || !x.inFile() {
		return nil
	}
	return file
}

// extent returns where the body is, or nil if it is not in the file yet. The segment's door must be held.
func (f *found) extent(hash uint64) *extent {
	x := f.extentAt(hash)
	if !x.inFile() {
		return nil
	}
	file, err := f.segment.handle()
	if err != nil || file.Fd() < 0 {
		return nil
	}
	f.segment.foreign(file)
	x.strange.Store(f.segment.strange.Load())
	return x
}

// extentAt returns where the body is, or will be once it is in the file.
func (f *found) extentAt(hash uint64) *extent {
	offset := int64(f.entry.Offset)*record.Unit + f.Header.BodyOffset()
	return &extent{volume: f.volume, segment: f.segment, hash: hash, entry: f.entry, offset: offset, end: offset + f.Header.Body}
}

// inFile reports whether the body has been written to the file.
func (x *extent) inFile() bool {
	w := x.segment.writer.Load()
	return w == nil || w.inFile(x.end)
}

// Renew compares the checksums of a body in a file again, so that [Store.Fresh] is true, and reports whether they are right.
func (s *Store) Renew(o *store.Object) bool {
	e, _ := o.Body.Extent()
	x, ok := e.(*extent)
	if !ok || s.isClosed() || x.volume.dead() || !x.segment.enter() {
		return false
	}
	defer x.segment.leave()
	if !x.inFile() {
		return false
	}
	file, err := x.segment.handle()
	if err != nil || file.Fd() < 0 {
		return false
	}
	x.segment.foreign(file)
	x.verified.Store(0)
	x.strange.Store(x.segment.strange.Load())
	f, err := x.volume.look(x.segment, x.entry)
	if err == nil && !f.Is(o.Key, o.Variant) {
		err = record.ErrDamaged
	}
	if err == nil {
		err = x.verify(f)
	}
	if err != nil {
		x.volume.spoiled(x.hash, x.entry, err)
		return false
	}
	return true
}

// inFile reports whether everything before an offset has been written to the file.
func (w *writer) inFile(end int64) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return end <= w.flushed
}

// verify compares the checksums of the body, unless that was done a short while ago. The segment's door must be held.
func (x *extent) verify(f *found) error {
	if x.volume.checked.recall(x) {
		return nil
	}
	at := x.volume.store.now()
	buf, ok := x.volume.store.scratch.Get().(*[]byte)
	if !ok {
		b := make([]byte, verifyAtOnce)
		buf = &b
	}
	defer x.volume.store.scratch.Put(buf)
	for done := int64(0); done < f.Header.Body; {
		p := (*buf)[:min(verifyAtOnce, f.Header.Body-done)]
		if err := x.volume.read(x.segment, p, x.offset+done); err != nil {
			return err
		}
		for chunk := p; len(chunk) > 0; {
			n := min(len(chunk), record.Chunk)
			if !f.Check(int(done/record.Chunk), chunk[:n]) {
				return record.ErrDamaged
			}
			chunk, done = chunk[n:], done+int64(n)
		}
	}
	x.verified.Store(at.UnixNano())
	x.volume.checked.note(x)
	return nil
}

// Fresh reports whether the body of an object that Get returned may be sent out of the file as it is: its checksums were compared less than 10 s
// ago, and nobody but the store has written to the file since. A body in memory always is.
func (s *Store) Fresh(o *store.Object) bool {
	e, _ := o.Body.Extent()
	if e == nil {
		return true
	}
	x, ok := e.(*extent)
	if !ok || s.isClosed() || x.volume.dead() {
		return false
	}
	age := s.now().UnixNano() - x.verified.Load()
	if age < 0 || age >= int64(freshFor) || !x.segment.enter() {
		return false
	}
	defer x.segment.leave()
	file, err := x.segment.handle()
	return err == nil && !x.segment.foreign(file) && x.segment.strange.Load() == x.strange.Load()
}

// Load returns an object that came from Get or All with its body in memory, every octet of it checked; nil if it is gone or damaged.
func (s *Store) Load(o *store.Object) *store.Object {
	e, from := o.Body.Extent()
	if e == nil {
		return o
	}
	x, ok := e.(*extent)
	if !ok || s.isClosed() || x.volume.dead() {
		return nil
	}
	f, body, err := x.volume.readWhole(x.segment, x.entry)
	if err == nil && !f.Is(o.Key, o.Variant) {
		err = record.ErrDamaged
	}
	if err != nil {
		x.volume.spoiled(x.hash, x.entry, err)
		return nil
	}
	loaded := *o
	loaded.Body = body
	if from != 0 || o.Body.Len() != body.Len() {
		loaded.Body = body.Cut(from, o.Body.Len())
	}
	return &loaded
}
