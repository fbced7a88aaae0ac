// Package tier makes one store of two: memory for what is asked for most, and disks for all that is worth keeping.
//
// Whatever is stored goes to memory first. While a disk is less than half full it gets everything as well; from then on
// the memory's queue of newcomers is the filter before it: written to disk is only what has been asked for
// again. What is found on disk moves into memory, with its body if that is small enough.
//
// A key's objects are changed under a lock of the key's, so that no tier keeps an older version than the other. It is not
// for judging whether what is stored may still be used: that is for httpcache and the purges.
package tier

import (
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/ram"
)

// Config is what a Store is made from.
type Config struct {
	// RAM is the memory for objects, in bytes. It must be more than zero.
	RAM int64
	// Disk is the tier below. Nil means none. The Store closes it.
	Disk *disk.Store
	// Alive is asked of what moves from one tier to the other, as [disk.Config] has it. Nil means that everything is.
	Alive func(o *store.Object) bool
	// Quiet is asked before something new is taken to disk. While it says true nothing is, which those that have proven in memory that they are
	// worth it make good as long as they stay there. Nil: everything is taken.
	Quiet func() bool
}

// Store is a [store.Store] in memory and on disk.
type Store struct {
	ram      *ram.Store
	disk     *disk.Store // nil: none
	budget   int64       // of ram, in octets
	alive    func(o *store.Object) bool
	quiet    func() bool
	observer Observer // nil: none
	largest  func() int64
	seed     maphash.Seed
	stripes  [stripes]stripe
	writer   writer
}

const stripes = 256

// filterShare is the part of the memory up to which an object has to prove itself there before it is written: of larger ones memory cannot
// have as many as it takes to see whether they are asked for again.
const filterShare = 4

// stripe is what the changes of some keys are done under.
type stripe struct {
	mu      sync.Mutex
	version atomic.Uint64 // grows with mu held, once something of the keys has changed
}

// New returns a store.
func New(cfg Config) (*Store, error) {
	largest := max(cfg.RAM/bodyShare, minBody)
	s := &Store{disk: cfg.Disk, budget: cfg.RAM, seed: maphash.MakeSeed(), alive: cfg.Alive, quiet: cfg.Quiet, largest: func() int64 { return largest }}
	if s.alive == nil {
		s.alive = func(*store.Object) bool { return true }
	}
	if s.quiet == nil {
		s.quiet = func() bool { return false }
	}
	memory := ram.Config{Budget: cfg.RAM}
	if s.disk != nil {
		memory.Proven, memory.Leaving = s.proven, s.leaving
		s.writer.start(s)
	}
	var err error
	if s.ram, err = ram.New(memory); err != nil {
		s.writer.stop()
		return nil, err
	}
	return s, nil
}

// A body that is on disk is kept in memory as well if it is no larger than a share of the memory, unless Observe says otherwise.
const (
	bodyShare = 200
	minBody   = 4 << 10
)

func (s *Store) stripe(key cdn.CacheKey) *stripe {
	return &s.stripes[maphash.String(s.seed, string(key))%stripes]
}

// change locks the stripe of a key for a change, until the returned function is called.
func (s *Store) change(key cdn.CacheKey) (done func()) {
	st := s.stripe(key)
	st.mu.Lock()
	return func() {
		st.version.Add(1)
		st.mu.Unlock()
	}
}

// Version changes whenever what is stored of a key does, other than to make room, and now and then besides.
func (s *Store) Version(key cdn.CacheKey) uint64 { return s.stripe(key).version.Load() }

// InMemory reports whether what a lookup looks for is in memory, with its body.
func (s *Store) InMemory(l store.Lookup) bool {
	o := s.ram.Peek(l)
	return o != nil && o.Body.InMemory()
}

// OnDisk reports whether something may be stored on disk under a key. It reads nothing. Until all that is on the disks is known, something may.
func (s *Store) OnDisk(key cdn.CacheKey) bool {
	if s.disk == nil {
		return false
	}
	select {
	case <-s.disk.Warm():
		return s.disk.Has(store.Lookup{Key: key})
	default:
		return true
	}
}

// MayReturn reports whether something stored under a key may be on disk, now or after a restart. It reads nothing.
func (s *Store) MayReturn(key cdn.CacheKey) bool { return s.disk != nil && s.disk.MayReturn(key) }

// Get implements [store.Store].
func (s *Store) Get(l store.Lookup) (o *store.Object, known bool) {
	o, known = s.find(l)
	if o != nil && s.observer != nil && s.observer.Samples(l.Key) {
		s.observer.Asked(o)
	}
	return o, known
}

func (s *Store) find(l store.Lookup) (o *store.Object, known bool) {
	if o, known = s.ram.Get(l); o != nil {
		if o = s.whole(o, l); o != nil && s.suitsBest(o, l) {
			return o, true
		}
	}
	if s.disk == nil || l.Quick {
		return o, known
	}
	before := s.stripe(l.Key).version.Load()
	found, onDisk := s.disk.Get(l)
	switch {
	case found == nil:
		return o, known || onDisk
	case o != nil && l.Select([]*httpcache.Response{o.Response, found.Response}) == 0:
		return o, true
	}
	return s.promote(l, found, before), true
}

