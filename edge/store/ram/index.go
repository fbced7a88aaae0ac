package ram

import (
	"sync"
	"sync/atomic"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/policy"
)

const shards = 64

// shard is a part of the index. Whoever follows an entry to its body does so under mu: the body of an entry that is in the index is
// there.
type shard struct {
	mu     sync.RWMutex      // guards the following, and what hangs on it
	chains map[uint64]*entry // by hash of the key; newest first

	hits atomic.Uint64 // objects found

	_ [24]byte // so that each has a cache line of its own: readers write to the mutex
}

// entry is one object in the index. It is guarded by its shard's mu.
type entry struct {
	key      cdn.CacheKey
	variant  string
	response *httpcache.Response
	id       uint64 // where the object is among the bodies
	hash     uint64 // of key
	size     int64  // of the object
	next     *entry // of the same hash
	handle   policy.Handle
}

// find returns the entry that is looked for, or nil, and whether there is any of the key and variant.
func (sh *shard) find(hash uint64, l store.Lookup) (found *entry, known bool) {
	for e := sh.chains[hash]; e != nil; e = e.next {
		if e.key != l.Key || e.variant != l.Variant {
			continue
		}
		if found != nil {
			return sh.choose(hash, l), true
		}
		found = e
	}
	if found == nil {
		return nil, false
	}
	if !l.Takes(found.response) {
		return nil, true
	}
	return found, true
}

// choose is find among several.
func (sh *shard) choose(hash uint64, l store.Lookup) *entry {
	var same []*entry
	var responses []*httpcache.Response
	for e := sh.chains[hash]; e != nil; e = e.next {
		if e.key == l.Key && e.variant == l.Variant {
			same, responses = append(same, e), append(responses, e.response)
		}
	}
	if i := l.Select(responses); i >= 0 {
		return same[i]
	}
	return nil
}

// put makes an entry the newest of its hash.
func (sh *shard) put(e *entry) {
	e.next = sh.chains[e.hash]
	sh.chains[e.hash] = e
}

// take removes the entries of a hash that are to go, and returns them. goes is asked in order, from the newest to the oldest.
func (sh *shard) take(hash uint64, goes func(*entry) bool) (gone []*entry) {
	first := sh.chains[hash]
	for p := &first; *p != nil; {
		e := *p
		if !goes(e) {
			p = &e.next
			continue
		}
		*p, e.next = e.next, nil
		gone = append(gone, e)
	}
	switch {
	case gone == nil:
	case first == nil:
		delete(sh.chains, hash)
	default:
		sh.chains[hash] = first
	}
	return gone
}

// cut removes an entry and reports whether it was still there.
func (sh *shard) cut(e *entry) bool {
	return len(sh.take(e.hash, func(other *entry) bool { return other == e })) > 0
}

// has reports whether an entry is there.
func (sh *shard) has(e *entry) bool {
	for other := sh.chains[e.hash]; other != nil; other = other.next {
		if other == e {
			return true
		}
	}
	return false
}

// clear removes all entries and returns them.
func (sh *shard) clear() (gone []*entry) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, e := range sh.chains {
		for ; e != nil; e = e.next {
			gone = append(gone, e)
		}
	}
	sh.chains = make(map[uint64]*entry)
	return gone
}

// table finds entries by their handles, which are small numbers. It grows without copying what it has.
type table struct{ pages []*page }

const pageBits = 10

type page [1 << pageBits]*entry

func (t *table) at(h policy.Handle) *entry { return t.pages[h>>pageBits][h%(1<<pageBits)] }

func (t *table) set(h policy.Handle, e *entry) {
	for int(h>>pageBits) >= len(t.pages) {
		t.pages = append(t.pages, new(page))
	}
	t.pages[h>>pageBits][h%(1<<pageBits)] = e
}
