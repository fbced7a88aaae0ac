package disk

import "time"

const (
	// flushAfter is how long a record stays in memory only, at most.
	flushAfter = 500 * time.Millisecond
	// syncAfter is how long after that a power cut may take it, at most, while the disk keeps up.
	syncAfter = time.Second
)

// flushing writes what has been in a buffer for a while, so that the death of the process costs little.
func (v *volume) flushing() {
	v.whenever(v.dirty, flushAfter, func() {
		v.flush()
		poke(v.unsynced)
	})
}

// syncing makes durable what was written a while ago, so that a power cut costs little.
func (v *volume) syncing() {
	v.whenever(v.unsynced, syncAfter, func() {
		v.clearing.Lock() // nobody takes a segment away
		defer v.clearing.Unlock()
		if !v.dead() {
			v.wrote(v.syncLanes())
		}
	})
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
	l := &v.lanes[c]
	l.turn <- struct{}{}
	w := l.writer
	<-l.turn
	if w == nil || v.dead() {
		return
	}
	if err := w.flush(true); err != nil {
		v.abandon(l, w, err)
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
