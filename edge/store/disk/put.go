package disk

import (
	"errors"
	"math"
	"net/http"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
)

// Put writes o in place of the object of its key and variant that fields, those of the request that brought it, select. It
// reports false if it does not: the object is too large or has expired, the disk does not keep up, or there is none. What was stored is still there
// then. When it has returned true, Get finds the object; a power cut may still take it.
func (s *Store) Put(o *store.Object, fields http.Header) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return false
	}
	if o = s.Load(o); o == nil {
		return false
	}
	hash := s.hash(o.Key)
	v := s.home(hash)
	if v == nil {
		return false
	}
	if err := s.put(v, o, hash, fields); err != nil {
		v.counts.refused.Add(1)
		return false
	}
	return true
}

var (
	errUseless = errors.New("disk: the object has no response")
	errMemory  = errors.New("disk: no memory for the index")
)

func (s *Store) put(v *volume, o *store.Object, hash uint64, fields http.Header) error {
	expiry, c := s.classify(o)
	d, err := record.NewDraft(o, hash, expiry)
	if err != nil {
		return err
	}
	if o.Response.Status == 0 {
		return errUseless
	}
	l := store.Lookup{Key: o.Key, Variant: o.Variant, Fields: fields}
	var replaced []*found
	err = v.patiently(func(deadline *time.Timer) (stocked chan struct{}, err error) {
		replaced, stocked, err = s.putNow(v, c, d, o, l, deadline)
		return stocked, err
	})
	if err != nil {
		return err
	}
	v.counts.puts.Add(1)
	v.counts.written.Add(d.Size())
	s.bury(v, l, hash, replaced)
	return nil
}

// putNow writes a record, unless it takes an empty segment and there is none.
func (s *Store) putNow(
	v *volume, c class, d *record.Draft, o *store.Object, l store.Lookup, deadline *time.Timer,
) (replaced []*found, stocked chan struct{}, err error) {
	hash := d.Header.Hash
	mu := s.stripe(hash)
	mu.Lock()
	defer mu.Unlock()
	d.Header.Flags &^= record.Blind
	if s.warming() {
		d.Header.Flags |= record.Blind
		s.blind.add(hash, veil{seq: math.MaxUint64, key: l.Key, variant: l.Variant, head: o.Response})
	}
	replaced, unread := s.replaced(hash, l)
	replaced = append(replaced, unread...)
	d.Targets = placesOn(v, replaced)
	found := true
	stocked, err = v.appendNow(c, d, o.Body, false, deadline, func(e entry) {
		if len(d.Targets) != 1 || !v.index.Replace(hash, onlyOn(v, replaced).entry.Location, e) {
			found = v.index.Insert(hash, e)
		}
		for _, f := range replaced {
			f.volume.index.Remove(hash, f.entry.Location)
		}
	})
	if err == nil && !found {
		v.counts.unindexed.Add(1)
		err = errMemory
	}
	return replaced, stocked, err
}

// replaced returns what something new of a lookup takes the place of; unread is what might be.
func (s *Store) replaced(hash uint64, l store.Lookup) (gone, unread []*found) {
	list, unread := s.stored(hash, l.Key, l.Variant)
	kept := 0
	for _, f := range list {
		head, err := f.Response()
		if err == nil && kept < store.MaxVariants-1 && !l.Selects(&store.Object{Variant: l.Variant, Response: head}) {
			kept++
			continue
		}
		gone = append(gone, f)
	}
	return gone, unread
}

// placesOn returns the places of those records that are on a disk, as many as one record can name.
func placesOn(v *volume, list []*found) (places []record.Place) {
	for _, f := range list {
		if f.volume == v && f.segment != nil && len(places) < record.MaxTargets {
			places = append(places, record.Place{Segment: f.segment.number, Unit: f.entry.Offset})
		}
	}
	return places
}

func onlyOn(v *volume, list []*found) *found {
	for _, f := range list {
		if f.volume == v && f.segment != nil {
			return f
		}
	}
	return nil
}

// bury makes durable that those records which are on other disks than v (nil: on any) are no more. No stripe must be held.
func (s *Store) bury(v *volume, l store.Lookup, hash uint64, list []*found) {
	for _, other := range s.volumes {
		if places := placesOn(other, list); other != v && len(places) > 0 && !other.dead() {
			other.insist(record.NewTombstone(l.Key, l.Variant, hash, places...))
		}
	}
}

// Forget removes what Get would return. It comes back neither in this process nor after a restart, if the disk could be
// written to within a second; after a power cut it may.
func (s *Store) Forget(l store.Lookup) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	hash := s.hash(l.Key)
	if s.warming() {
		s.forgetBlindly(hash, l.Key, l.Variant)
	}
	s.bury(nil, l, hash, s.dropNow(hash, l))
}

// dropNow takes out of the index what Get would return, and what may be that.
func (s *Store) dropNow(hash uint64, l store.Lookup) []*found {
	mu := s.stripe(hash)
	mu.Lock()
	defer mu.Unlock()
	list, gone := s.stored(hash, l.Key, l.Variant)
	if len(list) > 0 {
		if i, _ := choose(l, list); i >= 0 {
			gone = append(gone, list[i])
		}
	}
	for _, f := range gone {
		f.volume.index.Remove(hash, f.entry.Location)
	}
	return gone
}

// forgetBlindly removes all of a key and variant that is not known yet.
func (s *Store) forgetBlindly(hash uint64, key cdn.CacheKey, variant string) {
	s.blind.add(hash, veil{seq: math.MaxUint64, key: key, variant: variant})
	for _, v := range s.volumes {
		if !v.dead() {
			d := record.NewTombstone(key, variant, hash)
			d.Header.Flags |= record.Blind | record.All
			v.insist(d)
		}
	}
}

// insist writes a tombstone, and tries again for a second if the disk is busy. No stripe must be held.
func (v *volume) insist(d *record.Draft) {
	for range max(1, time.Second/v.store.config.Patience) {
		err := v.append(long, d, store.Body{}, func(entry) {})
		if err == nil {
			v.counts.written.Add(d.Size())
			return
		}
		if !errors.Is(err, errBusy) {
			break
		}
	}
	v.counts.lostTombstones.Add(1)
}

// veil is something written before all was known: of what is read later, it takes the place of all that is older and of its identity.
type veil struct {
	seq     uint64
	key     cdn.CacheKey
	variant string
	head    *httpcache.Response // nil: of any head
}

// covers reports whether it takes the place of a record.
func (l *veil) covers(f *found) bool {
	if f.Header.Seq >= l.seq || !f.Is(l.key, l.variant) {
		return false
	}
	if l.head == nil {
		return true
	}
	head, err := f.Response()
	return err != nil || l.head.Supersedes(head)
}
