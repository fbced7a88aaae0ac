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
	hash := s.hash(string(o.Key), o.Variant)
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
	fresh := *now
	fresh.Response, fresh.Born = head, born
	_, ok := s.Add(&fresh, head.Selecting())
	if !ok {
		s.Forget(l) // what it says is not so any more
	}
	return ok
}

// Delete removes everything of a key, in the sense of [Store.Forget]. When it returns, that is in the files: the end of the process does
// not bring anything back.
func (s *Store) Delete(key cdn.CacheKey) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	hash := s.hash(string(key), "")
	if s.warming() {
		s.forgetBlindly(hash, key, "")
		for _, v := range s.volumes {
			if !v.dead() {
				v.flushLane(long)
			}
		}
	}
	for v, places := range s.dropAll(hash) {
		for part := range slices.Chunk(places, record.MaxTargets) {
			v.insist(record.NewTombstone(key, "", hash, part...))
		}
		v.flushLane(long)
	}
}

// dropAll takes out of the index all that has a hash, of other keys with the same hash as well, and returns where it is.
func (s *Store) dropAll(hash uint64) map[*volume][]record.Place {
	mu := s.stripe(hash)
	mu.Lock()
	defer mu.Unlock()
	gone := make(map[*volume][]record.Place)
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		var room [8]entry
		for _, e := range v.index.Find(hash, room[:0]) {
			if g := v.at(e.Segment); g != nil {
				gone[v] = append(gone[v], record.Place{Segment: g.number, Unit: e.Offset})
			}
			v.index.Remove(hash, e.Location)
		}
	}
	return gone
}
