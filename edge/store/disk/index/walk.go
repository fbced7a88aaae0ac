package index

import (
	"iter"
	"runtime"
)

// stride is about how many entries a walk copies before it yields them.
const stride = 256

// All returns all entries, each with its hash, or rather with as much of it as the index knows, which every method takes for the hash. No
// lock is held while they are yielded, and the index may change meanwhile: what is there all the time, at one location, is yielded once, what
// comes or goes may be.
func (x *Index) All() iter.Seq2[uint64, Entry] {
	return func(yield func(uint64, Entry) bool) {
		var chunk []named
		for i := range x.shards {
			for from, more := uint32(0), true; more; {
				chunk, from, more = x.shards[i].walk(from, chunk[:0])
				for _, n := range chunk {
					if !yield(uint64(n.tag)<<32|uint64(i), n.Entry) {
						return
					}
				}
			}
		}
	}
}

// RemoveFunc removes the entries for which drop reports true, and returns their number. It reads the whole index: of a
// segment whose hashes are known, Remove is cheaper. drop may be called several times for an entry; it must be quick, and must not call the
// index.
func (x *Index) RemoveFunc(drop func(hash uint64, e Entry) bool) int {
	removed := 0
	for i := range x.shards {
		removed += x.removeFunc(&x.shards[i], func(name, place uint64) bool {
			return drop(uint64(tagOf(name))<<32|uint64(i), unpack(name, place))
		})
	}
	return removed
}

// RemoveSegment removes the entries of a segment, in the way of RemoveFunc.
func (x *Index) RemoveSegment(segment uint32) int {
	return x.RemoveFunc(func(_ uint64, e Entry) bool { return e.Segment == segment })
}

// removeFunc removes one by one, in the order of tags.
func (x *Index) removeFunc(s *shard, drop func(name, place uint64) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, removed := s.table.Load(), 0
	if t == nil {
		return 0
	}
	for i := range t.buckets {
		for j := 0; j < slots; { // what takes the place of what is removed comes from a later bucket
			if name, place := t.buckets[i].load(j); place == 0 || !drop(name, place) {
				j++
				continue
			}
			s.change(func() { t.remove(i, j) })
			removed++
		}
	}
	s.count.Add(-int64(removed))
	if removed > 0 {
		x.shrink(s, t)
	}
	return removed
}

// named is an entry and its tag.
type named struct {
	tag uint32
	Entry
}

// walk copies entries from a tag on, and returns the tag to go on with. Since tables are in the order of tags, neither a change nor another table
// between two calls makes it miss or repeat any.
func (s *shard) walk(from uint32, dst []named) (found []named, next uint32, more bool) {
	for range patience {
		version := s.version.Load()
		if version&1 != 0 {
			continue
		}
		t := s.table.Load()
		if t != nil && t.older.Load() != nil {
			break // it is being filled
		}
		found, next, more = t.walk(from, dst)
		if s.version.Load() == version {
			return found, next, more
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Load().walk(from, dst)
}

func (t *table) walk(from uint32, dst []named) (found []named, next uint32, more bool) {
	if t == nil {
		return dst, 0, false
	}
	for i := t.home(from); i < len(t.buckets); i++ {
		for j := range slots {
			if name, place := t.buckets[i].load(j); place != 0 && tagOf(name) >= from {
				dst = append(dst, named{tagOf(name), unpack(name, place)})
			}
		}
		// The last tag may have more entries in the next bucket; the others are complete.
		if len(dst) >= stride {
			if complete, last := below(dst); len(complete) > 0 {
				return complete, last, true
			}
		}
	}
	runtime.KeepAlive(t)
	return dst, 0, false
}

// below returns the entries with other tags than the largest, and that.
func below(all []named) (rest []named, last uint32) {
	for _, n := range all {
		last = max(last, n.tag)
	}
	rest = all[:0]
	for _, n := range all {
		if n.tag != last {
			rest = append(rest, n)
		}
	}
	return rest, last
}
