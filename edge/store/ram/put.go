package ram

import (
	"net/http"
	"slices"

	"nearcast/edge/store"
	"nearcast/edge/store/policy"
)

// Put implements [store.Store].
func (s *Store) Put(o *store.Object, fields http.Header) bool {
	c, ok := s.put(o, fields)
	if !ok {
		s.refused.Add(1)
	}
	s.tell(c)
	return ok
}

func (s *Store) put(o *store.Object, fields http.Header) (c change, ok bool) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	size := o.Size()
	if s.closed || size > s.cfg.Budget {
		return change{}, false
	}
	kept := *o
	kept.Memo = store.NewMemo(s)
	id, ok := s.bodies.put(&kept)
	if !ok {
		return change{}, false
	}
	e := &entry{key: o.Key, variant: o.Variant, response: o.Response, id: id, hash: s.hash(o.Key), size: size}
	m := s.publish(e, store.Lookup{Key: o.Key, Variant: o.Variant, Fields: fields})
	ok = !s.unwanted(e, &m)
	return s.settle(m), ok
}

// unwanted reports whether the policy let a newcomer go at once, and takes it out as if it had never been here.
func (s *Store) unwanted(e *entry, m *moves) bool {
	i := slices.IndexFunc(m.victims, func(v victim) bool { return v.entry == e })
	if i < 0 {
		return false
	}
	m.victims = slices.Delete(m.victims, i, i+1)
	if s.unlink(e) {
		s.bodies.del(e.id)
	}
	return true
}

// publish puts the entry into the index and takes out what it replaces. It returns what that moves.
func (s *Store) publish(e *entry, l store.Lookup) moves {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	left := store.MaxVariants - 1
	gone := sh.take(e.hash, func(old *entry) bool {
		if old.key != e.key {
			return false
		}
		if left > 0 && (old.variant != e.variant || !l.Takes(old.response)) {
			left--
			return false
		}
		return true
	})
	sh.put(e)
	m := s.account(e, gone)
	sh.mu.Unlock()
	for _, old := range gone {
		s.bodies.del(old.id)
	}
	return m
}

// account books an entry that comes and those that go. One that takes the place of another is asked for as that was, and takes over
// its turn to leave.
func (s *Store) account(e *entry, gone []*entry) moves {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(gone) == 1 && s.places.at(gone[0].handle) == gone[0] {
		e.handle = gone[0].handle
		s.places.set(e.handle, e)
		return s.movesLocked(s.policy.Grow(e.handle, e.size-gone[0].size))
	}
	s.forgetLocked(gone)
	h, events := s.policy.Add(e.hash, e.size)
	e.handle = h
	s.places.set(h, e)
	return s.movesLocked(events)
}

// moves are what a change made of entries: those that proved to be asked for again, and those that must go and are still in
// the index. An entry may be in both.
type moves struct {
	proven  []*entry
	victims []victim
}

type victim struct {
	entry  *entry
	proven bool
}

func (s *Store) movesLocked(events []policy.Event) moves {
	var m moves
	for _, ev := range events {
		e := s.places.at(ev.Handle)
		if ev.Kind == policy.Promoted {
			m.proven = append(m.proven, e)
			continue
		}
		s.places.set(ev.Handle, nil)
		m.victims = append(m.victims, victim{e, ev.Proven})
	}
	return m
}

// change is what those who asked for it are told of.
type change struct {
	proven []*store.Object
	left   []departure
}

type departure struct {
	object *store.Object
	proven bool
}

// settle takes victims out of the index and their bodies out of memory.
func (s *Store) settle(m moves) change {
	var c change
	for _, v := range m.victims {
		if !s.unlink(v.entry) {
			continue // somebody deleted or replaced it meanwhile, and frees it
		}
		s.evictions.Add(1)
		if s.cfg.Leaving != nil {
			c.left = append(c.left, departure{s.bodies.get(v.entry.id), v.proven})
		}
		s.bodies.del(v.entry.id)
	}
	if s.cfg.Proven != nil {
		for _, e := range m.proven {
			if o := s.current(e); o != nil {
				c.proven = append(c.proven, o)
			}
		}
	}
	return c
}

// unlink takes an entry out of the index and reports whether it was still there.
func (s *Store) unlink(e *entry) bool {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.cut(e)
}

// current returns an entry's object, or nil if it is in the index no more.
func (s *Store) current(e *entry) *store.Object {
	sh := s.shard(e.hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if !sh.has(e) {
		return nil
	}
	return s.bodies.get(e.id)
}

// tell calls back. No lock may be held.
func (s *Store) tell(c change) {
	for _, o := range c.proven {
		s.cfg.Proven(o)
	}
	for _, d := range c.left {
		s.cfg.Leaving(d.object, d.proven)
	}
}
