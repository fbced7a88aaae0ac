package ram

import (
	"slices"

	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// Refresh implements [store.Store].
func (s *Store) Refresh(old *store.Object, head *httpcache.Response) bool {
	c, ok := s.replace(old, anyForm, func(o *store.Object) *store.Object {
		fresh := *o
		fresh.Response, fresh.Memo = head, new(store.Memo)
		return &fresh
	})
	s.tell(c)
	return ok
}

// Swap puts fresh, which is the same content and head in another form (its body in a file instead of in memory, or the other way round), in the place
// of old, and reports whether old was still here in its own form and there is room for the new one. Its turn to
// leave does not change, and it need not prove itself again.
func (s *Store) Swap(old, fresh *store.Object) bool {
	if fresh.Size() > s.largest() {
		return false
	}
	c, ok := s.replace(old, sameForm, func(o *store.Object) *store.Object {
		kept := *fresh
		kept.Memo = o.Memo
		if kept.Memo == nil || fresh.Response != o.Response {
			kept.Memo = new(store.Memo)
		}
		return &kept
	})
	s.tell(c)
	return ok
}

// Drop removes the object, and nothing that has taken its place, such as the same with another head or in another form. It reports
// whether the object was still here.
func (s *Store) Drop(o *store.Object) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return false
	}
	e := s.entryOf(o, sameForm)
	if e == nil || !s.unlinkIf(e, o) {
		return false
	}
	s.forget([]*entry{e})
	return true
}

// All calls yield with every object, in no order, until it returns false. What comes or goes meanwhile may be
// among them or not. No lock is held during yield, and it counts as no use.
func (s *Store) All(yield func(*store.Object) bool) {
	for i := range s.shards {
		for _, e := range s.shards[i].entries() {
			if o := s.load(e); o != nil && !yield(o) {
				return
			}
		}
	}
}

// entries lists what a shard has at the moment.
func (sh *shard) entries() []*entry {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	all := make([]*entry, 0, len(sh.keys))
	for _, entries := range sh.keys {
		all = append(all, entries...)
	}
	return all
}

// anyForm and sameForm tell whether what the index has is the object, that is has its very head.
func anyForm(head, o *store.Object) bool { return head.Response == o.Response }

func sameForm(head, o *store.Object) bool {
	have, at := head.Body.Extent()
	want, where := o.Body.Extent()
	return anyForm(head, o) && have == want && at == where
}

// entryOf returns the entry of an object, or nil.
func (s *Store) entryOf(o *store.Object, same func(head, o *store.Object) bool) *entry {
	sh := s.shard(s.hash(o.Key))
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, e := range sh.keys[o.Key] {
		if same(e.object.Load(), o) {
			return e
		}
	}
	return nil
}

// unlinkIf is unlink if the entry's object is still the one.
func (s *Store) unlinkIf(e *entry, o *store.Object) bool {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sameForm(e.object.Load(), o) && sh.cut(o.Key, e)
}

// replace gives the entry of an object another one that revise makes of it, and reports whether it was still there.
func (s *Store) replace(old *store.Object, same func(head, o *store.Object) bool, revise func(*store.Object) *store.Object) (c change, ok bool) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return change{}, false
	}
	e := s.entryOf(old, same)
	if e == nil {
		return change{}, false
	}
	o := s.load(e)
	if o == nil || !same(o, old) {
		return change{}, false
	}
	fresh := revise(o)
	id, ok := s.keep(fresh)
	if !ok {
		return change{}, false
	}
	m, before, ok := s.exchange(e, o, fresh, id)
	if !ok {
		s.bodies.Del(id)
		return change{}, false
	}
	s.bodies.Del(before)
	return s.settle(m), true
}

// exchange puts an object into the place of another, unless that is not the entry's any more. It returns the id that the
// entry had before, and what the change in size moves.
func (s *Store) exchange(e *entry, o, fresh *store.Object, id uint64) (m moves, before uint64, ok bool) {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sameForm(e.object.Load(), o) || !slices.Contains(sh.keys[o.Key], e) {
		return moves{}, 0, false
	}
	e.object.Store(headOf(fresh))
	before = e.id.Swap(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	m = s.policy.grow(e, fresh.Size()-e.cost)
	s.count -= int64(len(m.victims))
	return m, before, true
}
