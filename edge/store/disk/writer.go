package disk

import (
	"slices"
	"sync"
	"sync/atomic"

	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
)

const (
	// bufferSize is how much is gathered before it is written, in octets; in small segments a quarter of them, but minBuffer, which is more than
	// a segment begins with.
	bufferSize = 4 << 20
	minBuffer  = 2 * record.SegmentHeaderSize
	// maxOuts is how many full buffers of a segment wait to be written, so that the disk need not wait for the next one.
	maxOuts = 2
	// numBuffers is how many buffers a disk has: one for each open segment, those that are full, and the next one.
	numBuffers = int(classes) + maxOuts + 1
)

// full is a buffer that is to be written, and where in the file it begins.
type full struct {
	base int64
	b    []byte
}

func (f *full) end() int64 { return f.base + int64(len(f.b)) }

// writer fills a segment.
type writer struct {
	segment *segment
	class   class

	expiry  uint32 // the last of the records'; for whoever has the lane's turn, as is forever
	forever bool   // one of them never expires

	io    chan struct{} // holds a token of whoever writes to the file
	fresh atomic.Bool   // the buffer was begun when another was full, and nobody has looked at it since

	// mu guards the following. Tail and entries are changed by whoever has the lane's turn, who need not lock to read them.
	mu      sync.RWMutex
	entries []record.Entry
	tail    int64 // where the next record goes
	flushed int64 // what is before is in the file
	base    int64 // where in the file buf begins
	buf     []byte
	outs    []full        // in the order of the file, maxOuts at most
	written chan struct{} // closed when there is room in outs again; nil if there is
	err     error         // of the first write that failed; the segment is lost from there on
}

// newWriter fills a segment from a place on, with a buffer of the volume's.
func newWriter(g *segment, c class, tail int64, buf []byte) *writer {
	w := &writer{segment: g, class: c, io: make(chan struct{}, 1), tail: tail, flushed: tail, base: tail, buf: buf[:0]}
	g.writer.Store(w)
	return w
}

// room is how many octets of a record fit in, if it makes so many entries in the footer.
func (w *writer) room(entries int) int64 {
	return w.segment.size - w.tail - record.FooterSize(len(w.entries)+entries)
}

// maxEntries bounds the memory for entries of an open segment.
func (w *writer) maxEntries() int { return int(max(w.segment.size/512, 8)) }

func (w *writer) fits(size int64, entries int) bool {
	return size <= w.room(entries) && len(w.entries)+entries <= w.maxEntries()
}

// add appends a record. spare returns an empty buffer when the one in use is full; it returns nil when there will be none.
func (w *writer) add(d *record.Draft, body store.Body, seq uint64, spare func() []byte) (*record.Header, error) {
	size := d.Size()
	unit := uint32(w.tail / record.Unit) //nolint:gosec // a segment has 2^20 units
	head := d.Append(nil, w.segment.salt, unit, seq)
	end := w.tail + size
	w.put(head, spare)
	for p := range body.Slice(0, body.Len()) {
		w.put(p, spare)
	}
	w.put(make([]byte, max(0, end-w.tail)), spare)
	w.age(d.Header.Kind, d.Header.Expiry)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err // it takes the place of nothing
	}
	w.entries = record.AppendEntries(w.entries, &d.Header, d.Targets)
	return &d.Header, nil
}

// age notes when a record expires.
func (w *writer) age(k record.Kind, expiry uint32) {
	if k == record.Object {
		w.forever = w.forever || expiry == 0
		w.expiry = max(w.expiry, expiry)
	}
}

// end returns when all records have expired; 0 is never.
func (w *writer) end() uint32 {
	if w.forever {
		return 0
	}
	return w.expiry
}

// put copies octets to the end of the buffer.
func (w *writer) put(p []byte, spare func() []byte) {
	for len(p) > 0 {
		w.mu.Lock()
		n := min(len(p), cap(w.buf)-len(w.buf))
		if w.err != nil {
			n = 0
			w.tail += int64(len(p))
			p = nil
		}
		w.buf = append(w.buf, p[:n]...)
		w.tail += int64(n)
		full := len(w.buf) == cap(w.buf) && w.err == nil
		w.mu.Unlock()
		p = p[n:]
		if full {
			w.spill(spare)
		}
	}
}

