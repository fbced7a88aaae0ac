package index

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// shard is the entries of one part of the hashes.
//
// Readers take no lock: they read the version, the table and the version again, and begin anew if it was odd or has changed (a sequence
// lock). A table is replaced by another without making them wait, since the one that is left behind stays as it is until the version tells.
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
		found := s.table.Load().find(tag, dst)
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
	t := s.table.Load()
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

// grow replaces the table by one an eighth larger.
func (x *Index) grow(s *shard, t *table) bool {
	if t == nil {
		return x.rebuild(s, 1, nil)
	}
	pages := t.octets() / pageOctets
	return x.rebuild(s, pages+max(1, pages/24), nil)
}

// shrink replaces the table by a smaller one if it is less than half full.
func (x *Index) shrink(s *shard, t *table) {
	count := int(s.count.Load())
	if count == 0 {
		x.publish(s, nil, 0)
		return
	}
	if least := pagesFor(count); count < t.room()/2 && least < t.octets()/pageOctets {
		x.rebuild(s, least, nil) // if there is no memory for it, then later
	}
}

// pagesFor returns the size of a table in which count entries have some room to become more.
func pagesFor(count int) int {
	buckets := (count+count/8)/slots + leastTail
	return buckets/pageBuckets + 1
}

// rebuild replaces the table by one of about so many pages (more, if many entries have the last tags) with what keep wants of it. It reports
// false, and changes nothing, if there is no memory. Only one shard is rebuilt at a time, for both tables exist meanwhile.
func (x *Index) rebuild(s *shard, pages int, keep func(name, place uint64) bool) bool {
	x.rebuilding.Lock()
	defer x.rebuilding.Unlock()
	old := s.table.Load()
	homes := pages*pageBuckets - leastTail
	for tail := leastTail; ; tail *= 2 {
		t, err := newTable(x.memory, homes, tail)
		if err != nil {
			return false
		}
		x.octets.Add(int64(t.octets()))
		count, ok := 0, true
		if old != nil {
			count, ok = t.fill(old, keep)
		}
		if ok {
			x.publish(s, t, count)
			return true
		}
		x.drop(t)
	}
}

// publish replaces the table and gives the old one's memory back.
func (x *Index) publish(s *shard, t *table, count int) {
	old := s.table.Load()
	s.version.Add(1)
	s.table.Store(t)
	s.version.Add(1)
	s.count.Store(int64(count))
	if old != nil {
		x.drop(old)
	}
}

func (x *Index) drop(t *table) {
	x.memory.drop(t.region)
	x.octets.Add(-int64(t.octets()))
}
