package disk

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
)

// reinsertShare is the part of a segment that may be written again when it goes, one in so many octets, footers counted. What is not made
// use of may be later, up to a segment's size: few large records do not fit in the share of one segment.
const reinsertShare = 5

// reclaimOne gives up the segment that is worth least, and keeps on what has been asked for. It reports false if there is none to give up,
// or it cannot be done now.
func (v *volume) reclaimOne() bool {
	v.clearing.Lock()
	defer v.clearing.Unlock()
	g := v.victim()
	return g != nil && v.giveUp(g)
}

// giveUp is reclaimOne for a segment. v.clearing must be held.
func (v *volume) giveUp(g *segment) bool {
	entries, err := v.entries(g)
	if err != nil {
		if transient(err) {
			return false
		}
		v.misread(err)
	}
	v.keep(g, entries)
	carried, err := v.carry(g, entries)
	if err == nil && carried {
		err = v.syncLanes()
	}
	if err != nil {
		if !errors.Is(err, errBusy) && !errors.Is(err, errFull) {
			v.wrote(err)
		}
		return false
	}
	v.counts.evictions.Add(v.countAlive(g, entries))
	if err := v.remove(g); err != nil {
		v.wrote(err)
		return false
	}
	v.counts.reclaimed.Add(1)
	return true
}

// victim chooses a segment: one that is lost, one in which everything has expired, or the oldest.
func (v *volume) victim() *segment {
	if g := v.lostOne(); g != nil {
		return g
	}
	now := v.store.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	var oldest, over *segment
	for _, g := range v.segments {
		if !g.sealed || !g.known {
			continue
		}
		if oldest == nil || g.number < oldest.number {
			oldest = g
		}
		if g.overLocked(now) && (over == nil || g.number < over.number) {
			over = g
		}
	}
	if over != nil {
		return over
	}
	if !v.knowing {
		return nil // the oldest are read last
	}
	return oldest
}

// lostOne returns a segment that could not be written to the end, if there is one.
func (v *volume) lostOne() *segment {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, g := range v.segments {
		if g.lost && g.known {
			return g
		}
	}
	return nil
}

// alive returns the index's entry of a record, if it has one.
func (v *volume) alive(g *segment, e *record.Entry) (entry, bool) {
	var room [8]entry
	for _, have := range v.index.Find(e.Hash, room[:0]) {
		if have.Segment == g.slot && have.Offset == e.Unit {
			return have, true
		}
	}
	return entry{}, false
}

func (v *volume) countAlive(g *segment, entries []record.Entry) (n int64) {
	for i := range entries {
		if _, ok := v.alive(g, &entries[i]); ok && entries[i].Kind == record.Object {
			n++
		}
	}
	return n
}

// keep writes again what has been asked for, the most wanted first, as far as the share goes.
func (v *volume) keep(g *segment, entries []record.Entry) {
	type wanted struct {
		entry     *record.Entry
		frequency uint8
	}
	now := v.store.now()
	var list []wanted
	for i := range entries {
		e := &entries[i]
		if e.Kind != record.Object || expired(e.Expiry, now) {
			continue
		}
		if have, ok := v.alive(g, e); ok && have.Frequency > 0 {
			list = append(list, wanted{e, have.Frequency})
		}
	}
	slices.SortStableFunc(list, func(a, b wanted) int { return cmp.Compare(b.frequency, a.frequency) })
	v.credit = min(v.credit+g.size/reinsertShare-record.FooterSize(len(entries)), g.size)
	for _, w := range list {
		size := int64(w.entry.Units)*record.Unit + record.EntrySize
		if size > v.credit || v.dead() || v.store.isClosed() {
			continue
		}
		if v.reinsert(g, w.entry) {
			v.credit -= size
		}
	}
}

// reinsert writes a record again at the end of the log, if it is right and nobody has replaced it meanwhile.
func (v *volume) reinsert(g *segment, e *record.Entry) bool {
	at, ok := v.alive(g, e)
	if !ok {
		return false
	}
	f, body, err := v.readWhole(g, at)
	if err != nil {
		v.spoiled(e.Hash, at, err)
		return false
	}
	head, err := f.Response()
	if err != nil {
		return false
	}
	o := f.Object(head, body)
	if !v.store.config.Alive(o) {
		return false
	}
	_, c := v.store.classify(o)
	d := f.Again(record.Place{Segment: g.number, Unit: e.Unit}) // its other targets are carried on
	mu := v.store.stripe(e.Hash)
	mu.Lock()
	defer mu.Unlock()
	if _, ok := v.alive(g, e); !ok {
		return false
	}
	moved := false
	err = v.appendReserved(c, d, body, func(to entry) {
		moved = v.index.Move(e.Hash, at.Location, to.Location, to.Class)
	})
	if err != nil {
		return false
	}
	v.counts.reinserted.Add(1)
	v.counts.rewritten.Add(d.Size())
	return moved
}

// appendReserved is append for those who make room, who wait for none.
func (v *volume) appendReserved(c class, d *record.Draft, body store.Body, place func(e entry)) error {
	deadline := time.NewTimer(v.store.config.Patience)
	defer deadline.Stop()
	_, err := v.appendNow(c, d, body, true, deadline, place)
	return err
}

// standing reports whether there is something at a place, in another segment than g.
func (v *volume) standing(at record.Place, g *segment) bool {
	return at.Segment != 0 && at.Segment != g.number && v.exists(at.Segment)
}

// carry writes again what the segment says of others that are still there: that records in them have been replaced. It reports whether there
// was anything.
func (v *volume) carry(g *segment, entries []record.Entry) (carried bool, err error) {
	var targets []record.Place
	for i := range entries {
		if at := entries[i].Target; v.standing(at, g) {
			targets = append(targets, at)
		}
		if len(targets) == 0 || i+1 < len(entries) && entries[i+1].Kind == record.Also {
			continue
		}
		d := record.NewEcho(&entries[i], targets...)
		if err := v.appendReserved(long, d, store.Body{}, func(entry) {}); err != nil {
			return true, err
		}
		v.counts.rewritten.Add(d.Size())
		targets, carried = nil, true
	}
	return carried, nil
}

// syncLanes makes durable all that has been appended.
func (v *volume) syncLanes() error {
	for c := range class(len(v.lanes)) {
		w := v.writerOf(c)
		if w == nil {
			continue
		}
		err := w.flush(true)
		if err == nil {
			err = w.segment.sync()
		}
		if err != nil {
			v.abandon(&v.lanes[c], w, err)
			return err
		}
	}
	// One that is being sealed is durable when that is done.
	v.sealing <- struct{}{}
	<-v.sealing
	return nil
}
