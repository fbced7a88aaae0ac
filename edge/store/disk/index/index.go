// Package index says where on the disks the records of a key may be: for each record 16 octets, which the garbage collector does not see.
//
// It knows hashes and no keys, so what it finds is where a record may be; who reads it compares the key. It is lost with the process: it is
// built from what the disks tell.
package index

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// shards is how many parts there are. Each grows by itself. With more of them less of the memory is in large pages, with fewer a hash has
// fewer bits.
const shards = 16

// Index maps hashes to entries. Of a hash it uses the upper 32 bits (the tag, which is kept) and the lower 4 (the shard): hashes that agree in
// those are the same to it. Any number of entries may have the same hash.
//
// All methods may be called by any number of goroutines, also during and after Close, which leaves an index that stays empty. A search
// waits for nobody but a writer in the midst of a change to the same 16th of the index, and that briefly; never for
// growth. Memory is at most 20 octets an entry once there are 100 000, also while it grows, if the hashes are good.
type Index struct {
	shards     [shards]shard
	memory     memory
	octets     atomic.Int64 // of all tables
	rebuilding sync.Mutex   // held by whoever has two tables for one shard
}

// New returns an empty index. It takes no memory to speak of until something is inserted.
func New() *Index { return &Index{memory: mapped{}} }

func split(hash uint64) (shard int, tag uint32) { return int(hash % shards), uint32(hash >> 32) }

// Find appends all entries with a hash to dst, in no order. It does not allocate if dst has room.
//
// Nearly half of the entries are not at home, and no branch predictor can tell which. A branch guessed wrong here would be one that has
// waited for memory, and have what was begun after it begin anew, so there is none in the usual case: the home and the bucket after it are
// read at once, and what is in them is weighed by arithmetic. So the memory of several searches is on its way at a time.
func (x *Index) Find(hash uint64, dst []Entry) []Entry {
	s, tag, n := &x.shards[hash%shards], uint32(hash>>32), len(dst)
	version, t := s.version.Load(), s.table.Load()
	if version&1 == 0 && t != nil && uint64(tag) < t.moved.Load() && n < cap(dst) {
		p, low, high := t.pair(tag), uint64(tag)&lane*lanes, uint64(tag)>>16*lanes
		hits := p[0].match(low, high)>>15 | p[1].match(low, high)>>14
		at := bits.TrailingZeros64(hits | 1<<49)
		b, j := (*bucket)(unsafe.Add(unsafe.Pointer(p), at%16*bucketOctets)), at/16
		place := atomic.LoadUint64(&b.place[j%slots])
		expiry := atomic.LoadUint64(&b.expiry) >> (j * 16)
		bound := atomic.LoadUint64(&p[1].bound)
		runtime.KeepAlive(t) // and with it the region
		if hits&(hits-1) == 0 && bound-1 >= uint64(tag)+1 && s.version.Load() == version {
			dst = dst[:n+1]
			dst[n].set(expiry, place)
			return dst[:n+int(-hits&place>>63)]
		}
	}
	return s.find(tag, dst)
}

// Insert adds an entry. A location must not be inserted twice. It reports false, and leaves the index as it is, if the location is out of
// range, the index is closed or the system has no more memory.
func (x *Index) Insert(hash uint64, e Entry) bool {
	if !e.valid() {
		return false
	}
	n, tag := split(hash)
	return x.insert(&x.shards[n], e.name(tag), e.place())
}

// Remove removes the entry with a hash and location. It reports whether there was one.
func (x *Index) Remove(hash uint64, at Location) bool {
	if !at.valid() {
		return false
	}
	n, tag := split(hash)
	return x.remove(&x.shards[n], tag, at.word())
}

// Move says that the record at from is now at to, and has size class class: a compare-and-swap, which reports false and does nothing if there is
// no entry for from (any more), or to is out of range. The frequency begins at 0 again, everything else is kept.
func (x *Index) Move(hash uint64, from, to Location, class uint8) bool {
	return x.replace(hash, from, func(old Entry) Entry {
		old.Location, old.Class, old.Frequency = to, class, 0
		return old
	})
}

// Replace puts e in the place of the entry at from, in one step for those who search. It reports false and does nothing if there is none
// (any more), or e's location is out of range.
func (x *Index) Replace(hash uint64, from Location, e Entry) bool {
	return x.replace(hash, from, func(Entry) Entry { return e })
}

// SetFrequency sets the count of uses, at most MaxFrequency. It reports whether there is such an entry.
func (x *Index) SetFrequency(hash uint64, at Location, frequency uint8) bool {
	return x.replace(hash, at, func(old Entry) Entry {
		old.Frequency = frequency
		return old
	})
}

func (x *Index) replace(hash uint64, from Location, with func(old Entry) Entry) bool {
	if !from.valid() {
		return false
	}
	n, tag := split(hash)
	return x.shards[n].replace(tag, from.word(), with)
}

// Touch counts a use, up to MaxFrequency. It takes no lock; a count is lost if the entry moves at that moment.
func (x *Index) Touch(hash uint64, at Location) {
	if at.valid() {
		n, tag := split(hash)
		x.shards[n].touch(tag, at.word())
	}
}

// Len returns the number of entries.
func (x *Index) Len() int {
	n := int64(0)
	for i := range x.shards {
		n += x.shards[i].count.Load()
	}
	return int(n)
}

// Bytes returns the memory that the index takes, in octets.
func (x *Index) Bytes() int64 { return x.octets.Load() + int64(unsafe.Sizeof(*x)) }

// Clear removes everything. What is inserted meanwhile may stay.
func (x *Index) Clear() { x.clear(false) }

// Close removes everything and gives the memory back. Nothing can be inserted any more.
func (x *Index) Close() { x.clear(true) }

func (x *Index) clear(forGood bool) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		s.closed = s.closed || forGood
		x.empty(s)
		s.mu.Unlock()
	}
}