// pending returns what is closed when another buffer may become full, or nil if it may now.
func (w *writer) pending() chan struct{} {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.written
}

// spill hands the full buffer over to be written and goes on in another.
func (w *writer) spill(spare func() []byte) {
	if before := w.pending(); before != nil {
		<-before
	}
	next := spare()
	w.mu.Lock()
	defer w.mu.Unlock()
	if next == nil {
		w.err = errClosed
		return
	}
	if w.outs = append(w.outs, full{w.base, w.buf}); len(w.outs) == maxOuts {
		w.written = make(chan struct{})
	}
	w.base += int64(len(w.buf))
	w.buf = next[:0]
	w.fresh.Store(true)
	w.segment.volume.store.wg.Go(func() { _ = w.flush(false) }) // the error is in w
}

// flush writes the first of the full buffers, if there is one, and if all is set everything else. An error is the first that there was.
func (w *writer) flush(all bool) error {
	w.io <- struct{}{}
	defer func() { <-w.io }()
	for {
		w.mu.RLock()
		p, off, err := w.buf, w.base, w.err
		from := w.flushed
		if len(w.outs) > 0 {
			p, off = w.outs[0].b, w.outs[0].base
			from = max(off, w.flushed&^(block-1)) // with whole blocks, of which the first may be there in part: that goes past the page cache
		}
		switch {
		case err != nil: // what came before is not in the file
			p = nil
		case all || len(w.outs) > 0:
			p, off = p[from-off:], from
		default:
			p = nil
		}
		again := int(w.flushed - from)
		w.mu.RUnlock()
		if err == nil && len(p) > 0 {
			err = w.segment.write(p, off)
		}
		if more := w.wrote(len(p)-again, err); !more || !all {
			return err
		}
	}
}

// wrote notes that so many octets more are in the file, and reports whether there is more to write.
func (w *writer) wrote(n int, err error) (more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.err = err
	default:
		w.flushed += int64(n)
	}
	if len(w.outs) == 0 || err == nil && w.flushed < w.outs[0].end() {
		return false
	}
	done := 1
	if err != nil {
		done = len(w.outs)
	}
	for _, out := range w.outs[:done] {
		w.segment.volume.buffers <- out.b // there is room for all
	}
	w.outs = slices.Delete(w.outs, 0, done)
	if w.written != nil {
		close(w.written)
		w.written = nil
	}
	return err == nil
}

// finish gives the buffer back when everything is in the file, or never will be.
func (w *writer) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf != nil {
		w.segment.volume.buffers <- w.buf[:0]
		w.buf = nil
		w.base = w.flushed
	}
}

// copyTail copies into p, the octets from off on, those that are not in the file, and returns how many at the front of p are.
func (w *writer) copyTail(p []byte, off int64) (inFile int) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if off+int64(len(p)) <= w.flushed {
		return len(p)
	}
	inFile = int(max(0, w.flushed-off))
	clear(p[inFile:])
	for part := range w.inMemory {
		from, to := max(off+int64(inFile), part.base), min(off+int64(len(p)), part.end())
		if from < to {
			copy(p[from-off:to-off], part.b[from-part.base:])
		}
	}
	return inFile
}

// inMemory yields the buffers in the order of the file. w.mu must be held.
func (w *writer) inMemory(yield func(full) bool) {
	for _, out := range w.outs {
		if !yield(out) {
			return
		}
	}
	yield(full{w.base, w.buf})
}

// footer is what the segment ends with as it is now.
func (w *writer) footer(sealed bool) []byte {
	t := record.Trailer{Sealed: sealed, Class: uint8(w.class), Tail: w.tail, Expiry: w.end()}
	return record.AppendFooter(make([]byte, 0, record.FooterSize(len(w.entries))), w.entries, t, w.segment.salt)
}

// until is where the records end.
func (w *writer) until() int64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.tail
}

// list returns the entries so far.
func (w *writer) list() []record.Entry {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.entries // what is there is not changed any more
}
