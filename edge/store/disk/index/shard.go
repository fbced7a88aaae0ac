package index

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// shard is the entries of one part of the hashes.
//
// Readers take no lock: they read the version, the table and the version again, and begin anew if it was odd or has changed (a sequence
// lock). A table is replaced by another without making them wait: while the one is filled from the other, each tag is in one of them, and the
// version tells when it has moved.
type shard struct {
	version atomic.Uint64         // odd while the table changes
	table   atomic.Pointer[table] // nil: no entries
	count   atomic.Int64

	mu     sync.Mutex // held by whoever changes any of the above
	closed bool
	_      [64 - 8 - 8 - 8 - 8 - 8]byte // a cache line each
}

// patience is how often a reader tries without the lock.
const patience = 32

// find reads again and again until nothing has changed meanwhile.
func (s *shard) find(tag uint32, dst []Entry) []Entry {
	for range patience {
		version := s.version.Load()
		if version&1 != 0 {
			continue
		}
		found := s.table.Load().of(tag).find(tag, dst)
		if s.version.Load() == version {
			return found
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Load().find(tag, dst)
}

// touch counts a use, if it finds the entry at once.
func (s *shard) touch(tag uint32, location uint64) {
	t := s.table.Load().of(tag)
	if i, j, ok := t.locate(tag, location); ok {
		word := &t.buckets[i].place[j]
		place := atomic.LoadUint64(word)
		// What is there by now may be another: the compare-and-swap is of the place, so that it can only hit what it saw.
		if place>>usedAt != 0 && place&locationMask == location && place&frequencyMask != frequencyMask {
			atomic.CompareAndSwapUint64(word, place, place+1<<frequencyAt)
		}
	}
	runtime.KeepAlive(t)
}

// replace puts what with makes of an entry in its place.
func (s *shard) replace(tag uint32, location uint64, with func(old Entry) Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	i, j, ok := t.locate(tag, location)
	if !ok {
		return false
	}
	e := with(unpack(t.buckets[i].load(j)))
	if !e.valid() {
		return false
	}
	s.version.Add(1)
	t.buckets[i].store(j, e.name(tag), e.place())
	s.version.Add(1)
	return true
}

func (x *Index) insert(s *shard, name, place uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	t := s.table.Load()
	if t == nil || t.full() || s.count.Load() >= int64(t.room()) {
		if !x.grow(s, t) && (t == nil || t.full()) {
			return false
		}
		t = s.table.Load()
	}
	s.version.Add(1)
	t.insert(name, place)
	s.version.Add(1)
	s.count.Add(1)
	return true
}

func (x *Index) remove(s *shard, tag uint32, location uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	i, j, ok := t.locate(tag, location)
	if !ok {
		return false
	}
	s.version.Add(1)
	t.remove(i, j)
	s.version.Add(1)
	s.count.Add(-1)
	x.shrink(s, t)
	return true
}

// grow replaces the table by one a twentieth larger.
func (x *Index) grow(s *shard, t *table) bool {
	if t == nil {
		return x.rebuild(s, 1)
	}
	pages := t.octets() / pageOctets
	return x.rebuild(s, pages+max(1, pages/20))
}

// shrink replaces the table by a smaller one if it is less than half full.
func (x *Index) shrink(s *shard, t *table) {
	count := int(s.count.Load())
	if count == 0 {
		x.empty(s)
		return
	}
	if least := pagesFor(count); count < t.room()/2 && least < t.octets()/pageOctets {
		x.rebuild(s, least) // if there is no memory for it, then later
	}
}

// Reserve has room for so many entries together, if their hashes are good, so that they can be inserted without growth. It makes nothing
// smaller. Memory that is lacking is not missed before it is needed.
func (x *Index) Reserve(entries int) {
	pages := pagesFor(entries / shards)
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		if t := s.table.Load(); !s.closed && (t == nil || t.octets()/pageOctets < pages) {
			x.rebuild(s, pages)
		}
		s.mu.Unlock()
	}
}

// Fit gives back what a Reserve has taken for too many.
func (x *Index) Fit() {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		count := int(s.count.Load())
		if t := s.table.Load(); count == 0 && t != nil {
			x.empty(s)
		} else if t != nil && pagesFor(count) < t.octets()/pageOctets {
			x.rebuild(s, pagesFor(count))
		}
		s.mu.Unlock()
	}
}

// pagesFor returns the size of a table in which count entries have some room to become more.
func pagesFor(count int) int {
	buckets := (count+count/6)/slots + leastTail
	return buckets/pageBuckets + 1
}

// rebuild replaces the table by one of about so many pages (more, if many entries have the last tags). It reports false, and changes
// nothing, if there is no memory. Only one shard is rebuilt at a time, for a part of both tables exists meanwhile.
func (x *Index) rebuild(s *shard, pages int) bool {
	x.rebuilding.Lock()
	defer x.rebuilding.Unlock()
	old := s.table.Load()
	homes, tail := pages*pageBuckets-leastTail, leastTail
	if old != nil {
		tail = old.tailFor(homes)
	}
	t, err := newTable(x.memory, homes, (homes+tail+pageBuckets-1)/pageBuckets)
	if err != nil {
		return false
	}
	if old != nil {
		x.move(s, old, t)
		return true
	}
	t.moved.Store(allMoved)
	x.back(t, 0, t.octets())
	s.change(func() { s.table.Store(t) })
	return true
}

// change has those who search see all of what do does, or nothing.
func (s *shard) change(do func()) {
	s.version.Add(1)
	do()
	s.version.Add(1)
}

// empty removes everything.
func (x *Index) empty(s *shard) {
	old := s.table.Load()
	s.change(func() { s.table.Store(nil) })
	s.count.Store(0)
	if old != nil {
		x.drop(old, 0, old.octets())
	}
}

// back has memory for a part of a table.
func (x *Index) back(t *table, from, to int) {
	x.memory.back(t.region, from, to)
	x.octets.Add(int64(to - from))
}

// drop gives back the memory for a part of a table.
func (x *Index) drop(t *table, from, to int) {
	x.memory.drop(t.region, from, to)
	x.octets.Add(-int64(to - from))
}
