package ram

import (
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// Refresh implements [store.Store].
func (s *Store) Refresh(old *store.Object, head *httpcache.Response, born store.Epoch) bool {
	return s.replace(old, sameContent, func(o *store.Object) *store.Object {
		fresh := o.Refreshed(head, born)
		fresh.Memo = store.NewMemo(s)
		return fresh
	})
}

// Swap puts fresh, which is the same content and head in another form (its body in a file instead of in memory, or the other way
// round), in the place of old. It reports false if exactly old, see [store.Object.Same], was not here any more, or there is no room for
// the new one. The object's turn to leave does not change, and it need not prove itself again.
func (s *Store) Swap(old, fresh *store.Object) bool {
	if fresh.Size() > s.cfg.Budget {
		return false
	}
	return s.replace(old, (*store.Object).Same, func(o *store.Object) *store.Object {
		kept := *fresh
		kept.Key, kept.Variant, kept.Memo = o.Key, o.Variant, o.Memo // the index has these strings
		if fresh.Response != o.Response {
			kept.Memo = store.NewMemo(s)
		}
		return &kept
	})
}

// Resize implements [store.Keeper].
func (s *Store) Resize(o *store.Object) { s.tell(s.resize(o)) }

func (s *Store) resize(o *store.Object) change {
	s.closing.RLock()
	defer s.closing.RUnlock()
	e, stored, id := s.entryOf(o, sameMemo)
	if e == nil {
		return change{}
	}
	m, ok := s.exchange(e, id, id, stored)
	if !ok {
		return change{}
	}
	return s.settle(m)
}

// Drop removes exactly this object, see [store.Object.Same], and nothing that has taken its place, such as the same with another
// head or in another form. It reports whether the object was still here.
func (s *Store) Drop(o *store.Object) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return false
	}
	hash := s.hash(o.Key)
	sh := s.shard(hash)
	sh.mu.Lock()
	gone := sh.take(hash, func(e *entry) bool {
		return e.response == o.Response && e.key == o.Key && s.bodies.get(e.id).Same(o)
	})
	sh.mu.Unlock()
	s.forget(gone)
	return len(gone) > 0
}

// sameContent says whether the two differ at most in the form of the body.
func sameContent(o, p *store.Object) bool { return o.Response == p.Response && o.ID == p.ID }

// sameMemo says whether the two share what is remembered: a user may have the object in another form than the one stored.
func sameMemo(o, p *store.Object) bool { return o.Memo == p.Memo }

// replace gives the entry of an object another one that revise makes of it, and reports whether the object, or one that is the same in
// the sense given, was still there.
func (s *Store) replace(old *store.Object, same func(o, p *store.Object) bool, revise func(*store.Object) *store.Object) bool {
	c, ok := s.replaceLocked(old, same, revise)
	s.tell(c)
	return ok
}

func (s *Store) replaceLocked(old *store.Object, same func(o, p *store.Object) bool, revise func(*store.Object) *store.Object) (c change, ok bool) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return change{}, false
	}
	e, o, before := s.entryOf(old, same)
	if e == nil {
		return change{}, false
	}
	fresh := revise(o)
	id, ok := s.bodies.put(fresh)
	if !ok {
		return change{}, false
	}
	m, ok := s.exchange(e, before, id, fresh)
	if !ok {
		s.bodies.del(id)
		return change{}, false
	}
	s.bodies.del(before)
	return s.settle(m), true
}

// entryOf returns the entry of an object, or nil, with what is stored there and under which id.
func (s *Store) entryOf(old *store.Object, same func(o, p *store.Object) bool) (e *entry, o *store.Object, id uint64) {
	hash := s.hash(old.Key)
	sh := s.shard(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for e := sh.chains[hash]; e != nil; e = e.next {
		if e.key != old.Key || e.response != old.Response {
			continue
		}
		if o := s.bodies.get(e.id); same(o, old) {
			return e, o, e.id
		}
	}
	return nil, nil, 0
}

// exchange leads an entry from one id to another, which has a fresh object, unless the entry has gone or been led elsewhere. It returns what
// the change in size moves.
func (s *Store) exchange(e *entry, before, id uint64, fresh *store.Object) (m moves, ok bool) {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e.id != before || !sh.has(e) {
		return moves{}, false
	}
	by := fresh.Size() - e.size
	e.id, e.response, e.size = id, fresh.Response, e.size+by
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places.at(e.handle) != e {
		return moves{}, true // it has just been chosen to go, and will be taken out
	}
	return s.movesLocked(s.policy.Grow(e.handle, by)), true
}
