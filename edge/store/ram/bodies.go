package ram

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"nearcast/edge/store"
)

// bodies is ristretto as a sharded map of complete objects, so that nobody has to put them together, under ids that are given
// out once. All that decides what stays is kept out of it: nothing costs anything, so its own admission has always room, and it
// never evicts, refuses or expires.
//
// close must not run beside any other method.
type bodies struct {
	cache *ristretto.Cache[uint64, *store.Object]
	last  atomic.Uint64 // id given out
}

// counters is how many of its counters of uses ristretto has. Nobody reads them.
const counters = 1 << 10

// newBodies returns a map without objects. cost is nil, but in a test that looks on while ristretto works.
func newBodies(cost func(*store.Object) int64) (*bodies, error) {
	var key permutation
	if err := key.choose(); err != nil {
		return nil, err
	}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *store.Object]{
		NumCounters:        counters,
		MaxCost:            1, // which nothing reaches, since every cost is zero
		BufferItems:        64,
		IgnoreInternalCost: true,
		KeyToHash:          func(id uint64) (hash, conflict uint64) { return key.of(id), id },
		Cost:               cost,
	})
	if err != nil {
		return nil, fmt.Errorf("making the store of bodies: %w", err)
	}
	return &bodies{cache: cache}, nil
}

// put keeps an object under a new id, where everybody finds it from now on, or reports false.
func (b *bodies) put(o *store.Object) (id uint64, ok bool) {
	id = b.last.Add(1)
	if !b.cache.Set(id, o, 0) {
		return 0, false // its queue is full
	}
	b.cache.Wait() // so that no reader knows the id before the object is there
	_, ok = b.cache.Get(id)
	return id, ok
}

// get returns the object with an id, or nil.
func (b *bodies) get(id uint64) *store.Object {
	o, _ := b.cache.Get(id)
	return o
}

func (b *bodies) del(id uint64) { b.cache.Del(id) }

func (b *bodies) close() { b.cache.Close() }

// permutation gives each number another one, never the same to two. Ristretto takes numbers for their own hash and needs them mixed, in a
// way that nobody can foresee.
type permutation [3]uint64

func (p *permutation) choose() error {
	if err := binary.Read(rand.Reader, binary.NativeEndian, p); err != nil {
		return fmt.Errorf("choosing a secret: %w", err)
	}
	return nil
}

// of mixes by steps each of which can be undone: exclusive or, a product with an odd number, a shifted sum.
func (p *permutation) of(n uint64) uint64 {
	for _, k := range p {
		n = (n ^ k) * (k | 1)
		n ^= n >> 32
	}
	return n
}
