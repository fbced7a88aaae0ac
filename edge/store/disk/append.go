package disk

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"nearcast/edge/store"
	"nearcast/edge/store/disk/index"
	"nearcast/edge/store/disk/record"
)

// defaultPatience is the [Config.Patience] of those who say nothing.
const defaultPatience = 250 * time.Millisecond

var (
	errClosed = errors.New("disk: the store is closed")
	errBusy   = errors.New("disk: the disk does not keep up")
	errFull   = errors.New("disk: there is no empty segment yet")
	errLarge  = errors.New("disk: larger than a segment")
	errFailed = errors.New("disk: the disk has failed")
)

// lane is the end of the log for one class.
type lane struct {
	turn   chan struct{} // holds a token of whoever appends
	writer *writer       // for whoever has the turn; nil before the first record
}

// entry says where a record is, as the index has it.
type entry = index.Entry

// append writes a record at the end of a lane, and has place put it into the index before anybody can take its segment away. It may wait for
// an empty segment, so its caller must hold nothing that those need who make room: no stripe.
func (v *volume) append(c class, d *record.Draft, body store.Body, place func(e entry)) error {
	return v.patiently(func(deadline *time.Timer) (chan struct{}, error) {
		return v.appendNow(c, d, body, false, deadline, place)
	})
}

// patiently tries something that may need an empty segment until there is one, for as long as patience goes.
func (v *volume) patiently(try func(deadline *time.Timer) (stocked chan struct{}, err error)) error {
	deadline := time.NewTimer(v.store.config.Patience)
	defer deadline.Stop()
	if err := v.await(v.ready, deadline); err != nil {
		return err
	}
	for {
		stocked, err := try(deadline)
		if !errors.Is(err, errFull) {
			return err
		}
		poke(v.kick)
		if err := v.await(stocked, deadline); err != nil {
			return err
		}
	}
}

// appendNow is append, but returns errFull and what to wait for if it takes an empty segment and there is none. mayReserve: it may take the last
// one, which is kept for those who make room. volume.ready must be closed.
func (v *volume) appendNow(
	c class, d *record.Draft, body store.Body, mayReserve bool, deadline *time.Timer, place func(e entry),
) (stocked chan struct{}, err error) {
	l := &v.lanes[c]
	select {
	case l.turn <- struct{}{}:
	case <-deadline.C:
		return nil, errBusy
	}
	defer func() { <-l.turn }()
	if v.dead() {
		return nil, errFailed
	}
	if stocked, err := v.advance(l, c, d, mayReserve, deadline); err != nil {
		return stocked, err
	}
	spare, back, err := v.spares(l.writer, d.Size(), deadline)
	if err != nil {
		return nil, err
	}
	defer back()
	h, err := l.writer.add(d, body, v.store.seq.Add(1), spare)
	if err != nil {
		w := l.writer
		l.writer = nil
		w.finish()
		v.lost(w, err)
		return nil, err
	}
	poke(v.dirty)
	place(v.entryOf(l.writer.segment, h))
	return nil, nil
}

// entryOf is what the index has of a record.
func (v *volume) entryOf(g *segment, h *record.Header) entry {
	return v.indexEntry(g, h.Unit, h.Size(), h.Flags, h.Expiry)
}

func (v *volume) indexEntry(g *segment, unit uint32, size int64, flags record.Flags, expiry uint32) entry {
	e := entry{Location: index.Location{Segment: g.slot, Offset: unit}, Class: index.SizeClass(size)}
	if flags&record.Varies != 0 {
		e.Flags |= index.Varies
	}
	if flags&record.Sliced != 0 {
		e.Flags |= index.Sliced
	}
	if expiry != 0 {
		e.Expiry = index.ExpiryAt(v.store.now(), time.Unix(int64(expiry), 0))
	}
	return e
}

// await waits for a channel to be closed.
func (v *volume) await(c chan struct{}, deadline *time.Timer) error {
	select {
	case <-c:
		return nil
	default:
	}
	select {
	case <-c:
		return nil
	case <-v.store.done:
		return errClosed
	case <-deadline.C:
		return errBusy
	}
}

// advance sees to it that the lane has a segment which the record fits in. Its turn must be held.
func (v *volume) advance(
	l *lane, c class, d *record.Draft, mayReserve bool, deadline *time.Timer,
) (stocked chan struct{}, err error) {
	size, entries := d.Size(), max(1, len(d.Targets))
	if size > v.segSize-record.SegmentHeaderSize-record.FooterSize(entries) {
		return nil, errLarge
	}
	if l.writer != nil && l.writer.fits(size, entries) {
		return nil, nil
	}
	g, stocked := v.take(mayReserve)
	if g == nil {
		return stocked, errFull
	}
	if l.writer != nil {
		select {
		case v.sealing <- struct{}{}:
		case <-deadline.C:
			v.giveBack(g)
			return nil, errBusy
		}
		old := l.writer
		l.writer = nil
		v.ending.Store(old)
		v.store.wg.Go(func() {
			defer func() { <-v.sealing }()
			v.seal(old)
			v.ending.Store(nil)
		})
	}
	return nil, v.begin(l, c, g, deadline)
}

