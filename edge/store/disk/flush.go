package disk

import "time"

const (
	// flushAfter is how often what is gathered is looked at. It is written when it is found there for the second time, so that no record stays in
	// memory only for longer than twice that, and a buffer that is filling fast is written once, when it is full.
	flushAfter = 250 * time.Millisecond
	// syncAfter is how long after that a power cut may take it, at most, while the disk keeps up.
	syncAfter = time.Second
)

// flushing writes what has been in a buffer for a while, so that the death of the process costs little.
func (v *volume) flushing() {
	v.whenever(v.dirty, flushAfter, func() {
		for c := range class(len(v.lanes)) {
			if w := v.writerOf(c); w != nil && w.fresh.Swap(false) {
				poke(v.dirty)
				continue
			}
			v.flushLane(c)
		}
		poke(v.unsynced)
	})
}

// syncing makes durable what was written a while ago, so that a power cut costs little.
func (v *volume) syncing() {
	v.whenever(v.unsynced, syncAfter, func() {
		v.clearing.Lock() // nobody takes a segment away
		defer v.clearing.Unlock()
		for c := range class(len(v.lanes)) {
			w := v.writerOf(c)
			if w == nil || v.dead() {
				continue
			}
			if err := w.segment.sync(); err != nil {
				v.abandon(&v.lanes[c], w, err)
				v.wrote(err)
			}
		}
	})
}

// writerOf returns the writer of a lane; nil if it has none.
func (v *volume) writerOf(c class) *writer {
	l := &v.lanes[c]
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	return l.writer
}

// whenever calls do some time after it has been poked, for everything that has come until then, as long as the store is open.
func (v *volume) whenever(poked chan struct{}, after time.Duration, do func()) {
	timer := time.NewTimer(after)
	timer.Stop()
	armed := false
	for {
		select {
		case <-v.store.done:
			return
		case <-poked:
			if !armed {
				timer.Reset(after)
				armed = true
			}
		case <-timer.C:
			armed = false
			do()
		}
	}
}

// flushAll writes all that is buffered, that of the segment which is being sealed too.
func (v *volume) flushAll() {
	if w := v.ending.Load(); w != nil {
		_ = w.flush(true) // whoever seals it sees the error
	}
	v.flush()
}

// flush writes what is buffered in all lanes.
func (v *volume) flush() {
	for c := range class(len(v.lanes)) {
		v.flushLane(c)
	}
}

// flushLane writes what is buffered in a lane.
func (v *volume) flushLane(c class) {
	w := v.writerOf(c)
	if w == nil || v.dead() {
		return
	}
	if err := w.flush(true); err != nil {
		v.abandon(&v.lanes[c], w, err)
	}
}

// abandon takes a writer that failed out of its lane, unless its segment is being sealed: whoever does that sees the error too.
func (v *volume) abandon(l *lane, w *writer, err error) {
	l.turn <- struct{}{}
	mine := l.writer == w
	if mine {
		l.writer = nil
	}
	<-l.turn
	if mine {
		w.finish()
		v.lost(w, err)
	}
}
