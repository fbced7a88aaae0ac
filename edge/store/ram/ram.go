// Package ram keeps objects in memory: the objects in ristretto, found through an
// index of its own, and let go by the policy of package policy.
//
// Ristretto v2.4.2 is used for the one thing that it does well, a sharded concurrent map, and kept away from what it does badly;
// see bodies, and defects_test.go for the list.
//
// It is not for what lasts longer than the process, nor for deciding what may be stored.
package ram

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/policy"
)

// Config is what a Store is made from.
type Config struct {
	// Budget is the memory that the objects may take together, in bytes as [store.Object.Size] counts them. It must be
	// more than zero. An object larger than that is refused.
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
	mask   uint64 // of hashes: all of their bits, but in a test
	bodies *bodies
	policy *policy.Live // guarded by mu, but for its Use
	shards [shards]shard

	evictions, refused atomic.Uint64

	closing sync.RWMutex // held for reading while anything is changed; taken before any other
	closed  bool         // guarded by closing

	mu     sync.Mutex // guards the policy and the following; taken after a shard's mu or alone
	places table      // of the policy's handles
}

// New returns a store.
func New(cfg Config) (*Store, error) {
	if cfg.Budget <= 0 {
		return nil, fmt.Errorf("ram: a budget of %d bytes holds nothing", cfg.Budget)
	}
	b, err := newBodies(nil)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, seed: maphash.MakeSeed(), mask: math.MaxUint64, bodies: b, policy: policy.NewLive(cfg.Budget)}
	for i := range s.shards {
		s.shards[i].chains = make(map[uint64]*entry)
	}
	return s, nil
}

func (s *Store) hash(key cdn.CacheKey) uint64 { return maphash.String(s.seed, string(key)) & s.mask }

func (s *Store) shard(hash uint64) *shard { return &s.shards[hash%shards] }

// Get implements [store.Store].
func (s *Store) Get(l store.Lookup) (o *store.Object, known bool) {
	hash := s.hash(l.Key)
	sh := s.shard(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e, known := sh.find(hash, l)
	if e == nil {
		return nil, known
	}
	s.policy.Use(e.handle)
	sh.hits.Add(1)
	return s.bodies.get(e.id), known
}

// Peek implements [store.Store].
func (s *Store) Peek(l store.Lookup) *store.Object {
	hash := s.hash(l.Key)
	sh := s.shard(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if e, _ := sh.find(hash, l); e != nil {
		return s.bodies.get(e.id)
	}
	return nil
}

// Of returns everything that is stored under a key, whatever the variant. It counts as no use.
func (s *Store) Of(key cdn.CacheKey) (list []*store.Object) {
	hash := s.hash(key)
	sh := s.shard(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for e := sh.chains[hash]; e != nil; e = e.next {
		if o := s.bodies.get(e.id); o != nil && e.key == key {
			list = append(list, o)
		}
	}
	return list
}

// All calls yield with every object, in no order, until it returns false. What comes or goes meanwhile may be
// among them or not. No lock is held during yield, and it counts as no use.
func (s *Store) All(yield func(*store.Object) bool) {
	for i := range s.shards {
		for _, o := range s.objects(&s.shards[i]) {
			if !yield(o) {
				return
			}
		}
	}
}

// objects lists what a shard has at the moment.
func (s *Store) objects(sh *shard) []*store.Object {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	all := make([]*store.Object, 0, len(sh.chains))
	for _, e := range sh.chains {
		for ; e != nil; e = e.next {
			if o := s.bodies.get(e.id); o != nil {
				all = append(all, o)
			}
		}
	}
	return all
}

// Delete implements [store.Store].
func (s *Store) Delete(key cdn.CacheKey) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	hash := s.hash(key)
	sh := s.shard(hash)
	sh.mu.Lock()
	gone := sh.take(hash, func(e *entry) bool { return e.key == key })
	sh.mu.Unlock()
	s.forget(gone)
}

// forget frees entries that are in no index any more.
func (s *Store) forget(gone []*entry) {
	s.mu.Lock()
	s.forgetLocked(gone)
	s.mu.Unlock()
	for _, e := range gone {
		s.bodies.del(e.id)
	}
}

// forgetLocked takes entries out of the policy, if they are still there.
func (s *Store) forgetLocked(gone []*entry) {
	for _, e := range gone {
		if s.places.at(e.handle) == e {
			s.policy.Remove(e.handle)
			s.places.set(e.handle, nil)
		}
	}
}

// Clear implements [store.Store].
func (s *Store) Clear() {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	for i := range s.shards {
		s.forget(s.shards[i].clear())
	}
}

// Stats implements [store.Store].
func (s *Store) Stats() store.Stats {
	var hits uint64
	for i := range s.shards {
		hits += s.shards[i].hits.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Stats{
		Objects: int64(s.policy.Len()), Bytes: s.policy.Bytes(), Hits: hits,
		Evictions: s.evictions.Load(), Refused: s.refused.Load(),
	}
}

// Policy tells how the policy is set that decides what goes.
func (s *Store) Policy() policy.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.Report()
}

// Close implements [store.Store].
func (s *Store) Close() {
	s.Clear() // from now on the index leads nobody to the bodies, but for what is put meanwhile
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for i := range s.shards {
		s.forget(s.shards[i].clear())
	}
	s.bodies.close()
}
