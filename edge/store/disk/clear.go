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
			v.wrote(fmt.Errorf("emptying it: %w", err))
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
	v.sealing <- struct{}{} // what is being sealed is done
	<-v.sealing
	list := v.all()
	for _, g := range list {
		g.close()
		v.index.RemoveSegment(g.slot)
		if err := v.fs.Remove(v.segmentName(g.number)); err != nil {
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

// stop gives up what has not been written.
func (w *writer) stop() {
	w.io.Lock() // whoever writes is done
	defer w.io.Unlock()
	w.wrote(0, errClosed)
	w.finish()
}
