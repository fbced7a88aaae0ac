// Package ram keeps objects in memory: their bodies in ristretto, found through an
// index of its own, evicted by a policy of its own.
//
// Ristretto v2.4.2 is used for the one thing that it does well, a sharded concurrent map,
// and kept away from what it does badly: a body is set once under an id that no other ever
// has (a second Set of a key can lose the new value, and a purge can lose to a queued
// Set), the budget is watched here and ristretto's own is out of reach (its
// admission may evict and then refuse), and times to live are not its business.
package ram

import (
	"container/list"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

const shards = 64

// Store is a [store.Store] in memory.
type Store struct {
	seed   maphash.Seed
	bodies *ristretto.Cache[uint64, *store.Object] // complete ones, so that nobody has to put them together
	lastID atomic.Uint64
	shards [shards]shard

	evictions atomic.Uint64

	closing sync.RWMutex // held for reading while bodies is written: ristretto panics on a Set beside its Close
	closed  bool         // guarded by closing

	mu     sync.Mutex // guards the following; taken after a shard's mu or alone
	policy *policy
	count  int64
}

// shard is a part of the index.
type shard struct {
	mu   sync.RWMutex              // guards the following
	keys map[cdn.CacheKey][]*entry // newest first; a list is replaced, never changed
}

// entry is one object in the index.
type entry struct {
	id     atomic.Uint64 // where the object is in ristretto; never used twice
	hash   uint64        // of the key, for the policy's memory
	cost   int64
	uses   atomic.Int32
	object atomic.Pointer[store.Object] // without its body; replaced by Refresh

	queue   *queue        // guarded by Store.mu, as is element
	element *list.Element // in queue
}

// New returns a store for objects of budget bytes together.
func New(budget int64) (*Store, error) {
	if budget <= 0 {
		return nil, fmt.Errorf("ram: a budget of %d bytes holds nothing", budget)
	}
	s := &Store{seed: maphash.MakeSeed(), policy: newPolicy(budget)}
	bodies, err := ristretto.NewCache(&ristretto.Config[uint64, *store.Object]{
		NumCounters:        min(max(budget/(16<<10)*10, 10_000), 10_000_000), // ten for each object of a usual size
		MaxCost:            1 << 62,
		BufferItems:        64,
		IgnoreInternalCost: true,
		// Ids count up; ristretto takes a number for its own hash and needs it mixed.
		KeyToHash: func(id uint64) (uint64, uint64) { return maphash.Comparable(s.seed, id), id },
	})
	if err != nil {
		return nil, fmt.Errorf("making the store of bodies: %w", err)
	}
	s.bodies = bodies
	for i := range s.shards {
		s.shards[i].keys = make(map[cdn.CacheKey][]*entry)
	}
	return s, nil
}

func (s *Store) hash(key cdn.CacheKey) uint64 { return maphash.String(s.seed, string(key)) }

func (s *Store) shard(hash uint64) *shard { return &s.shards[hash%shards] }

// Get implements [store.Store].
func (s *Store) Get(l store.Lookup) (o *store.Object, known bool) {
	e, known := s.find(l)
	if e == nil {
		return nil, known
	}
	e.use()
	return s.load(e), known
}

// Peek implements [store.Store].
func (s *Store) Peek(l store.Lookup) *store.Object {
	if e, _ := s.find(l); e != nil {
		return s.load(e)
	}
	return nil
}

func (s *Store) find(l store.Lookup) (e *entry, known bool) {
	sh := s.shard(s.hash(l.Key))
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	entries := sh.keys[l.Key]
	if len(entries) == 1 {
		o := entries[0].object.Load()
		if l.Selects(o) {
			return entries[0], true
		}
		return nil, o.Variant == l.Variant
	}
	return choose(entries, l)
}

// choose finds the entry among several.
func choose(entries []*entry, l store.Lookup) (e *entry, known bool) {
	var same []*entry
	var responses []*httpcache.Response
	for _, e := range entries {
		if o := e.object.Load(); o.Variant == l.Variant {
			same, responses = append(same, e), append(responses, o.Response)
		}
	}
	if i := l.Select(responses); i >= 0 {
		return same[i], true
	}
	return nil, len(same) > 0
}

// load returns an entry's object. An entry without one has been removed since it was found.
func (s *Store) load(e *entry) *store.Object {
	for id := e.id.Load(); ; {
		o, ok := s.bodies.Get(id)
		if ok {
			return o
		}
		again := e.id.Load()
		if again == id {
			return nil
		}
		id = again // it has a new head meanwhile
	}
}

// Put implements [store.Store].
func (s *Store) Put(o *store.Object, fields http.Header) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed || o.Size() > s.policy.budget {
		return false
	}
	e := &entry{hash: s.hash(o.Key), cost: o.Size()}
	id, ok := s.keep(o)
	if !ok {
		return false
	}
	e.id.Store(id)
	e.object.Store(headOf(o))
	s.publish(e, store.Lookup{Key: o.Key, Variant: o.Variant, Fields: fields})
	return true
}

