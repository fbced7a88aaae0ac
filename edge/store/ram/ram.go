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

// Config is what a Store is made from.
type Config struct {
	// Budget is the memory that the objects may take together, in bytes as [store.Object.Size] counts them. It must be
	// more than zero. An object larger than a quarter of it is refused.
	Budget int64
	// Leaving, if it is not nil, is called with each object that had to make room, once nobody finds it here any more. It is not called for
	// what is deleted, replaced, or one variant too many. proven says that the object had been asked for again.
	//
	// Like Proven it is called by whoever made the change, before the call that made it returns. No lock of the store
	// is held, and it may call the store.
	Leaving func(o *store.Object, proven bool)
	// Proven, if it is not nil, is called with each object that has proven to be asked for again: it was when its turn came to leave the queue of
	// newcomers, or it came back soon after it had to leave. The object is then here, unless somebody removes it
	// meanwhile. An object proves itself once as long as it stays.
	Proven func(o *store.Object)
}

// Store is a [store.Store] in memory.
type Store struct {
	cfg    Config
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
	cost   int64         // guarded by Store.mu, as are proven, queue and element
	proven bool          // it has been asked for again
	uses   atomic.Int32
	object atomic.Pointer[store.Object] // without its body; replaced by Refresh

	queue   *queue
	element *list.Element // in queue
}

// New returns a store.
func New(cfg Config) (*Store, error) {
	budget := cfg.Budget
	if budget <= 0 {
		return nil, fmt.Errorf("ram: a budget of %d bytes holds nothing", budget)
	}
	s := &Store{cfg: cfg, seed: maphash.MakeSeed(), policy: newPolicy(budget)}
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
	c, ok := s.put(o, fields)
	s.tell(c)
	return ok
}

func (s *Store) put(o *store.Object, fields http.Header) (c change, ok bool) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed || o.Size() > s.largest() {
		return change{}, false
	}
	e := &entry{hash: s.hash(o.Key), cost: o.Size()}
	kept := *o
	kept.Memo = new(store.Memo)
	id, ok := s.keep(&kept)
	if !ok {
		return change{}, false
	}
	e.id.Store(id)
	e.object.Store(headOf(o))
	return s.publish(e, store.Lookup{Key: o.Key, Variant: o.Variant, Fields: fields}), true
}

// largest is the size of the largest object taken.
func (s *Store) largest() int64 { return s.policy.budget / 4 }

// keep puts an object into ristretto, where its reader finds it under the id.
func (s *Store) keep(o *store.Object) (id uint64, ok bool) {
	id = s.lastID.Add(1)
	if !s.bodies.Set(id, o, 1) {
		return 0, false // ristretto's queue is full
	}
	s.bodies.Wait() // so that no reader knows the id before the object is there
	_, ok = s.bodies.Get(id)
	return id, ok
}

// headOf is what the index has of an object: all but the pieces of its body.
func headOf(o *store.Object) *store.Object {
	head := *o
	if e, _ := o.Body.Extent(); e == nil {
		head.Body = store.Body{}
	}
	head.Memo = nil
	return &head
}

// publish puts the entry into the index and takes out what it replaces and what
// has to make room.
func (s *Store) publish(e *entry, l store.Lookup) change {
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
	m := s.account(e, gone)
	sh.mu.Unlock()
	s.drop(gone)
	return s.settle(m)
}

// account books an entry that comes and those that go; the victims are still in the index.
func (s *Store) account(e *entry, gone []*entry) moves {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(gone)
	m := s.policy.add(e)
	s.count += 1 - int64(len(m.victims))
	return m
}

func (s *Store) forgetLocked(gone []*entry) {
	for _, e := range gone {
		if s.policy.remove(e) {
			s.count--
		}
	}
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
		if !s.unlink(v) {
			continue // somebody deleted or replaced it meanwhile, and frees it
		}
		s.evictions.Add(1)
		if s.cfg.Leaving != nil {
			if o := s.load(v); o != nil {
				c.left = append(c.left, departure{o, v.proven})
			}
		}
		s.bodies.Del(v.id.Load())
	}
	if s.cfg.Proven != nil {
		for _, e := range m.proven {
			if o := s.load(e); o != nil {
				c.proven = append(c.proven, o)
			}
		}
	}
	return c
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

// unlink takes an entry out of the index and reports whether it was still there.
func (s *Store) unlink(e *entry) bool {
	sh := s.shard(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.cut(e.object.Load().Key, e)
}

// cut is unlink with the shard locked.
func (sh *shard) cut(key cdn.CacheKey, e *entry) bool {
	i := slices.Index(sh.keys[key], e)
	switch {
	case i < 0:
		return false
	case len(sh.keys[key]) == 1:
		delete(sh.keys, key)
	default:
		sh.keys[key] = slices.Delete(slices.Clone(sh.keys[key]), i, i+1)
	}
	return true
}

// drop frees the bodies of entries that no index has any more.
func (s *Store) drop(entries []*entry) {
	for _, e := range entries {
		s.bodies.Del(e.id.Load())
	}
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
