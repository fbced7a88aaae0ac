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
	bodies *ristretto.Cache[uint64, store.Body]
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
	id     uint64 // where the body is in ristretto; never used twice
	hash   uint64 // of the key, for the policy's memory
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
	bodies, err := ristretto.NewCache(&ristretto.Config[uint64, store.Body]{
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

func (s *Store) hash(key cdn.CacheKey) uint64 { return maphash.Comparable(s.seed, key) }

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
		if o.Variant != l.Variant {
			return nil, false
		}
		if o.Response.Matches(l.Fields) {
			return entries[0], true
		}
		return nil, true
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
	if i := httpcache.Select(responses, l.Fields); i >= 0 {
		return same[i], true
	}
	return nil, len(same) > 0
}

// load joins an entry's head and body. An entry without a body is one that has
// been removed since it was found.
func (s *Store) load(e *entry) *store.Object {
	body, ok := s.bodies.Get(e.id)
	if !ok {
		return nil
	}
	o := *e.object.Load()
	o.Body = body
	return &o
}

// Put implements [store.Store].
func (s *Store) Put(o *store.Object, fields http.Header) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed || o.Size() > s.policy.budget {
		return false
	}
	e := &entry{id: s.lastID.Add(1), hash: s.hash(o.Key), cost: o.Size()}
	head := *o
	head.Body = store.Body{}
	e.object.Store(&head)
	if !s.bodies.Set(e.id, o.Body, 1) {
		return false // ristretto's queue is full
	}
	s.bodies.Wait() // so that no reader finds the entry before its body
	if _, ok := s.bodies.Get(e.id); !ok {
		return false
	}
	s.publish(e, store.Lookup{Key: o.Key, Variant: o.Variant, Fields: fields})
	return true
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
		s.bodies.Del(e.id)
	}
}

// Refresh implements [store.Store].
func (s *Store) Refresh(old *store.Object, head *httpcache.Response) bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return false
	}
	victims, ok := s.refresh(old, head)
	for _, v := range victims {
		s.unlink(v)
		s.evictions.Add(1)
	}
	s.drop(victims)
	return ok
}

func (s *Store) refresh(old *store.Object, head *httpcache.Response) (victims []*entry, ok bool) {
	sh := s.shard(s.hash(old.Key))
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, e := range sh.keys[old.Key] {
		current := e.object.Load()
		if current.Response != old.Response {
			continue
		}
		fresh := *current
		fresh.Response = head
		e.object.Store(&fresh)
		s.mu.Lock()
		defer s.mu.Unlock()
		victims = s.policy.grow(e, int64(head.Size()-current.Response.Size()))
		s.count -= int64(len(victims))
		return victims, true
	}
	return nil, false
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