// keep puts an object into ristretto, where its reader finds it under the id.
func (s *Store) keep(o *store.Object) (id uint64, ok bool) {
	kept := *o
	kept.Memo = new(store.Memo)
	id = s.lastID.Add(1)
	if !s.bodies.Set(id, &kept, 1) {
		return 0, false // ristretto's queue is full
	}
	s.bodies.Wait() // so that no reader knows the id before the object is there
	_, ok = s.bodies.Get(id)
	return id, ok
}

// headOf is what the index has of an object.
func headOf(o *store.Object) *store.Object {
	head := *o
	head.Body, head.Memo = store.Body{}, nil
	return &head
}

// publish puts the entry into the index and takes out what it replaces and what
// has to make room.
func (s *Store) publish(e *entry, l store.Lookup) {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	kept := []*entry{e}
	var gone []*entry
	for _, old := range sh.keys[l.Key] {
		if len(kept) < store.MaxVariants && !l.Selects(old.object.Load()) {
			kept = append(kept, old)
		} else {
			gone = append(gone, old)
		}
	}
	sh.keys[l.Key] = kept
	victims := s.account(e, gone)
	sh.mu.Unlock()
	for _, v := range victims {
		s.unlink(v)
		s.evictions.Add(1)
	}
	s.drop(append(gone, victims...))
}

// account books an entry that comes and those that go; it returns the victims
// of the budget, which are still in the index.
func (s *Store) account(e *entry, gone []*entry) (victims []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(gone)
	victims = s.policy.add(e)
	s.count += 1 - int64(len(victims))
	return victims
}

func (s *Store) forgetLocked(gone []*entry) {
	for _, e := range gone {
		if s.policy.remove(e) {
			s.count--
		}
	}
}

// unlink takes an entry out of the index, if it is still there.
func (s *Store) unlink(e *entry) {
	key := e.object.Load().Key
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := slices.Index(sh.keys[key], e)
	switch {
	case i < 0:
	case len(sh.keys[key]) == 1:
		delete(sh.keys, key)
	default:
		sh.keys[key] = slices.Delete(slices.Clone(sh.keys[key]), i, i+1)
	}
}

// drop frees the bodies of entries that no index has any more.
func (s *Store) drop(entries []*entry) {
	for _, e := range entries {
		s.bodies.Del(e.id.Load())
	}
}

// Refresh implements [store.Store].
func (s *Store) Refresh(old *store.Object, head *httpcache.Response, born store.Epoch) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return false
	}
	e := s.entryOf(old)
	if e == nil {
		return false
	}
	o := s.load(e)
	if o == nil {
		return false
	}
	fresh := *o
	fresh.Response, fresh.Born = head, born
	id, ok := s.keep(&fresh)
	if !ok {
		return false
	}
	victims, before, ok := s.replace(e, old, &fresh, id)
	if !ok {
		s.bodies.Del(id)
		return false
	}
	s.bodies.Del(before)
	for _, v := range victims {
		s.unlink(v)
		s.evictions.Add(1)
	}
	s.drop(victims)
	return true
}

// entryOf returns the entry that has the very head of an object, or nil.
func (s *Store) entryOf(o *store.Object) *entry {
	sh := s.shard(s.hash(o.Key))
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, e := range sh.keys[o.Key] {
		if e.object.Load().Response == o.Response {
			return e
		}
	}
	return nil
}

// replace gives an entry another object, of the same body, unless old is not its any more. It returns the id that it had
// before, and whom the change in size drives out.
func (s *Store) replace(e *entry, old, fresh *store.Object, id uint64) (victims []*entry, before uint64, ok bool) {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	current := e.object.Load()
	if current.Response != old.Response || !slices.Contains(sh.keys[old.Key], e) {
		return nil, 0, false
	}
	e.object.Store(headOf(fresh))
	before = e.id.Swap(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	victims = s.policy.grow(e, fresh.Size()-e.cost)
	s.count -= int64(len(victims))
	return victims, before, true
}

// Delete implements [store.Store].
func (s *Store) Delete(key cdn.CacheKey) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	sh := s.shard(s.hash(key))
	sh.mu.Lock()
	gone := sh.keys[key]
	delete(sh.keys, key)
	sh.mu.Unlock()
	s.forget(gone)
}

func (s *Store) forget(gone []*entry) {
	s.mu.Lock()
	s.forgetLocked(gone)
	s.mu.Unlock()
	s.drop(gone)
}

// Clear implements [store.Store].
func (s *Store) Clear() {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		keys := sh.keys
		sh.keys = make(map[cdn.CacheKey][]*entry)
		sh.mu.Unlock()
		for _, gone := range keys {
			s.forget(gone)
		}
	}
}

// Stats implements [store.Store].
func (s *Store) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Stats{Objects: s.count, Bytes: s.policy.bytes(), Evictions: s.evictions.Load()}
}

// Close implements [store.Store].
func (s *Store) Close() {
	s.Clear()
	s.closing.Lock()
	defer s.closing.Unlock()
	if !s.closed {
		s.closed = true
		s.bodies.Close()
	}
}