// begin starts a segment.
func (v *volume) begin(l *lane, c class, g *segment, deadline *time.Timer) error {
	buf, err := v.buffer(deadline)
	if err != nil {
		v.giveBack(g)
		return err
	}
	w := newWriter(g, c, 0, buf)
	w.put(record.AppendSegmentHeader(nil, v.super.Disk, g.number, uint8(c)), func() []byte { return nil })
	v.mu.Lock()
	g.known = true
	v.segments[g.number] = g
	v.mu.Unlock()
	l.writer = w
	return nil
}

// buffer returns an empty buffer, as soon as there is one.
func (v *volume) buffer(deadline *time.Timer) ([]byte, error) {
	select {
	case b := <-v.buffers:
		return v.made(b), nil
	case <-deadline.C:
		return nil, errBusy
	}
}

func (v *volume) made(b []byte) []byte {
	if b == nil {
		b = aligned(int(min(bufferSize, max(v.segSize/4, minBuffer))))
	}
	return b[:0]
}

// block is what writes past the page cache are made of, in octets.
const block = 4 << 10

// aligned makes room for n octets that begins at a multiple of a block.
func aligned(n int) []byte {
	b := make([]byte, n+block)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (block - 1)
	return b[skip : skip : skip+n]
}

// spares returns what gives the writer buffers for a record of that size. It has the first one already, so that a record is only begun if it
// need not wait; larger ones than a buffer wait in the middle. back must be called afterwards.
func (v *volume) spares(w *writer, size int64, deadline *time.Timer) (spare func() []byte, back func(), err error) {
	var first []byte
	if size >= int64(cap(w.buf)-len(w.buf)) {
		if before := w.pending(); before != nil {
			select {
			case <-before:
			case <-deadline.C:
				return nil, nil, errBusy
			}
		}
		if first, err = v.buffer(deadline); err != nil {
			return nil, nil, err
		}
	}
	spare = func() []byte {
		if b := first; b != nil {
			first = nil
			return b
		}
		return v.made(<-v.buffers)
	}
	back = func() {
		if first != nil {
			v.buffers <- first
		}
	}
	return spare, back, nil
}

// seal writes what a segment still lacks and makes it durable.
func (v *volume) seal(w *writer) {
	g := w.segment
	footer := w.footer(true)
	err := v.settle(w, footer)
	v.mu.Lock()
	g.sealed, g.expiry, g.tail = err == nil, w.end(), w.tail
	v.mu.Unlock()
	if err != nil {
		v.lost(w, err)
		return
	}
	v.counts.footers.Add(int64(len(footer)))
	poke(v.kick)
}

// settle writes all that is buffered and the footer, and syncs.
func (v *volume) settle(w *writer, footer []byte) error {
	defer w.finish()
	if err := w.flush(true); err != nil {
		return err
	}
	w.io <- struct{}{}
	err := w.segment.write(footer, w.segment.size-int64(len(footer)))
	<-w.io
	if err == nil {
		err = w.segment.sync()
	}
	if err == nil {
		w.segment.writer.Store(nil)
	}
	return err
}

// lost takes out a segment that could not be written to the end: the disk is bad, or it lacks room in spite of all that was
// made in advance.
func (v *volume) lost(w *writer, err error) {
	if errors.Is(err, errClosed) {
		return // everything was removed meanwhile
	}
	v.wrote(err)
	if v.dead() {
		return
	}
	v.log.Error("a segment could not be written: what is in it is given up", "error", err)
	v.mu.Lock()
	w.segment.sealed, w.segment.lost = true, true // so it is reclaimed, and others go on saying what it said had been replaced
	v.mu.Unlock()
	v.index.RemoveSegment(w.segment.slot)
	poke(v.kick)
}

// checkpoint writes all that is buffered with a footer for now, so that the next Open need not scan and goes on filling.
func (v *volume) checkpoint() error {
	for i := range v.lanes {
		w := v.lanes[i].writer
		if w == nil {
			continue
		}
		v.lanes[i].writer = nil
		if err := v.settle(w, w.footer(false)); err != nil {
			return fmt.Errorf("writing the last of it: %w", err)
		}
	}
	return v.fs.SyncDir(v.path)
}
