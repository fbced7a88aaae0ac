package disk

import "fmt"

// Clear removes everything. When it returns nothing comes back, whatever happens, except from a disk that has failed.
func (s *Store) Clear() {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return
	}
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		<-v.ready
		if err := v.clear(); err != nil {
			v.counts.ioErrors.Add(1)
			v.fail(fmt.Errorf("emptying it: %w", err)) // whatever it was: what should be gone may come back
		}
	}
}

// clear removes all segments with records. Nobody else may append.
func (v *volume) clear() error {
	v.clearing.Lock()
	defer v.clearing.Unlock()
	for i := range v.lanes {
		l := &v.lanes[i]
		l.turn <- struct{}{}
		w := l.writer
		l.writer = nil
		<-l.turn
		if w != nil {
			w.stop()
		}
	}
	v.sealing <- struct{}{} // what is being sealed is done, and nothing more is
	defer func() { <-v.sealing }()
	list := v.all()
	if err := v.disown(list); err != nil {
		return err
	}
	for _, g := range list {
		g.close()
		v.index.RemoveSegment(g.slot)
		if err := v.unlink(g.number); err != nil {
			return err
		}
	}
	if err := v.fs.SyncDir(v.path); err != nil {
		return err
	}
	for _, g := range list {
		v.dismiss(g)
	}
	v.lapped.Store(false)
	poke(v.kick)
	return nil
}

// disown makes durable that segments do not count any more, all at once: if only some of their files were gone after a power cut, what had
// been replaced would come back with the others. A lack of descriptors leaves it to the removal.
func (v *volume) disown(list []*segment) error {
	if len(list) == 0 {
		return nil
	}
	last := list[0].number
	v.mu.Lock()
	for _, g := range v.free {
		last = min(last, g.number-1) // one that was given back may be older than one that is in use
	}
	v.mu.Unlock()
	s := v.store
	s.session.Lock()
	defer s.session.Unlock()
	v.super.First = max(v.super.First, last+1)
	err := v.writeSuper()
	if err != nil && transient(err) {
		v.log.Warn("the superblock cannot be written now", "error", err)
		return nil
	}
	return err
}

// stop gives up what has not been written.
func (w *writer) stop() {
	w.io <- struct{}{} // whoever writes is done
	defer func() { <-w.io }()
	w.wrote(0, errClosed)
	w.finish()
}
