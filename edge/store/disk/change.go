package disk

import (
	"net/http"
	"slices"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
)

// Add is [Store.Put]. kept is the object as it is stored: with its body in a file as well, if it is so large that it can be sent from
// there once it has been written and [Store.Renew] has looked at it.
func (s *Store) Add(o *store.Object, fields http.Header) (kept *store.Object, ok bool) {
	if !s.Put(o, fields) {
		return nil, false
	}
	if o.Body.Len() < minExtent {
		return o, true
	}
	hash := s.hash(o.Key)
	list, _ := s.stored(hash, o.Key, o.Variant)
	for _, f := range list {
		if f.Header.ID == uint64(o.ID) {
			with := *o
			with.Body = o.Body.WithExtent(f.extentAt(hash))
			return &with, true
		}
	}
	return o, true
}

// Refresh gives an object a new head with the same body, as a new record, and reports whether the old one was still stored. It must not
// be called together with other changes of the same key.
func (s *Store) Refresh(old *store.Object, head *httpcache.Response, born store.Epoch) bool {
	l := store.Lookup{Key: old.Key, Variant: old.Variant, Fields: old.Response.Selecting()}
	now := s.Peek(l)
	if now == nil || now.ID != old.ID || !now.Response.ResponseTime.Equal(old.Response.ResponseTime) {
		return false
	}
	now.Fresh, now.Response = old.Fresh, old.Response
	_, ok := s.Add(now.Refreshed(head, born), head.Selecting())
	if !ok {
		s.Forget(l) // what it says is not so any more
	}
	return ok
}

// Delete removes everything of a key, in the sense of [Store.Forget]. Nor does it come back when the process is killed.
func (s *Store) Delete(key cdn.CacheKey) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	hash := s.hash(key)
	if s.warming() {
		s.forgetBlindly(hash, key, "")
		for _, v := range s.volumes {
			if !v.dead() {
				v.flushLane(long)
			}
		}
	}
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		places := v.removeAll(hash)
		for some := range slices.Chunk(places, record.MaxTargets) {
			v.insist(record.NewTombstone(key, "", hash, some...))
		}
		v.flushAll() // what is removed as well: it says what it has taken the place of
	}
}

// removeAll takes all records of a hash out of the index, those of the key and with them what another key with the same hash has, and
// returns where they are.
func (v *volume) removeAll(hash uint64) (places []record.Place) {
	mu := v.store.stripe(hash)
	mu.Lock()
	defer mu.Unlock()
	var room [8]entry
	for _, e := range v.index.Find(hash, room[:0]) {
		if g := v.at(e.Segment); g != nil {
			places = append(places, record.Place{Segment: g.number, Unit: e.Offset})
		}
		v.index.Remove(hash, e.Location)
	}
	return places
}