// suitsBest reports whether nothing on disk can suit a lookup better than what was found in memory.
func (s *Store) suitsBest(o *store.Object, l store.Lookup) bool {
	return s.disk == nil || l.Quick || !o.Response.Varies() || o.Response.MatchesExactly(l.Request())
}

// Peek implements [store.Store].
func (s *Store) Peek(l store.Lookup) *store.Object {
	if o := s.ram.Peek(l); o != nil {
		if o = s.whole(o, l); o != nil {
			return o
		}
	}
	if s.disk == nil || l.Quick {
		return nil
	}
	return s.disk.Peek(l)
}

// whole returns what is in memory in a form in which it can be sent: with its body, or for those who can send a file with an
// extent that is known to be right. It returns nil if there is none.
func (s *Store) whole(o *store.Object, l store.Lookup) *store.Object {
	extent, _ := o.Body.Extent()
	if extent == nil || l.Head || !l.File && o.Body.InMemory() {
		return o
	}
	if l.File && (s.disk.Fresh(o) || !l.Quick && s.disk.Renew(o)) {
		return o
	}
	if o.Body.InMemory() {
		plain := *o
		plain.Body = o.Body.WithExtent(nil)
		return &plain
	}
	if l.Quick {
		return nil
	}
	loaded := s.disk.Load(o)
	if loaded == nil {
		s.ram.Drop(o)
	}
	return loaded
}

// promote puts into memory what was found on disk, unless something of the key has changed since, and returns it as it is
// there.
func (s *Store) promote(l store.Lookup, o *store.Object, before uint64) *store.Object {
	if l.Head {
		return o
	}
	kept := o
	if o.Body.InMemory() && o.Body.Len() > s.largest() {
		if extent, _ := o.Body.Extent(); extent == nil {
			return o
		}
		head := *o
		head.Body = store.NewExtentBody(extentOf(o), o.Body.Len())
		kept = &head
	}
	st := s.stripe(l.Key)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.version.Load() != before || s.inMemory(o) || !s.alive(o) {
		return o
	}
	s.ram.Put(kept, o.Response.Selecting())
	return o
}

// inMemory reports whether an object's content is in memory with the same head, or a newer one.
func (s *Store) inMemory(o *store.Object) bool {
	have := s.ram.Peek(lookupOf(o))
	return have != nil && have.ID == o.ID
}

// lookupOf is the lookup of those for whom an object was made.
func lookupOf(o *store.Object) store.Lookup {
	return store.Lookup{Key: o.Key, Variant: o.Variant, Fields: o.Response.Selecting()}
}

func extentOf(o *store.Object) store.Extent {
	e, _ := o.Body.Extent()
	return e
}

// Put implements [store.Store].
func (s *Store) Put(o *store.Object, fields http.Header) bool {
	defer s.change(o.Key)()
	lookup := store.Lookup{Key: o.Key, Variant: o.Variant, Fields: fields}
	s.observePut(o, lookup)
	if s.disk == nil {
		return s.ram.Put(o, fields)
	}
	quiet := s.quiet()
	if !quiet && s.disk.Roomy() {
		if kept, ok := s.disk.Add(o, fields); ok {
			if !s.ram.Put(kept, fields) {
				s.forget(lookup)
			}
			return true
		}
	}
	if s.ram.Put(o, fields) {
		s.disk.Forget(lookup)
		return true
	}
	s.forget(lookup)
	if !quiet && o.Size() > s.budget/filterShare {
		if _, ok := s.disk.Add(o, fields); ok {
			return true
		}
	}
	s.disk.Forget(lookup)
	return false
}

// forget takes out of memory what a lookup finds there.
func (s *Store) forget(l store.Lookup) {
	for o := s.ram.Peek(l); o != nil; o = s.ram.Peek(l) {
		if !s.ram.Drop(o) {
			return
		}
	}
}

// Refresh implements [store.Store].
func (s *Store) Refresh(old *store.Object, head *httpcache.Response, born store.Epoch) bool {
	defer s.change(old.Key)()
	refreshed := s.ram.Refresh(old, head, born)
	if s.disk != nil && s.disk.Refresh(old, head, born) {
		refreshed = true
	}
	return refreshed
}

// Delete implements [store.Store].
func (s *Store) Delete(key cdn.CacheKey) {
	defer s.change(key)()
	s.ram.Delete(key)
	if s.disk != nil {
		s.disk.Delete(key)
	}
}

// Clear implements [store.Store].
func (s *Store) Clear() {
	for i := range s.stripes {
		st := &s.stripes[i]
		st.mu.Lock()
		defer st.mu.Unlock() //nolint:gocritic // all at once, at the end
		st.version.Add(1)
	}
	s.ram.Clear()
	if s.disk != nil {
		s.disk.Clear()
	}
}

// Stats implements [store.Store]: it is about memory.
func (s *Store) Stats() store.Stats { return s.ram.Stats() }

// DiskStats is what there is on disk; nothing if there is none.
func (s *Store) DiskStats() disk.Stats {
	if s.disk == nil {
		return disk.Stats{Warm: true}
	}
	return s.disk.Stats()
}

// Close implements [store.Store].
func (s *Store) Close() {
	s.writer.stop()
	s.ram.Close()
	if s.disk != nil {
		s.disk.Close() //nolint:errcheck // it has logged what it could not write
	}
}
